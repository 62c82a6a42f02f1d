//! The breaker of a query module: it suspends a module that fails in every call.
//!
//! A breaker opens after as many failed calls in a row as the module's retry policy allows. While it
//! is open, nexum refuses the module's calls, for pauses that grow as the waits between the attempts
//! at an event do. After a pause it lets one call through. The breaker closes if the module answers
//! that call, and otherwise begins the next pause.

use std::time::Duration;

use nexum_config::restart::Restart;

use super::{QueryError, Suspension};
use crate::clock::Clock;
use crate::module::failure::Failure;

/// Decides which calls of a module reach an instance. It holds no lock and reads no clock by itself.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    policy: Restart,
    /// The number of pauses so far. A call that began before the current pause decides nothing.
    round: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed {
        failures: u32,
    },
    Open(Open),
    /// The module is removed or replaced: its last calls decide nothing.
    Retired,
}

#[derive(Debug)]
struct Open {
    suspension: Suspension,
    failures: u32,
    /// The pauses since the breaker opened, including the current one.
    pauses: u32,
    /// The end of the pause, in the clock's monotonic nanoseconds.
    until_ns: u64,
    /// Whether the call that decides has begun.
    is_trying: bool,
}

/// The permission for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    round: u64,
    /// Whether the breaker waits for the end of this call.
    pub(super) is_trial: bool,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// The finding about a module from the end of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The module answered, perhaps with an error of its own.
    Works,
    /// The module trapped, exceeded a limit or the size of an answer, or did not start.
    Fails,
    /// The caller left, or the host failed.
    Unknown,
}

/// A change that the operator wants to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened(Suspension),
    Closed(Suspension),
}

impl Verdict {
    pub(super) fn of(error: &QueryError) -> Self {
        match error {
            QueryError::Returned(_) => Self::Works,
            QueryError::Start { failure } => match **failure {
                Failure::Store(_) | Failure::Prepare { .. } => Self::Unknown,
                Failure::Returned(_) | Failure::Limit(_) | Failure::Trap(_) => Self::Fails,
            },
            QueryError::Limit(_)
            | QueryError::Trapped { .. }
            | QueryError::OutputTooLarge { .. }
            | QueryError::Result { .. } => Self::Fails,
            QueryError::InputTooLarge { .. }
            | QueryError::Overloaded { .. }
            | QueryError::TimedOut { .. }
            | QueryError::Suspended { .. }
            | QueryError::NoEvaluate
            | QueryError::NoFunctions
            | QueryError::NoFunction { .. }
            | QueryError::Arguments(_)
            | QueryError::ReadOnly { .. }
            | QueryError::NotRunning { .. }
            | QueryError::NotBegun { .. }
            | QueryError::Reloaded
            | QueryError::Gone
            | QueryError::Failed { .. } => Self::Unknown,
        }
    }
}

impl Breaker {
    /// A closed breaker. It opens after `max_consecutive_failures` of the policy.
    pub(super) fn new(policy: Restart) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Lets a call through, or refuses it as [`QueryError::Suspended`]. The caller
    /// [ends](Self::end) each call that it lets through.
    pub(super) fn admit(&mut self, clock: &dyn Clock) -> Result<Pass, QueryError> {
        let is_trial = match &mut self.phase {
            Phase::Closed { .. } | Phase::Retired => false,
            Phase::Open(open) => {
                let left_ns = open.until_ns.saturating_sub(clock.monotonic_ns());
                if left_ns > 0 || open.is_trying {
                    return Err(QueryError::Suspended {
                        suspension: open.suspension.clone(),
                        left: Duration::from_nanos(left_ns),
                    });
                }
                open.is_trying = true;
                true
            }
        };
        Ok(Pass {
            round: self.round,
            is_trial,
        })
    }

