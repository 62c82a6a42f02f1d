//! `[ledger]` of `engine.toml`: the record of what happened to each event.

use std::ops::RangeInclusive;

use nexum_config::document::{ConfigErrors, Defaults, NumberRange, Section, toml_string};
use nexum_config::limits::saturating_u32;
use nexum_core::ledger::Calls;
use nexum_ledger::Keep;
use serde::Deserialize;

/// The directory of the ledger, in the state directory.
pub(crate) const LEDGER_DIR: &str = "ledger";

/// Default of `keep_days`: a month, so that a question about the last report has an answer.
const KEEP_DAYS: u64 = 30;

const KEEP_DAYS_RANGE: RangeInclusive<u64> = 1..=3_650;

/// Default of `keep_bytes`, 1 GiB: some tens of millions of events.
const KEEP_BYTES: u64 = 1 << 30;

/// The range of `keep_bytes`: from a few segments to 1 TiB.
const KEEP_BYTES_RANGE: RangeInclusive<u64> = (16 << 20)..=(1 << 40);

const CALLS_ONE_IN_RANGE: RangeInclusive<u64> = 2..=1_000_000;

/// The validated `[ledger]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LedgerConfig {
    /// Whether nexum keeps a ledger.
    pub(crate) enabled: bool,
    pub(crate) keep: Keep,
    pub(crate) calls: Calls,
    /// Whether the ledger gets the arguments and answers of host calls, from which `nexum replay` repeats events.
    pub(crate) arguments: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    enabled: Option<bool>,
    keep_days: Option<u64>,
    keep_bytes: Option<u64>,
    calls: Option<Which>,
    calls_one_in: Option<u64>,
    arguments: Option<bool>,
}

/// The attempts whose host calls are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Which {
    #[default]
    #[serde(rename = "failed+slow")]
    FailedAndSlow,
    #[serde(rename = "all")]
    All,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            keep: keep(KEEP_DAYS, KEEP_BYTES),
            calls: Calls::FailedAndSlow,
            arguments: false,
        }
    }
}

fn keep(days: u64, bytes: u64) -> Keep {
    Keep {
        days: saturating_u32(days),
        bytes,
    }
}

impl LedgerConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 3] = [
        ("keep_days", KEEP_DAYS_RANGE),
        ("keep_bytes", KEEP_BYTES_RANGE),
        ("calls_one_in", CALLS_ONE_IN_RANGE),
    ];

    /// The keys with their default values.
    pub(crate) fn defaults() -> Defaults {
        vec![
            ("enabled", Some("true".to_owned())),
            ("keep_days", Some(KEEP_DAYS.to_string())),
            ("keep_bytes", Some(KEEP_BYTES.to_string())),
            ("calls", Some(toml_string("failed+slow"))),
            ("calls_one_in", None),
            ("arguments", Some("false".to_owned())),
        ]
    }

    /// Validates the `[ledger]` table.
    ///
    /// # Errors
    ///
    /// All errors in the section.
    pub(crate) fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw: Option<Raw> = section.parse_bounded(&Self::RANGES, &mut errors);
        let Some(raw) = raw else {
            ConfigErrors::check(errors)?;
            return Ok(Self::default());
        };
        if let (Some(Which::All), Some(_)) = (raw.calls, raw.calls_one_in) {
            let error = section.error("calls_one_in", "has no effect beside `calls = \"all\"`");
            errors.push(error.with_hint("remove one of the two keys"));
        }
        ConfigErrors::check(errors)?;
        Ok(Self {
            enabled: raw.enabled.unwrap_or(true),
            keep: keep(raw.keep_days.unwrap_or(KEEP_DAYS), raw.keep_bytes.unwrap_or(KEEP_BYTES)),
            calls: match (raw.calls.unwrap_or_default(), raw.calls_one_in) {
                (Which::All, _) => Calls::All,
                (Which::FailedAndSlow, Some(number)) => Calls::OneIn(saturating_u32(number)),
                (Which::FailedAndSlow, None) => Calls::FailedAndSlow,
            },
            arguments: raw.arguments.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexum_config::document::{Document, Environment};

    use super::*;

    fn parse(text: &str) -> Result<LedgerConfig, String> {
        let text = format!("[ledger]\n{text}");
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let section = document.root().section("ledger").unwrap().unwrap();
        LedgerConfig::from_section(&section).map_err(|errors| {
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        })
    }

    #[test]
    fn the_calls_of_an_attempt_are_chosen_in_three_ways() {
        let calls = |text| parse(text).map(|config| config.calls);
        assert_eq!(parse(""), Ok(LedgerConfig::default()));
        assert_eq!(calls("calls = 'failed+slow'"), Ok(Calls::FailedAndSlow));
        assert_eq!(calls("calls = 'all'"), Ok(Calls::All));
        assert_eq!(calls("calls_one_in = 100"), Ok(Calls::OneIn(100)));
        let error = calls("calls = 'all'\ncalls_one_in = 100").expect_err("an error");
        assert!(error.contains("has no effect beside"), "{error}");
        assert_eq!(parse("arguments = true").map(|config| config.arguments), Ok(true));
        let error = calls("calls = 'none'").expect_err("an error");
        assert!(error.contains("failed+slow"), "{error}");
    }

    #[test]
    fn the_bounds_have_a_range() {
        for text in [
            "keep_days = 0",
            "keep_days = 3651",
            "keep_bytes = 1",
            "calls_one_in = 1",
        ] {
            let error = parse(text).expect_err("an error");
            assert!(error.contains("expected a whole number from"), "{error}");
        }
        let keep = parse("keep_days = 1\nkeep_bytes = 16777216").map(|config| config.keep);
        assert_eq!(keep, Ok(super::keep(1, 16 << 20)));
    }
}
