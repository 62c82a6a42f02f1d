//! `nexum logs`, `nexum events`, `nexum log-level` and `nexum notify`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use nexum_config::names::ModuleName;

use super::{Format, Running, Why};

/// The most records of one answer: more than a terminal keeps. The daemon keeps a few thousand of
/// each module.
const LIMIT_MAX: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Only the records about this module, also those that it writes itself
    pub(crate) module: Option<ModuleName>,
    /// Print the next records as they arrive, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only records of this level, and more important ones
    #[arg(long, value_enum)]
    pub(crate) level: Option<Level>,
    /// Only the records about the event with this id
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
    /// Only the records since then: a time such as 2026-01-31T12:00:00Z, or an age such as 90s, 10m,
    /// 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Print this many records at most, the last ones
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=LIMIT_MAX))]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) running: Running,
    /// Output format. JSON has an object on each line
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Only the events of this module
    pub(crate) module: Option<ModuleName>,
    /// Print the next events as they arrive, until interrupted. nexum records handled events only
    /// for followers
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print this many events at most, the last ones
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=LIMIT_MAX))]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) running: Running,
    /// Output format. JSON has an object on each line
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogLevel {
    /// A level such as `debug`, or directives for single targets, such as `info,nexum::event=debug`
    #[arg(conflicts_with = "reset")]
    pub(crate) directives: Option<String>,
    /// Return to the level of the configuration or the environment
    #[arg(long)]
    pub(crate) reset: bool,
    #[command(flatten)]
    pub(crate) running: Running,
    #[command(flatten)]
    pub(crate) why: Why,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// Send a test message to the configured webhook and command
    Test {
        #[command(flatten)]
        why: Why,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// A level of log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// The level, as the API writes it.
    #[cfg(feature = "runtime")]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The begin of a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// A time in RFC 3339, which the client parses.
    Time(String),
    /// An age.
    Age(Duration),
}

/// Reads a time or an age.
fn since(text: &str) -> Result<Since, String> {
    let expected = || "expected a time such as 2026-01-31T12:00:00Z, or an age such as 10m".to_owned();
    let is_time = text.len() > "2026-01-31".len() && text.contains('T');
    if is_time {
        return Ok(Since::Time(text.to_owned()));
    }
    age(text).map(Since::Age).map_err(|_| expected())
}

/// Reads an age with its unit.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and a unit, such as 90s, 10m, 2h or 1d".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    Ok(Duration::from_secs(seconds * u64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(since(text), Ok(Since::Age(Duration::from_secs(seconds))), "{text}");
        }
        let time = "2026-01-31T12:00:00Z";
        assert_eq!(since(time), Ok(Since::Time(time.to_owned())));
        for text in ["", "10", "m", "-1m", "10 m", "99999999999d", "2026-01-31", "é"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
