//! The records that the log shows.

use std::ffi::OsString;

use nexum_config::document::{ConfigError, Section};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use super::LogConfig;
use super::log::{DEFAULT_LEVEL, is_level, not_a_level};
use crate::report::Refusal;

/// The target of the first record, which says where the log level comes from.
pub(crate) const LEVEL_TARGET: &str = "nexum::log";

/// The variables that override `log_level`. An earlier one overrides a later one.
pub(crate) const LEVEL_VARIABLES: [&str; 2] = ["NEXUM_LOG", "RUST_LOG"];

/// How many characters of a faulty variable an error shows: a few directives.
const SHOWN_CHARS_MAX: usize = 100;

/// A variable with its value, if it is set.
pub(crate) type Variable = (&'static str, Option<OsString>);

/// The [`LEVEL_VARIABLES`] of this process.
pub(crate) fn level_variables() -> [Variable; 2] {
    LEVEL_VARIABLES.map(|name| (name, std::env::var_os(name)))
}

/// The records that the log shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) directives: Directives,
    /// Where the level comes from: the text of the log's first record.
    pub(crate) origin: String,
}

/// A level, or directives for single targets, which are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directives(String);

impl Default for Filter {
    fn default() -> Self {
        Self {
            directives: Directives(DEFAULT_LEVEL.to_owned()),
            origin: format!("the log has its default level, {DEFAULT_LEVEL}"),
        }
    }
}

impl Directives {
    /// Checks a level or directives.
    ///
    /// # Errors
    ///
    /// If the text is not a filter, is blank, has control characters, or is longer than
    /// `LEVEL_BYTES_MAX`.
    pub(crate) fn parse(level: &str) -> Result<Self, String> {
        if !is_level(level) {
            return Err(not_a_level());
        }
        Self::read(level)
    }

    /// Checks a text of any length and with any characters.
    fn read(level: &str) -> Result<Self, String> {
        let directives = Self(level.to_owned());
        directives.try_filter().map_err(|error| error.to_string())?;
        match level.split(',').map(str::trim).find(|directive| lacks_level(directive)) {
            None => Ok(directives),
            Some(typo) => Err(format!(
                "`{typo}` is not a level: error, warn, info, debug, trace or off, or TARGET=LEVEL"
            )),
        }
    }

    /// The text, as the operator wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A filter of these directives.
    pub(crate) fn filter(&self) -> EnvFilter {
        self.try_filter().unwrap_or_default()
    }

    fn try_filter(&self) -> Result<EnvFilter, ParseError> {
        let filter = EnvFilter::try_new(&self.0)?;
        match filter.max_level_hint() {
            Some(LevelFilter::OFF) => Ok(filter),
            _ => EnvFilter::try_new(with_first_record(&self.0)),
        }
    }
}

impl Filter {
    /// The filter of the first of `variables` that is not blank, or else of `config`. `engine` is
    /// the table that `config` comes from. Adds an error of `log_level` to `errors`.
    ///
    /// # Errors
    ///
    /// If the variable is not a filter.
    pub(crate) fn of(
        variables: [Variable; 2],
        config: &LogConfig,
        engine: Option<&Section>,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Self, Refusal> {
        let configured = config.level.as_deref().and_then(|level| {
            let error = |error: String| engine.map(|engine| engine.error("log_level", error).with_hint(LEVEL_HINT));
            // The error shows the value as the operator wrote it.
            let directives = Directives::read(level).map_err(|found| errors.extend(error(found)));
            Some((
                directives.ok()?,
                "log_level of the configuration sets the level of the log",
            ))
        });
        let mut texts = set(variables);
        let Some((name, text)) = texts.next() else {
            return Ok(configured.map_or_else(Self::default, |(directives, origin)| Self {
                directives,
                origin: origin.to_owned(),
            }));
        };
        let directives = Directives::read(&text).map_err(|error| {
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            Refusal::new(format!("{name}: {error}, found {shown:?}")).with_hint(LEVEL_HINT)
        })?;
        let level = config.level.as_ref().map(|_| "log_level of the configuration");
        let overridden: Vec<_> = texts.map(|(name, _)| name).chain(level).collect();
        let origin = match &*overridden {
            [] => format!("{name} sets the level of the log"),
            overridden => format!(
                "{name} sets the level of the log, and overrides {}",
                overridden.join(" and ")
            ),
        };
        Ok(Self { directives, origin })
    }
}

/// The variables that are set and not blank, with their text.
pub(crate) fn set(variables: [Variable; 2]) -> impl Iterator<Item = (&'static str, String)> {
    let text = |(name, value): Variable| Some((name, value?.to_string_lossy().into_owned()));
    let texts = variables.into_iter().filter_map(text);
    texts.filter(|(_, text)| !text.trim().is_empty())
}

/// The hint of an error in a level.
pub(crate) const LEVEL_HINT: &str = "name a level (`info`) or directives (`info,nexum=debug`)";

/// Adds the first record to what `level` shows. A later directive overrides an earlier one, so that
/// `level` may turn the record off.
fn with_first_record(level: &str) -> String {
    format!("{LEVEL_TARGET}=info,{level}")
}

/// Whether a directive is neither a level nor gives one to a target. The filter would take a misspelt
/// level for the name of a target, and log nothing else. A target of nexum needs no level.
fn lacks_level(directive: &str) -> bool {
    let is_plain = !directive.is_empty() && !directive.contains(['[', ']', '{', '}']);
    is_plain
        && match directive.split_once('=') {
            Some((_, level)) => level.trim().is_empty(),
            None => directive.parse::<LevelFilter>().is_err() && !directive.starts_with("nexum"),
        }
}

#[cfg(test)]
mod tests {
    use super::super::log::LEVEL_BYTES_MAX;
    use super::*;

