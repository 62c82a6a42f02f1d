//! Prints the daemon's records, with colours on a terminal.

use std::io::{self, IsTerminal as _};

use super::record::{Kind, Record};
use crate::report::print::{has_colours, outln};

/// Prints records on stdout.
#[derive(Debug)]
pub(in crate::author) struct Log {
    has_colours: bool,
    /// The event that failed last, with its reason.
    failure: Option<(String, String)>,
}

impl Default for Log {
    fn default() -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        Self {
            has_colours: has_colours(io::stdout().is_terminal(), no_color.as_deref()),
            failure: None,
        }
    }
}

impl Log {
    /// Prints a record, if it is of interest to an author. The line of a dead letter repeats the
    /// reason of the last failure.
    pub(in crate::author) fn show(&mut self, record: &Record) {
        if !record.is_shown() {
            return;
        }
        let mut line = record.to_string();
        if let (Kind::Failed, Some(event)) = (record.kind(), &record.event) {
            match (&self.failure, record.is_dead_letter()) {
                (Some((failed, reason)), true) if failed == event => line.push_str(&format!(": {reason}")),
                (_, true) => {}
                (_, false) => self.failure = Some((event.clone(), record.message())),
            }
        }
        let code = match (record.kind(), &*record.level) {
            _ if !self.has_colours => None,
            (Kind::Failed, _) | (_, "ERROR") => Some(31),
            (_, "WARN") => Some(33),
            (Kind::Handled, _) => Some(32),
            (Kind::Module, "DEBUG" | "TRACE") | (Kind::Daemon, _) => Some(2),
            (Kind::Module, _) => None,
        };
        match code {
            Some(code) => outln!("\x1b[{code}m{line}\x1b[0m"),
            None => outln!("{line}"),
        }
    }
}
