//! A reader of nexum's log for a soak.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use serde_json::Value;

use super::modules;
use crate::nexum::Listener;

/// Log texts that report a fault of nexum. No module can cause them.
const FAULTS: [&str; 3] = ["panicked", "is damaged", "a fault of nexum"];

/// The log's content up to now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) follows: bool,
    /// The address of nexum's metrics.
    pub(super) metrics: Option<String>,
    /// For each event of a good module, the block and the time of its commit in microseconds.
    pub(super) handled: Vec<(u64, u64)>,
    newest: BTreeMap<String, u64>,
    failures: HashMap<String, u64>,
    /// The number of times that each limit was exceeded.
    pub(super) trips: BTreeMap<String, u64>,
    fault: Option<String>,
}

impl Listener for Seen {
    fn note(&mut self, line: &str) {
        if FAULTS.iter().any(|fault| line.contains(fault)) {
            self.fault.get_or_insert_with(|| line.to_owned());
        }
        self.follows |= line.contains("following the chain");
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        if record["message"] == "metrics can be read" {
            self.metrics = record["address"].as_str().map(str::to_owned);
        }
        let Some(module) = record["module"].as_str().map(str::to_owned) else {
            return;
        };
        if let Some(limit) = record["limit"].as_str() {
            *self.trips.entry(limit.to_owned()).or_default() += 1;
        }
        let is_failure = record["level"] == "ERROR" && record.get("attempt").is_some();
        match record["block"].as_u64() {
            Some(block) if module.starts_with("good-") && line.contains("\"event handled\"") => {
                let at_us = record["timestamp"].as_str().and_then(time_of);
                self.handled.extend(at_us.map(|at_us| (block, at_us)));
                self.newest.insert(module, block);
            }
            _ if is_failure && module.starts_with("good-") => {
                self.fault.get_or_insert_with(|| line.to_owned());
            }
            _ if is_failure => *self.failures.entry(module).or_default() += 1,
            _ => {}
        }
    }

    fn check(&self) -> Result<()> {
        match &self.fault {
            Some(line) => bail!("the log reports a fault: {line}"),
            None => Ok(()),
        }
    }
}

impl Seen {
    /// Whether every good module has handled this block.
    pub(super) fn have_all_handled(&self, block: u64) -> bool {
        self.behind(block).is_empty()
    }

    /// The good modules that have not handled this block.
    pub(super) fn behind(&self, block: u64) -> Vec<String> {
        let mut good = modules::good();
        good.retain(|name| self.newest.get(name) != Some(&block));
        good
    }

    /// The number of failures of a module's handlers.
    pub(super) fn failures_of(&self, module: &str) -> u64 {
        self.failures.get(module).copied().unwrap_or_default()
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.values().sum()
    }

    /// A summary in one line, for the progress bar.
    pub(super) fn brief(&self) -> String {
        format!(
            "{} events, {} failures of bad modules",
            self.handled.len(),
            self.failures()
        )
    }
}

/// Microseconds from the Unix epoch to a time in the log's form, `2026-01-02T03:04:05.678901Z`.
fn time_of(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by: char| -> Option<Vec<u64>> { text.split(by).map(|part| part.parse().ok()).collect() };
    let (clock, micros) = time.split_once('.')?;
    let (date, clock) = (numbers(date, '-')?, numbers(clock, ':')?);
    let ([year, month, day], [hour, minute, second]) = (date[..].try_into().ok()?, clock[..].try_into().ok()?);
    // Days since the epoch, with years that begin in March.
    let (year, month): (u64, u64) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000 + format!("{micros:0<6}").get(..6)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_the_log_has_them() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000000Z", Some(0)),
            ("2024-02-29T12:00:00.5Z", Some(1_709_208_000_500_000)),
            ("2026-01-02T03:04:05.678901Z", Some(1_767_323_045_678_901)),
            ("yesterday", None),
        ] {
            assert_eq!(time_of(text), expected, "{text}");
        }
    }

    #[test]
    fn tells_good_modules_from_bad_ones() {
        let mut seen = Seen::default();
        seen.note(r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"DEBUG","message":"event handled","module":"good-01","block":3}"#);
        seen.note(
            r#"{"level":"ERROR","message":"a limit was exceeded","module":"fuel","attempt":1,"limit":"fuel_per_event"}"#,
        );
        assert_eq!(
            (
                seen.handled.len(),
                seen.failures_of("fuel"),
                seen.trips["fuel_per_event"]
            ),
            (1, 1, 1)
        );
        assert_eq!(seen.behind(3).len(), modules::good().len() - 1);
        assert!(seen.check().is_ok());
        seen.note(r#"{"level":"ERROR","message":"the guest trapped","module":"good-02","attempt":1}"#);
        assert!(seen.check().is_err());
    }
}
