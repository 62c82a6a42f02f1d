//! The fields of a schedule.

/// A field of a schedule.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Whether the field can have letters: the names of months and weekdays, and `L` and `W`.
    has_letters: bool,
}

const fn field(name: &'static str, least: u32, most: u32, has_letters: bool) -> Field {
    Field {
        name,
        least,
        most,
        has_letters,
    }
}

/// The fields in the order of the text. Five fields have no second.
const FIELDS: [Field; 6] = [
    field("second", 0, 59, false),
    field("minute", 0, 59, false),
    field("hour", 0, 23, false),
    field("day", 1, 31, true),
    field("month", 1, 12, true),
    field("weekday", 0, 7, true),
];

/// Refuses another number of fields, and a value that a field cannot have. `nexum build` checks the rest.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let known = match fields.len() {
        6 => &FIELDS[..],
        5 => &FIELDS[1..],
        _ => {
            let error = "a schedule has five fields (minute, hour, day, month, weekday), or six with the seconds first";
            return Err(error.to_owned());
        }
    };
    let faulty = fields.iter().zip(known).find(|(text, field)| !field.permits(text));
    match faulty {
        None => Ok(()),
        Some((text, Field { name, least, most, .. })) => Err(format!(
            "the {name} `{text}` of the schedule is not valid; expected values of {least} to {most}"
        )),
    }
}

impl Field {
    /// Whether each value of the text is one of the field, and each step is above zero.
    fn permits(&self, text: &str) -> bool {
        text.split(',').all(|item| {
            let (values, step) = item.split_once('/').unwrap_or((item, "1"));
            // The number after `#` is that of a weekday in its month.
            let values = values.split('#').next().unwrap_or_default();
            let is_step = step.parse::<u32>().is_ok_and(|step| step > 0);
            is_step && values.split('-').all(|value| self.has(value))
        })
    }

    fn has(&self, value: &str) -> bool {
        let is_letter = |c: char| c.is_ascii_alphabetic();
        // `+FRI` is for a day that is also one of the field before.
        let value = value.strip_prefix('+').unwrap_or(value);
        let has_letters = value.chars().any(is_letter);
        match value.trim_matches(is_letter) {
            _ if has_letters && !self.has_letters => false,
            "" => has_letters,
            "*" | "?" => !has_letters,
            number => number
                .parse()
                .is_ok_and(|number| (self.least..=self.most).contains(&number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_the_values_of_each_field() {
        for text in [
            "* * * * *",
            "*/5 * * * *",
            "0,30 8-18/2 1 JAN-MAR MON-FRI",
            "59 59 23 31 12 7",
            "0 0 L * 5L",
            "0 0 15W * MON#2",
            "? ? ? ? ?",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn names_the_field_with_another_value() {
        for (text, error) in [
            (
                "61 * * * *",
                "the minute `61` of the schedule is not valid; expected values of 0 to 59",
            ),
            (
                "60 * * * * *",
                "the second `60` of the schedule is not valid; expected values of 0 to 59",
            ),
            (
                "0 1,24 * * *",
                "the hour `1,24` of the schedule is not valid; expected values of 0 to 23",
            ),
            (
                "0 0 0 * *",
                "the day `0` of the schedule is not valid; expected values of 1 to 31",
            ),
            (
                "0 0 1 1-13 *",
                "the month `1-13` of the schedule is not valid; expected values of 1 to 12",
            ),
            (
                "0 0 * * 8",
                "the weekday `8` of the schedule is not valid; expected values of 0 to 7",
            ),
            (
                "*/0 * * * *",
                "the minute `*/0` of the schedule is not valid; expected values of 0 to 59",
            ),
            (
                "five * * * *",
                "the minute `five` of the schedule is not valid; expected values of 0 to 59",
            ),
            (
                "* * * *",
                "a schedule has five fields (minute, hour, day, month, weekday), or six with the seconds first",
            ),
        ] {
            assert_eq!(check(text), Err(error.to_owned()));
        }
    }
}
