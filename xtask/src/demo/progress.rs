//! The progress of each module.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::log::Line;

/// The blocks that each module has handled.
#[derive(Debug)]
pub(super) struct Progress {
    /// A set of blocks per module. A block that a module handles again, after a restart or a
    /// reorganisation, counts once.
    handled: BTreeMap<&'static str, BTreeSet<u64>>,
    goal: Option<u64>,
}

impl Progress {
    pub(super) fn new(modules: &[&'static str], goal: Option<u64>) -> Self {
        Self {
            handled: modules.iter().map(|module| (*module, BTreeSet::new())).collect(),
            goal,
        }
    }

    /// Reads a line. Returns true if a module handled a block for the first time.
    pub(super) fn note(&mut self, line: &Line) -> bool {
        let Line::Handled { module, block } = line else {
            return false;
        };
        self.handled
            .get_mut(module.as_str())
            .is_some_and(|blocks| blocks.insert(*block))
    }

    /// Whether every module has reached the goal; false without a goal.
    pub(super) fn is_complete(&self) -> bool {
        self.goal
            .is_some_and(|goal| self.handled.values().all(|blocks| blocks.len() as u64 >= goal))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self
            .handled
            .iter()
            .map(|(module, blocks)| format!("{module} handled {} blocks", blocks.len()));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(module: &str, block: u64) -> Line {
        Line::Handled {
            module: module.into(),
            block,
        }
    }

    #[test]
    fn waits_for_the_slowest_module() {
        let mut progress = Progress::new(&["a", "b"], Some(2));
        assert!(progress.note(&handled("a", 1)) && progress.note(&handled("a", 2)) && progress.note(&handled("b", 1)));
        assert!(!progress.is_complete(), "{progress}");
        assert!(progress.note(&handled("b", 2)));
        assert!(progress.is_complete(), "{progress}");
    }

    #[test]
    fn counts_a_block_once() {
        let mut progress = Progress::new(&["a"], Some(2));
        assert!(progress.note(&handled("a", 1)));
        assert!(!progress.note(&handled("a", 1)) && !progress.note(&handled("stranger", 2)));
        assert!(!progress.is_complete());
    }

    #[test]
    fn has_no_end_without_a_goal() {
        let mut progress = Progress::new(&["a"], None);
        progress.note(&handled("a", 1));
        assert!(!progress.is_complete());
    }
}