    /// Takes the end of a call into account. Calls `last` for the reason of the failure if it is
    /// needed.
    pub(super) fn end(
        &mut self,
        pass: Pass,
        verdict: Verdict,
        clock: &dyn Clock,
        last: impl FnOnce() -> String,
    ) -> Option<Change> {
        if pass.round != self.round {
            return None;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed { failures }, Verdict::Works) => {
                *failures = 0;
                None
            }
            (Phase::Closed { failures }, Verdict::Fails) => {
                *failures += 1;
                let failures = *failures;
                (failures >= self.policy.max_consecutive_failures).then(|| {
                    let suspension = self.pause(failures, 1, None, clock, &last());
                    Change::Opened(suspension)
                })
            }
            (Phase::Open(open), Verdict::Works) => {
                let suspension = open.suspension.clone();
                self.phase = Phase::Closed { failures: 0 };
                Some(Change::Closed(suspension))
            }
            (Phase::Open(open), Verdict::Fails) => {
                let (failures, pauses) = (open.failures.saturating_add(1), open.pauses.saturating_add(1));
                let since_ms = open.suspension.since_ms;
                self.pause(failures, pauses, Some(since_ms), clock, &last());
                None
            }
            (Phase::Open(open), Verdict::Unknown) => {
                open.is_trying = false;
                None
            }
            (Phase::Closed { .. }, Verdict::Unknown) | (Phase::Retired, _) => None,
        }
    }

    /// Why and until when the module is suspended, if it is.
    pub(super) fn suspension(&self) -> Option<&Suspension> {
        match &self.phase {
            Phase::Open(open) => Some(&open.suspension),
            Phase::Closed { .. } | Phase::Retired => None,
        }
    }

    /// Closes the breaker for good.
    pub(super) fn retire(&mut self) {
        self.phase = Phase::Retired;
    }

    /// Begins a pause.
    fn pause(
        &mut self,
        failures: u32,
        pauses: u32,
        since_ms: Option<u64>,
        clock: &dyn Clock,
        last: &str,
    ) -> Suspension {
        let pause = self.policy.backoff(pauses);
        let (now_ms, now_ns) = (clock.now_ms(), clock.monotonic_ns());
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        let suspension = Suspension {
            reason: format!("{failures} failures in a row; the last: {last}"),
            since_ms: since_ms.unwrap_or(now_ms),
            until_ms: now_ms.saturating_add(pause_ms),
        };
        self.round += 1;
        self.phase = Phase::Open(Open {
            suspension: suspension.clone(),
            failures,
            pauses,
            until_ns: now_ns.saturating_add(pause_ns),
            is_trying: false,
        });
        suspension
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    const POLICY: Restart = Restart {
        attempts_max: 1,
        backoff_ms: 100,
        backoff_max_ms: 400,
        max_consecutive_failures: 3,
    };

    /// The wall clock's time when the monotonic time is 0, in milliseconds.
    const EPOCH_MS: u64 = 1_000_000;

    /// A clock that a test moves, in nanoseconds.
    #[derive(Debug, Default)]
    struct Manual(AtomicU64);

    impl Manual {
        fn advance(&self, elapsed: Duration) {
            let ns = u64::try_from(elapsed.as_nanos()).expect("a short time");
            self.0.fetch_add(ns, Ordering::SeqCst);
        }
    }

    impl Clock for Manual {
        fn now_ms(&self) -> u64 {
            EPOCH_MS + self.monotonic_ns() / 1_000_000
        }

        fn monotonic_ns(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    struct World {
        breaker: Breaker,
        clock: Manual,
    }

    impl World {
        fn new() -> Self {
            Self {
                breaker: Breaker::new(POLICY),
                clock: Manual::default(),
            }
        }

        fn begin(&mut self) -> Option<Pass> {
            self.breaker.admit(&self.clock).ok()
        }

        fn end(&mut self, pass: Pass, verdict: Verdict) -> Option<Change> {
            self.breaker.end(pass, verdict, &self.clock, || "trapped".to_owned())
        }

        fn call(&mut self, verdict: Verdict) -> Option<Change> {
            let pass = self.begin().expect("a closed breaker");
            self.end(pass, verdict)
        }

        /// How long the next call has to wait.
        fn left(&mut self) -> Duration {
            match self.breaker.admit(&self.clock) {
                Err(QueryError::Suspended { left, .. }) => left,
                other => panic!("not suspended: {other:?}"),
            }
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_and_only_then() {
        let mut world = World::new();
        for verdict in [
            Verdict::Fails,
            Verdict::Fails,
            Verdict::Works,
            Verdict::Fails,
            Verdict::Unknown,
            Verdict::Fails,
        ] {
            assert_eq!(world.call(verdict), None);
            assert_eq!(world.breaker.suspension(), None);
        }
        let Some(Change::Opened(suspension)) = world.call(Verdict::Fails) else {
            panic!("still closed");
        };
        assert_eq!(suspension.reason, "3 failures in a row; the last: trapped");
        assert_eq!(suspension.since_ms, EPOCH_MS);
        assert!((EPOCH_MS + 50..=EPOCH_MS + 100).contains(&suspension.until_ms));
        assert_eq!(world.breaker.suspension(), Some(&suspension));
    }

    #[test]
    fn pauses_grow_up_to_their_bound_and_an_answer_ends_them() {
        let mut world = World::new();
        for _ in 0..3 {
            world.call(Verdict::Fails);
        }
        for whole_ms in [100, 200, 400, 400] {
            let left = world.left();
            let whole = Duration::from_millis(whole_ms);
            assert!(left <= whole && left >= whole / 2, "{left:?} of {whole:?}");
            world.clock.advance(left - Duration::from_nanos(1));
            assert_eq!(world.left(), Duration::from_nanos(1));
            world.clock.advance(Duration::from_nanos(1));
            assert_eq!(world.call(Verdict::Fails), None);
        }
        let suspension = world.breaker.suspension().cloned().expect("a suspension");
        assert_eq!(suspension.reason, "7 failures in a row; the last: trapped");
        assert_eq!(suspension.since_ms, EPOCH_MS);
        let left = world.left();
        world.clock.advance(left);
        assert_eq!(world.call(Verdict::Works), Some(Change::Closed(suspension)));
        // The count and the pauses begin again.
        assert_eq!(world.call(Verdict::Fails), None);
        assert_eq!(world.call(Verdict::Fails), None);
        assert!(matches!(world.call(Verdict::Fails), Some(Change::Opened(_))));
        assert!(world.left() <= Duration::from_millis(100));
    }

    #[test]
    fn lets_one_call_through_after_a_pause_and_another_if_its_caller_leaves() {
        let mut world = World::new();
        let slow = world.begin().expect("a pass");
        for _ in 0..3 {
            world.call(Verdict::Fails);
        }
        // A call from before decides nothing.
        assert_eq!(world.end(slow, Verdict::Works), None);
        let left = world.left();
        world.clock.advance(left);
        let trial = world.begin().expect("a trial");
        assert!(trial.is_trial);
        assert_eq!(world.left(), Duration::ZERO);
        assert_eq!(world.end(trial, Verdict::Unknown), None);
        let trial = world.begin().expect("another trial");
        assert_eq!(world.left(), Duration::ZERO);
        assert!(matches!(world.end(trial, Verdict::Works), Some(Change::Closed(_))));
        assert!(!world.begin().expect("a pass").is_trial);
    }

    #[test]
    fn a_retired_breaker_stays_closed() {
        let mut world = World::new();
        for _ in 0..3 {
            world.call(Verdict::Fails);
        }
        world.breaker.retire();
        assert_eq!(world.breaker.suspension(), None);
        for _ in 0..10 {
            assert_eq!(world.call(Verdict::Fails), None);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        End { which: usize, verdict: Verdict },
        Wait { ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let verdict = prop_oneof![
            1 => Just(Verdict::Works),
            5 => Just(Verdict::Fails),
            1 => Just(Verdict::Unknown),
        ];
        prop_oneof![
            4 => Just(Step::Begin),
            4 => (any::<usize>(), verdict).prop_map(|(which, verdict)| Step::End { which, verdict }),
            1 => (1..300_u64).prop_map(|ms| Step::Wait { ms }),
        ]
    }

    proptest! {
        /// Calls overlap in any order, and every call ends at last.
        #[test]
        fn a_module_is_never_suspended_for_good(steps in prop::collection::vec(step(), 1..200)) {
            let mut world = World::new();
            let mut calls: Vec<Pass> = Vec::new();
            for step in steps {
                match step {
                    Step::Begin => {
                        let is_open = world.breaker.suspension().is_some();
                        if let Some(pass) = world.begin() {
                            prop_assert_eq!(pass.is_trial, is_open);
                            calls.push(pass);
                        }
                    }
                    Step::End { .. } if calls.is_empty() => {}
                    Step::End { which, verdict } => {
                        let pass = calls.swap_remove(which % calls.len());
                        let before = world.breaker.suspension().cloned();
                        let change = world.end(pass, verdict);
                        let after = world.breaker.suspension().cloned();
                        match change {
                            Some(Change::Opened(opened)) => {
                                prop_assert_eq!((before, Some(opened)), (None, after));
                            }
                            Some(Change::Closed(closed)) => {
                                prop_assert_eq!((before, after), (Some(closed), None));
                            }
                            None => prop_assert_eq!(before.is_some(), after.is_some()),
                        }
                    }
                    Step::Wait { ms } => world.clock.advance(Duration::from_millis(ms)),
                }
                let trials = calls.iter().filter(|pass| pass.is_trial && pass.round == world.breaker.round);
                prop_assert!(trials.count() <= 1);
            }
            for pass in calls {
                world.end(pass, Verdict::Unknown);
            }
            world.clock.advance(Duration::from_millis(POLICY.backoff_max_ms));
            let pass = world.begin();
            prop_assert!(pass.is_some());
            world.end(pass.expect("a pass"), Verdict::Works);
            prop_assert_eq!(world.breaker.suspension(), None);
        }
    }
}
