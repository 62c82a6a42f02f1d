//! Tests of the breaker.

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
