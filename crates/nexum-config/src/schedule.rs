//! Schedules of ticks.
//!
//! All times are UTC, in milliseconds since the Unix epoch.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use sha2::{Digest as _, Sha256};

use crate::topic::ScheduleId;

/// The longest schedule, in characters: six fields, each with a list of all its values.
pub const SCHEDULE_CHARS_MAX: usize = 512;

/// The fields with their values, in the order of the text. Five fields have no second.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("weekday", "0 to 7, or SUN to SAT"),
];

/// Recurring times: five fields in the order of `crontab`, or six with the seconds first.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// The error for a text that is not a schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The text is longer than [`SCHEDULE_CHARS_MAX`].
    #[error("a schedule has at most {SCHEDULE_CHARS_MAX} characters")]
    Length,
    /// The text has another number of fields.
    #[error("not a schedule: expected five fields, or six with the seconds first, and it has {0}")]
    Fields(usize),
    /// A field has a value that it cannot have.
    #[error("not a schedule: the {name} {text:?} is not valid, expected {values}")]
    Field {
        /// The name of the field.
        name: &'static str,
        /// The text of the field.
        text: String,
        /// The values of the field.
        values: &'static str,
    },
    /// The text does not have the form of a schedule for another reason.
    #[error("not a schedule")]
    Form(#[source] CronError),
    /// No date matches the schedule, for example the 30th of February.
    #[error("no date matches the schedule")]
    Never,
}

impl Schedule {
    /// The identifier of the schedule, derived from its text. White space does not affect it.
    pub fn id(&self) -> ScheduleId {
        let digest: [u8; 32] = Sha256::digest(&self.text).into();
        let (first, _) = digest.split_at(size_of::<u64>());
        ScheduleId(first.iter().fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }

    /// The first time after `ms`.
    pub fn next_after(&self, ms: u64) -> Option<u64> {
        let next = self.cron.find_next_occurrence(&time(ms)?, false).ok()?;
        u64::try_from(next.timestamp_millis()).ok()
    }

    /// The last time up to and including `ms`.
    pub fn last_until(&self, ms: u64) -> Option<u64> {
        let last = self.cron.find_previous_occurrence(&time(ms)?, true).ok()?;
        u64::try_from(last.timestamp_millis()).ok()
    }
}

/// The text of the schedule, with single spaces between its fields.
impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > SCHEDULE_CHARS_MAX {
            return Err(ScheduleError::Length);
        }
        let fields: Vec<_> = text.split_whitespace().collect();
        let text = fields.join(" ");
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(&text).map_err(|source| fault(&parser, &fields, source))?;
        let schedule = Self { text, cron };
        // The parser searches a few thousand years.
        schedule.next_after(0).ok_or(ScheduleError::Never)?;
        Ok(schedule)
    }
}

/// The error for fields that the parser refuses.
fn fault(parser: &CronParser, fields: &[&str], source: CronError) -> ScheduleError {
    let Some(known) = FIELDS
        .len()
        .checked_sub(fields.len())
        .and_then(|skipped| FIELDS.get(skipped..))
    else {
        return ScheduleError::Fields(fields.len());
    };
    if known.len() + 1 < FIELDS.len() {
        return ScheduleError::Fields(fields.len());
    }
    let is_faulty = |at: usize, field: &str| {
        let alone: Vec<_> = (0..fields.len())
            .map(|other| if other == at { field } else { "*" })
            .collect();
        parser.parse(&alone.join(" ")).is_err()
    };
    let faulty = fields
        .iter()
        .zip(known)
        .enumerate()
        .find(|(at, (field, _))| is_faulty(*at, field));
    match faulty {
        Some((_, (field, (name, values)))) => ScheduleError::Field {
            name,
            text: (*field).to_owned(),
            values,
        },
        None => ScheduleError::Form(source),
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

/// `None` for times far beyond the age of the universe.
fn time(ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2023-11-14, a Tuesday, 22:13:20.
    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn times_come_in_utc() {
        for (text, next, last) in [
            ("* * * * *", 1_700_000_040_000, 1_699_999_980_000),
            ("  *  * * *   * ", 1_700_000_040_000, 1_699_999_980_000),
            ("*/5 * * * * *", 1_700_000_005_000, 1_700_000_000_000),
            ("0 0 * * *", 1_700_006_400_000, 1_699_920_000_000),
            // The 29th of February 2024, and of 2020.
            ("0 0 29 2 *", 1_709_164_800_000, 1_582_934_400_000),
        ] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.next_after(NOW_MS), Some(next), "{text}");
            assert_eq!(schedule.last_until(NOW_MS), Some(last), "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (text, expected) in [
            (
                "",
                "not a schedule: expected five fields, or six with the seconds first, and it has 0",
            ),
            (
                "* * * *",
                "not a schedule: expected five fields, or six with the seconds first, and it has 4",
            ),
            (
                "* * * * * * *",
                "not a schedule: expected five fields, or six with the seconds first, and it has 7",
            ),
            (
                "61 * * * *",
                "not a schedule: the minute \"61\" is not valid, expected 0 to 59",
            ),
            (
                "60 * * * * *",
                "not a schedule: the second \"60\" is not valid, expected 0 to 59",
            ),
            (
                "* 24 * * *",
                "not a schedule: the hour \"24\" is not valid, expected 0 to 23",
            ),
            (
                "* * 1,0 * *",
                "not a schedule: the day \"1,0\" is not valid, expected 1 to 31",
            ),
            (
                "* * * FOO *",
                "not a schedule: the month \"FOO\" is not valid, expected 1 to 12, or JAN to DEC",
            ),
            (
                "* * * * 8",
                "not a schedule: the weekday \"8\" is not valid, expected 0 to 7, or SUN to SAT",
            ),
            ("0 0 30 2 *", "no date matches the schedule"),
            ("0 0 31 2,4,6,9,11 *", "no date matches the schedule"),
            (&"1,".repeat(400), "a schedule has at most 512 characters"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn spaces_make_no_other_schedule() {
        let [one, same, other] = ["*/5 * * * *", " */5  * * * *", "*/6 * * * *"].map(|text| text.parse::<Schedule>());
        let (one, same, other) = (one.unwrap(), same.unwrap(), other.unwrap());
        assert_eq!((one.id(), &one), (same.id(), &same));
        assert_ne!(one.id(), other.id());
    }

    proptest! {
        #[test]
        fn any_text_is_a_schedule_or_refused(text in "[-0-9*/,LW#?@a-zA-Z ]{0,40}") {
            if let Ok(schedule) = text.parse::<Schedule>() {
                let next = schedule.next_after(NOW_MS);
                prop_assert!(next.is_none_or(|next| next > NOW_MS));
                prop_assert!(schedule.last_until(NOW_MS).is_none_or(|last| last <= NOW_MS));
                if let Some(next) = next {
                    prop_assert_eq!(schedule.last_until(next), Some(next));
                }
            }
        }
    }
}
