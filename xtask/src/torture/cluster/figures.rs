//! The counts of a run, and the times of its takeovers.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::super::{seen::Seen, traffic::Done};
use crate::cluster::Change;

/// The counts of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) seed: u64,
    pub(super) took: Duration,
    pub(super) starts: u64,
    /// Handled events in the logs, including those that were rolled back or not committed.
    pub(super) events: u64,
    pub(super) checks: u64,
    pub(super) blocks: u64,
    pub(super) keys: u64,
    /// The commits that the recorder noted, one for each module, and the ownerships.
    pub(super) commits: u64,
    pub(super) ownerships: usize,
    /// The orders in the order book, and all posts.
    pub(super) orders: u64,
    pub(super) posts: u64,
    pub(super) chain: Done,
    pub(super) faults: BTreeMap<&'static str, Takeovers>,
}

/// The takeovers after the faults of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Takeovers {
    faults: u64,
    /// The seconds from each fault to its last takeover, of the faults with a takeover.
    seconds: Vec<f64>,
}

/// A fault, and the groups that it affects.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) fault: &'static str,
    /// In seconds since the Unix epoch.
    pub(super) at: f64,
    /// The time after which a change has other reasons.
    pub(super) until: f64,
    pub(super) groups: Vec<String>,
}

impl Loss {
    /// The time from the fault until each of the groups that lost its owner has one again. `None` if no group
    /// has changed its owner.
    pub(super) fn taken_over(&self, changes: &[Change]) -> Option<f64> {
        let is_taken = |change: &&Change| !change.to.is_empty() && (self.at..self.until).contains(&change.at);
        let first = |group: &String| {
            let taken = changes.iter().filter(is_taken).find(|change| change.group == *group);
            taken.map(|change| change.at - self.at)
        };
        self.groups.iter().filter_map(first).max_by(f64::total_cmp)
    }
}

impl Figures {
    /// Adds the log of a process that ended.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.events += seen.handled;
    }

    /// Adds a fault, and the seconds of its takeover.
    pub(super) fn note(&mut self, fault: &'static str, seconds: Option<f64>) {
        let takeovers = self.faults.entry(fault).or_default();
        takeovers.faults += 1;
        takeovers.seconds.extend(seconds);
        takeovers.seconds.sort_by(f64::total_cmp);
    }

    /// The number of faults.
    pub(super) fn faults(&self) -> u64 {
        self.faults.values().map(|takeovers| takeovers.faults).sum()
    }
}

impl fmt::Display for Takeovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7}{:>11}", self.faults, self.seconds.len())?;
        let middle = self.seconds.get(self.seconds.len() / 2);
        for seconds in [self.seconds.first(), middle, self.seconds.last()] {
            match seconds {
                Some(seconds) => write!(f, "{seconds:>9.2}")?,
                None => write!(f, "{:>9}", "-")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.took.as_secs_f64() / 60.0;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<32}{value:>14}");
        row("seed", self.seed.to_string())?;
        row("minutes", format!("{minutes:.1}"))?;
        row("starts", self.starts.to_string())?;
        row("events handled", self.events.to_string())?;
        row("commits of modules", self.commits.to_string())?;
        row("ownerships with commits", self.ownerships.to_string())?;
        row("blocks at the end", self.blocks.to_string())?;
        row("reorgs", self.chain.reorgs.to_string())?;
        row("deepest reorg", self.chain.deepest_reorg.to_string())?;
        row("orders", self.orders.to_string())?;
        row("posts of orders", self.posts.to_string())?;
        row("comparisons", self.checks.to_string())?;
        row("keys compared at the end", self.keys.to_string())?;
        let columns = ["faults", "takeovers", "min s", "median s", "max s"];
        let [faults, takeovers, min, median, max] = columns;
        writeln!(
            f,
            "\n{:<20}{faults:>7}{takeovers:>11}{min:>9}{median:>9}{max:>9}",
            "fault"
        )?;
        for (fault, takeovers) in &self.faults {
            writeln!(f, "{fault:<20}{takeovers}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(group: &str, to: &str, at: f64) -> Change {
        Change {
            group: group.to_owned(),
            from: String::new(),
            to: to.to_owned(),
            epoch: 1,
            at,
        }
    }

    #[test]
    fn a_takeover_lasts_until_the_last_group_has_an_owner() {
        let loss = Loss {
            fault: "kill -9",
            at: 10.0,
            until: 20.0,
            groups: vec!["a".to_owned(), "b".to_owned()],
        };
        let changes = [
            change("a", "x", 9.0),
            change("a", "", 10.5),
            change("a", "y", 11.0),
            change("c", "y", 19.0),
            change("b", "y", 12.0),
            change("a", "x", 15.0),
            change("b", "x", 25.0),
        ];
        assert_eq!(loss.taken_over(&changes), Some(2.0));
        assert_eq!(loss.taken_over(&changes[..2]), None);
    }

    #[test]
    fn shows_the_takeovers_of_each_fault() {
        let mut figures = Figures::default();
        for seconds in [Some(3.0), None, Some(1.0), Some(2.0)] {
            figures.note("kill -9", seconds);
        }
        figures.note("move", None);
        let table = figures.to_string();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(
            rows.contains(&vec!["kill", "-9", "4", "3", "1.00", "2.00", "3.00"]),
            "{table}"
        );
        assert!(rows.contains(&vec!["move", "1", "0", "-", "-", "-"]), "{table}");
        assert_eq!(figures.faults(), 5);
    }
}
