//! The log of the daemon: its last records, and its level.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The level of a log record, from the most important to the most detailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// For people, in the form of the log on stderr.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        })
    }
}

/// A log record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LogRecord {
    /// The number in the sequence of all records. The numbers grow, also over a restart of the daemon.
    pub(crate) seq: u64,
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) level: Level,
    /// The part of nexum, such as `nexum::event`. Records that modules write have `nexum::module`.
    pub(crate) target: String,
    /// The module that the record is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// The id of the event that the record is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// The text. It can contain text of modules and servers, with any characters.
    pub(crate) message: String,
    /// The other fields.
    #[schema(value_type = Object)]
    pub(crate) fields: Map<String, Value>,
}

/// The level of the log, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LogLevel {
    /// The level or the directives that apply now.
    pub(crate) directives: String,
    /// Where they come from.
    pub(crate) origin: String,
    /// The level or the directives of the configuration or the environment.
    pub(crate) configured: String,
    /// Whether an operator has set the level with a command. Such a level lasts until the daemon
    /// restarts or reloads its configuration.
    pub(crate) is_temporary: bool,
}

/// A new level of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetLogLevel {
    /// A level such as `debug`, or directives such as `info,nexum::event=debug`. `null` resets the
    /// level to the configured one.
    pub(crate) directives: Option<String>,
}

/// Records that a reader asked for, and that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Gap {
    /// How many records the daemon has dropped, also ones that the reader does not want. After a
    /// reconnection, this is the most that it can be. `null` if the daemon has restarted, or if it
    /// did not keep them because no reader followed events.
    pub(crate) lost: Option<u64>,
    pub(crate) why: GapReason,
}

/// Why records are gone:
///
/// - `dropped`: the reader was too slow or away for too long, and newer records took their place.
/// - `restarted`: the daemon has restarted.
/// - `not_kept`: no reader followed events for a while, and nexum keeps handled events only for
///   readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GapReason {
    Dropped,
    Restarted,
    NotKept,
}

impl Gap {
    /// The gap for people.
    pub(crate) fn words(self) -> String {
        match (self.why, self.lost) {
            (GapReason::Restarted, _) => "the daemon restarted, and its earlier records are gone".to_owned(),
            (GapReason::NotKept, _) => "nexum kept no handled events while no reader followed them".to_owned(),
            (GapReason::Dropped, Some(1)) => "1 record is lost".to_owned(),
            (GapReason::Dropped, Some(lost)) => format!("up to {lost} records are lost"),
            (GapReason::Dropped, None) => "records are lost".to_owned(),
        }
    }
}
