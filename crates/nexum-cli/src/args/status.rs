//! The arguments of `nexum status` and `nexum health`.

use std::time::Duration;

use clap::ValueEnum;

use super::logs::age;
use super::{Format, Running};

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Show everything about this module
    pub(crate) module: Option<String>,
    /// Show the state again every two seconds, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) running: Running,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// The most blocks that a module may have still to handle
    #[arg(long, value_name = "BLOCKS")]
    pub(crate) behind: Option<u64>,
    /// The greatest age of the head of a chain: a number with s, m, h or d
    #[arg(long, value_name = "AGE", value_parser = some_age)]
    pub(crate) head_age: Option<Duration>,
    #[command(flatten)]
    pub(crate) running: Running,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: HealthFormat,
}

/// Reads an age above zero: every head is older than its arrival.
fn some_age(text: &str) -> Result<Duration, String> {
    match age(text)? {
        Duration::ZERO => Err("expected at least 1s: a head is always some time old".to_owned()),
        age => Ok(age),
    }
}

/// The format of `nexum health`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum HealthFormat {
    /// A line for each problem
    #[default]
    Text,
    /// JSON
    Json,
    /// One line and performance data, for Nagios, Icinga and their like; the exit codes are 0 OK,
    /// 2 CRITICAL and 3 UNKNOWN
    Nagios,
}
