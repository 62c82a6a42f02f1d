//! A reader of nexum's log for a torture run.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::nexum::Listener;

/// The log's content up to now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The number of handled events.
    pub(super) handled: u64,
    /// The number of reports that the store cannot be written, at most one per minute.
    pub(super) failed_writes: u64,
    /// For each module and chain, the newest block and the number of its handled events.
    newest: BTreeMap<(String, u64), (u64, u64)>,
    /// The first line that reports a fault.
    fault: Option<String>,
}

/// Log texts for a committed event, a store that cannot be written, and faults.
const HANDLED: &str = "\"event handled\"";
const FAILED_WRITE: &str = "the state store cannot be written";
const FAULTS: [&str; 4] = ["the module is dead", "panicked", "is damaged", "a fault of nexum"];

impl Listener for Seen {
    fn check(&self) -> Result<()> {
        match &self.fault {
            Some(line) => bail!("the log reports a fault: {line}"),
            None => Ok(()),
        }
    }

    fn note(&mut self, line: &str) {
        if line.contains(HANDLED) {
            self.note_handled(line);
        } else if line.contains(FAILED_WRITE) {
            self.failed_writes += 1;
        } else if FAULTS.iter().any(|fault| line.contains(fault)) {
            self.fault.get_or_insert_with(|| line.to_owned());
        }
    }
}

impl Seen {
    /// Whether each of these modules has handled this many events of a chain's block.
    pub(super) fn has_handled(&self, chain: u64, block: u64, modules: &[(&str, u64)]) -> bool {
        let done = |(module, events): &(&str, u64)| {
            self.newest
                .get(&((*module).to_owned(), chain))
                .is_some_and(|newest| newest.0 == block && newest.1 >= *events)
        };
        modules.iter().all(done)
    }

    /// Whether any module has reached this block of a chain.
    pub(super) fn has_reached(&self, chain: u64, block: u64) -> bool {
        let mut of_chain = self.newest.iter().filter(|((_, known), _)| *known == chain);
        of_chain.any(|(_, (newest, _))| *newest >= block)
    }

    /// The last line of a killed process can be incomplete.
    fn note_handled(&mut self, line: &str) {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        let fields = (
            record["module"].as_str(),
            record["chain"].as_u64(),
            record["block"].as_u64(),
        );
        if let (Some(module), Some(chain), Some(block)) = fields {
            self.handled += 1;
            let newest = self.newest.entry((module.to_owned(), chain)).or_insert((block, 0));
            *newest = if newest.0 == block {
                (block, newest.1 + 1)
            } else {
                (block, 1)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(module: &str, block: u64) -> String {
        format!(r#"{{"level":"DEBUG","message":"event handled","module":"{module}","chain":7,"block":{block}}}"#)
    }

    #[test]
    fn counts_the_events_of_each_modules_newest_block() {
        let mut seen = Seen::default();
        for line in [
            handled("a", 1),
            handled("a", 2),
            handled("a", 2),
            handled("b", 2),
            handled("a", 3),
        ] {
            seen.note(&line);
        }
        seen.note(&handled("b", 9)[..60]);
        assert_eq!(seen.handled, 5);
        assert!(seen.has_handled(7, 3, &[("a", 1)]) && seen.has_handled(7, 2, &[("b", 1)]));
        assert!(!seen.has_handled(7, 3, &[("a", 1), ("b", 1)]) && !seen.has_handled(8, 3, &[("a", 1)]));
        assert!(seen.has_reached(7, 3) && !seen.has_reached(7, 4) && !seen.has_reached(8, 3));
    }

    #[test]
    fn does_not_pass_over_a_dead_module() {
        let mut seen = Seen::default();
        seen.note(r#"{"level":"WARN","message":"slow"}"#);
        assert!(seen.check().is_ok());
        seen.note(r#"{"level":"ERROR","message":"the module is dead"}"#);
        assert!(seen.check().is_err());
    }
}