    /// The filter of `NEXUM_LOG`, `RUST_LOG` and `log_level`, or the errors.
    fn filter(variables: [Option<&str>; 2], level: Option<&str>) -> Result<Filter, String> {
        let config = LogConfig {
            level: level.map(str::to_owned),
            ..LogConfig::default()
        };
        let [own, general] = variables.map(|text| text.map(OsString::from));
        let [name, general_name] = LEVEL_VARIABLES;
        let variables = [(name, own), (general_name, general)];
        let filter = Filter::of(variables, &config, None, &mut Vec::new());
        filter.map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_variable_overrides_the_configuration_unless_it_is_blank() {
        for (variables, level, text, origin) in [
            (
                [None, None],
                None,
                "nexum::log=info,info",
                "the log has its default level, info",
            ),
            (
                [Some(""), Some(" ")],
                Some("warn"),
                "nexum::log=info,warn",
                "log_level of the configuration sets the level of the log",
            ),
            (
                [None, Some("debug")],
                None,
                "nexum::log=info,debug",
                "RUST_LOG sets the level of the log",
            ),
            (
                [None, Some("debug,nexum::log=off")],
                Some("warn"),
                "nexum::log=off,debug",
                "RUST_LOG sets the level of the log, and overrides log_level of the configuration",
            ),
            (
                [Some(" "), Some("off")],
                None,
                "off",
                "RUST_LOG sets the level of the log",
            ),
            (
                [Some("trace"), None],
                None,
                "nexum::log=info,trace",
                "NEXUM_LOG sets the level of the log",
            ),
            (
                [Some("trace"), Some("not a filter")],
                Some("warn"),
                "nexum::log=info,trace",
                "NEXUM_LOG sets the level of the log, and overrides RUST_LOG and log_level of the configuration",
            ),
        ] {
            let filter = filter(variables, level).unwrap();
            let shown = filter.directives.filter().to_string();
            assert_eq!((&*shown, &*filter.origin), (text, origin));
        }
    }

    #[test]
    fn directives_keep_their_text() {
        let directives = Directives::parse("warn,nexum=debug").unwrap();
        assert_eq!(directives.as_str(), "warn,nexum=debug");
        let long = "x".repeat(LEVEL_BYTES_MAX + 1);
        for text in ["", " ", "info\u{1b}", &long] {
            let expected = "expected a level or directives, printable, in at most 1024 bytes";
            assert_eq!(Directives::parse(text).unwrap_err(), expected);
        }
        let error = Directives::parse("nexum=loud").unwrap_err();
        assert!(
            error.starts_with("error parsing level filter: expected one of"),
            "{error}"
        );
    }

    #[test]
    fn a_variable_that_is_no_filter_is_refused_with_its_text() {
        let long = "=".repeat(SHOWN_CHARS_MAX + 1);
        for (variable, shown) in [("nexum=loud", "nexum=loud"), (&long, &long[1..])] {
            let error = filter([None, Some(variable)], Some("warn")).unwrap_err();
            assert!(error.starts_with("RUST_LOG: "), "{error}");
            let own = filter([Some(variable), Some("info")], None).unwrap_err();
            assert_eq!(own, error.replace("RUST_LOG", "NEXUM_LOG"));
            let expected = format!(", found {shown:?} (name a level (`info`) or directives (`info,nexum=debug`))");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for level in ["verbose", "info,garbage=", "inf", "hyper"] {
            let error = Directives::read(level).expect_err("a refusal");
            assert!(error.contains("is not a level"), "{level}: {error}");
        }
        for level in ["WARN", "nexum", "off", "info,nexum::event=debug", "warn,hyper=off", "3"] {
            assert!(Directives::read(level).is_ok(), "{level}");
        }
    }
}
