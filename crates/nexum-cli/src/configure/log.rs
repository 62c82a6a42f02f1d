//! `log_level` and `log_format` of `[engine]`.

use nexum_config::document::{ConfigError, Section};
#[cfg(feature = "runtime")]
use nexum_config::document::{Defaults, toml_string};
use serde::Deserialize;

/// The most bytes of `log_level`: directives for a few dozen targets.
pub(super) const LEVEL_BYTES_MAX: usize = 1_024;

/// Whether a text can be a level: printable and short, and not blank.
pub(super) fn is_level(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LEVEL_BYTES_MAX && !text.chars().any(char::is_control)
}

/// The error of a text that [cannot](is_level) be a level.
pub(super) fn not_a_level() -> String {
    format!("expected a level or directives, printable, in at most {LEVEL_BYTES_MAX} bytes")
}

/// The level without `log_level` and the variables that override it.
#[cfg(feature = "runtime")]
pub(super) const DEFAULT_LEVEL: &str = "info";

/// The level and format of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files logs nothing")
)]
pub(crate) struct LogConfig {
    /// A level, or directives for single targets, such as `info,nexum=debug`. Only known to be
    /// printable and short.
    pub(crate) level: Option<String>,
    /// The format of a line.
    pub(crate) format: LogFormat,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    log_level: Option<String>,
    log_format: LogFormat,
}

impl LogConfig {
    /// The keys with their default values.
    #[cfg(feature = "runtime")]
    pub(crate) fn defaults() -> Defaults {
        vec![
            ("log_level", Some(toml_string(DEFAULT_LEVEL))),
            ("log_format", Some(toml_string("pretty"))),
        ]
    }

    /// Reads the two keys of the section `[engine]`. Adds their errors to `errors`. A level that is
    /// not a filter is not found here.
    pub(crate) fn from_section(engine: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let section = engine.only(&["log_level", "log_format"]);
        let raw: Raw = section.parse_all(errors).unwrap_or_default();
        if raw.log_level.as_deref().is_some_and(|level| !is_level(level)) {
            let hint = "for example info, or info,nexum=debug";
            errors.push(section.error("log_level", not_a_level()).with_hint(hint));
        }
        Self {
            level: raw.log_level.filter(|level| is_level(level)),
            format: raw.log_format,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexum_config::document::{Document, Environment};

    use super::*;

    fn parse(text: &str) -> Result<LogConfig, String> {
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let mut errors = Vec::new();
        let config = LogConfig::from_section(document.root(), &mut errors);
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            Ok(config)
        } else {
            Err(texts.join("; "))
        }
    }

    #[test]
    fn both_keys_are_read_beside_others() {
        assert_eq!(parse("state_dir = \"data\""), Ok(LogConfig::default()));
        let text = "pooling = \"off\"\nlog_level = \"warn,nexum=debug\"\nlog_format = \"json\"";
        let expected = LogConfig {
            level: Some("warn,nexum=debug".to_owned()),
            format: LogFormat::Json,
        };
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn an_error_names_the_key_and_what_it_may_be() {
        let long = format!("log_level = \"{}\"", "x".repeat(LEVEL_BYTES_MAX + 1));
        for text in ["log_level = \"\"", "log_level = \"info\\u001b\"", &long] {
            let error = parse(text).unwrap_err();
            let expected =
                "engine.toml:1:13: log_level: expected a level or directives, printable, in at most 1024 bytes";
            assert!(error.starts_with(expected), "{error}");
        }
        let error = parse("log_format = \"jsn\"").unwrap_err();
        let expected = "engine.toml:1:14: log_format: expected \"pretty\" or \"json\", found \"jsn\", the nearest known one is json";
        assert_eq!(error, expected);
    }
}
