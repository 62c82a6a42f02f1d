//! The random faults of a run. They depend only on the seed.

use std::time::Duration;

use rand::RngExt as _;

use super::super::schedule::Schedule;
use crate::{
    cluster::{Heal, Way},
    postgres::Stop,
};

/// The duration of a lease. It is short, so that a minute has many takeovers.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// The mean time from one fault to the next.
const GAP_MEAN: Duration = Duration::from_millis(1_000);

/// The longest gap: the time that a fault needs to show an effect.
const GAP_MAX: Duration = Duration::from_secs(4);

/// The longest time without a database.
const DOWN_MAX: Duration = Duration::from_millis(1_500);

/// The most connections that end at once.
const CONNECTIONS_MAX: usize = 4;

/// A fault, and its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// `kill -9`, and a restart.
    Kill,
    /// SIGTERM, and a restart.
    Stop,
    /// SIGSTOP, and SIGCONT.
    Pause,
    /// The node does not reach the database, or does not hear it.
    Cut { way: Way, heal: Heal },
    /// The node gives its modules away, until it may take some again.
    Drain,
    /// An operator moves a module to the node.
    Move,
    /// The database stops, and starts again.
    Database(Stop),
    /// The server ends so many connections.
    Connections(usize),
}

/// A fault in the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// The time before it.
    pub(super) gap: Duration,
    pub(super) fault: Fault,
    /// The node, if the fault is about one.
    pub(super) node: usize,
    /// The time until its end.
    pub(super) lasts: Duration,
    /// A number for further choices, such as the moved module.
    pub(super) choice: usize,
    /// Whether the restarted process has a clock that runs backwards.
    pub(super) clock_back: bool,
}

impl Fault {
    /// The name in the table of takeovers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Stop => "SIGTERM",
            Self::Pause => "SIGSTOP",
            Self::Cut { way: Way::Both, .. } => "cut both ways",
            Self::Cut { .. } => "cut one way",
            Self::Drain => "drain",
            Self::Move => "move",
            Self::Database(Stop::Fast) => "database restarted",
            Self::Database(Stop::Immediate) => "database crashed",
            Self::Connections(_) => "connections ended",
        }
    }
}

/// Draws the next fault of an installation with so many nodes.
pub(super) fn next(schedule: &mut Schedule, nodes: usize) -> Plan {
    let gap = schedule.exponential(GAP_MEAN).min(GAP_MAX);
    let random = schedule.random();
    let fault = match random.random_range(0..20) {
        0..4 => Fault::Kill,
        4..6 => Fault::Stop,
        6..9 => Fault::Pause,
        // The fence has to refuse the writes that arrive late.
        9..15 => Fault::Cut {
            way: [Way::Both, Way::ToServer, Way::ToServer, Way::FromServer][random.random_range(0..4)],
            heal: [Heal::Deliver, Heal::Deliver, Heal::Reset][random.random_range(0..3)],
        },
        15 => Fault::Drain,
        16 => Fault::Move,
        17 => Fault::Database(Stop::Fast),
        18 => Fault::Database(Stop::Immediate),
        _ => Fault::Connections(random.random_range(1..=CONNECTIONS_MAX)),
    };
    let part: f64 = random.random();
    let lasts = match fault {
        Fault::Pause | Fault::Cut { .. } | Fault::Drain => LEASE.mul_f64(0.5 + 2.5 * part),
        Fault::Kill | Fault::Stop => LEASE.mul_f64(2.0 * part),
        Fault::Database(_) => DOWN_MAX.mul_f64(part),
        Fault::Move | Fault::Connections(_) => Duration::ZERO,
    };
    Plan {
        gap,
        fault,
        node: random.random_range(0..nodes),
        lasts,
        choice: random.random_range(0..1_000),
        clock_back: random.random_bool(0.2),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plans(seed: u64) -> Vec<Plan> {
        let [_, mut schedule] = Schedule::pair(seed);
        (0..300).map(|_| next(&mut schedule, 3)).collect()
    }

    #[test]
    fn a_seed_has_one_series() {
        assert_eq!(plans(7), plans(7));
        assert_ne!(plans(7), plans(8));
    }

    #[test]
    fn has_every_fault_on_every_node_within_and_beyond_the_lease() {
        let plans = plans(1);
        let names: BTreeSet<_> = plans.iter().map(|plan| plan.fault.name()).collect();
        assert_eq!(names.len(), 10, "{names:?}");
        let nodes: BTreeSet<_> = plans.iter().map(|plan| plan.node).collect();
        assert_eq!(nodes, [0, 1, 2].into());
        let pauses = || plans.iter().filter(|plan| plan.fault == Fault::Pause);
        assert!(pauses().any(|plan| plan.lasts < LEASE) && pauses().any(|plan| plan.lasts > 2 * LEASE));
    }
}
