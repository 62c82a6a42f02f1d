//! The known name that an unknown one was probably meant to be.

/// The most changed letters of a name that is still recognised.
const DISTANCE_MAX: usize = 2;

/// The known name with the fewest changed letters, if there are few.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|known| (distance(name, known), *known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= DISTANCE_MAX).then_some(known)
}

/// `; did you mean ...?`, or nothing.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// The number of letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (to, above) in b.chars().zip(row.windows(2)) {
            let (diagonal, up) = (above.first().copied(), above.last().copied());
            let replaced = diagonal.unwrap_or_default() + usize::from(from != to);
            left = replaced.min(up.unwrap_or_default() + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = ["on_block", "on_logs", "query"];
        assert_eq!(nearest("on_blok", &known), Some("on_block"));
        assert_eq!(nearest("on_log", &known), Some("on_logs"));
        assert_eq!(nearest("querry", &known), Some("query"));
        assert_eq!(nearest("transfer", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
