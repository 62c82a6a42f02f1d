//! `[effects]` of `engine.toml`: the records of modules' effects.

use std::ops::RangeInclusive;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Defaults, NumberRange, Section};
use serde::Deserialize;

/// Default of `keep_days`: an operator who is away over a weekend still finds the records.
const KEEP_DAYS: u64 = 7;

/// The range of `keep_days`, up to a year: the number of records of a module has a bound of its own.
const KEEP_DAYS_RANGE: RangeInclusive<u64> = 0..=365;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The validated `[effects]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EffectsConfig {
    /// How long a record stays after no reorganisation can revert its event.
    pub(crate) keep: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    keep_days: Option<u64>,
}

impl Default for EffectsConfig {
    fn default() -> Self {
        Self::of_days(KEEP_DAYS)
    }
}

impl EffectsConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 1] = [("keep_days", KEEP_DAYS_RANGE)];

    fn of_days(days: u64) -> Self {
        let keep = u32::try_from(days).map_or(Duration::MAX, |days| DAY.saturating_mul(days));
        Self { keep }
    }

    /// The keys with their default values.
    pub(crate) fn defaults() -> Defaults {
        vec![("keep_days", Some(KEEP_DAYS.to_string()))]
    }

    /// Validates the `[effects]` table.
    ///
    /// # Errors
    ///
    /// All errors in the section.
    pub(crate) fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw: Option<Raw> = section.parse_bounded(&Self::RANGES, &mut errors);
        ConfigErrors::check(errors)?;
        let days = raw.and_then(|raw| raw.keep_days);
        Ok(days.map(Self::of_days).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexum_config::document::{Document, Environment};
    use nexum_core::CommitPolicy;

    use super::*;

    fn parse(text: &str) -> Result<EffectsConfig, String> {
        let text = format!("[effects]\n{text}");
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let section = document.root().section("effects").unwrap().unwrap();
        EffectsConfig::from_section(&section).map_err(|errors| {
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        })
    }

    #[test]
    fn the_days_of_the_records_have_a_range() {
        assert_eq!(EffectsConfig::default().keep, CommitPolicy::default().effects_keep);
        assert_eq!(parse(""), Ok(EffectsConfig::default()));
        for days in [0, 1, 365] {
            let keep = Duration::from_secs(days * 86_400);
            assert_eq!(parse(&format!("keep_days = {days}")), Ok(EffectsConfig { keep }));
        }
        for text in ["keep_days = 366", "keep_days = -1", "keep_days = 'a'"] {
            let error = parse(text).expect_err("an error");
            assert!(error.contains("expected a whole number from 0 to 365"), "{error}");
        }
    }
}
