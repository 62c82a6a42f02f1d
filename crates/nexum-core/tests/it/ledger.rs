//! The entries that runners make for the ledger.

use std::sync::Arc;

use nexum_core::Ledger;
use nexum_core::clock::SystemClock;
use nexum_core::ledger::{AttemptEntry, Calls, Entry, Outcome, Reverted};
use nexum_host_store::LocalStore;

use crate::support::{Run, Setup};

/// Runs a fixture with the store, with a ledger.
async fn recorded(fixture: &str, restart: &str, calls: Calls) -> (Run, Ledger) {
    let ledger = Ledger::new(Arc::new(SystemClock::new()), calls);
    let mut setup = Setup::new().module(fixture);
    setup.capabilities = setup.capabilities.with(LocalStore);
    setup.ledger = Some(ledger.clone());
    setup.restart = restart.to_owned();
    (setup.start().await, ledger)
}

const ONCE: &str = "[engine.restart]\nattempts_max = 1\nbackoff_ms = 1\n";

fn entries(ledger: &Ledger) -> Vec<Entry> {
    ledger.take().into_iter().map(|(_, entry)| entry).collect()
}

fn attempts(ledger: &Ledger) -> Vec<AttemptEntry> {
    let attempts = entries(ledger).into_iter().filter_map(|entry| match entry {
        Entry::Attempt(attempt) => Some(*attempt),
        _ => None,
    });
    attempts.collect()
}

#[tokio::test]
async fn a_handled_event_has_its_calls_writes_and_commit() {
    let (run, ledger) = recorded("counter", ONCE, Calls::All).await;
    run.chain.mine(2);
    run.handled("counter", 2).await;
    run.stop().await;
    let all = attempts(&ledger);
    let [first, second] = &*all else {
        panic!("{all:#?}");
    };
    for (attempt, key) in [(first, "block-1"), (second, "block-2")] {
        assert_eq!((attempt.attempt, &attempt.outcome), (1, &Outcome::Handled));
        assert_eq!(attempt.module.name, "counter");
        let calls: Vec<_> = attempt
            .calls
            .iter()
            .map(|call| (&*call.method, call.count, call.error.is_none()))
            .collect();
        assert_eq!(calls, [("get", 1, true), ("set", 2, true)]);
        let keys: Vec<_> = attempt.writes.iter().map(|write| &*write.key).collect();
        assert_eq!(keys, [key, "count"]);
        assert_eq!(attempt.commit.map(|commit| commit.group), Some(1));
        assert!(attempt.seen.is_some() && attempt.matched == 1, "{attempt:#?}");
        assert!(
            attempt
                .used
                .iter()
                .any(|one| one.limit == "fuel_per_event" && one.used > 0)
        );
    }
    let version = Arc::ptr_eq(&first.module, &second.module);
    assert!(version, "attempts share the facts about their module");
}

#[tokio::test]
async fn only_failed_attempts_have_a_list_of_calls_unless_the_operator_wants_more() {
    let (run, ledger) = recorded("trap-after-writes", ONCE, Calls::FailedAndSlow).await;
    // The blocks 0 and 4 succeed, 1 and 3 trap, 2 returns an error.
    run.chain.mine(5);
    run.handled("trap-after-writes", 2).await;
    run.stop().await;
    let all = attempts(&ledger);
    let shown: Vec<_> = all
        .iter()
        .map(|one| {
            let is_letter = matches!(one.outcome, Outcome::DeadLetter { .. });
            (
                one.event.position.number,
                is_letter,
                one.is_detailed,
                one.calls.is_empty(),
                one.writes.is_empty(),
            )
        })
        .collect();
    let failed = |block| (block, true, true, false, true);
    let handled = |block| (block, false, false, true, false);
    assert_eq!(shown, [handled(0), failed(1), failed(2), failed(3), handled(4)]);
    assert!(
        all[1].records.iter().any(|record| record.contains("own=1")),
        "{:?}",
        all[1].records
    );
}

#[tokio::test]
async fn each_attempt_has_a_number_and_the_pause_after_it() {
    let restart = "[engine.restart]\nattempts_max = 3\nbackoff_ms = 1\n";
    let (run, ledger) = recorded("trap-after-writes", restart, Calls::FailedAndSlow).await;
    run.chain.mine(2);
    run.failed("trap-after-writes", 3).await;
    run.stop().await;
    let outcomes: Vec<_> = attempts(&ledger)
        .into_iter()
        .map(|one| (one.attempt, one.outcome))
        .collect();
    assert!(
        matches!(
            &*outcomes,
            [
                (1, Outcome::Handled),
                (1, Outcome::Retried { .. }),
                (2, Outcome::Retried { .. }),
                (3, Outcome::DeadLetter { .. })
            ]
        ),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_reorganisation_is_an_entry_with_what_stays() {
    let (run, ledger) = recorded("counter", ONCE, Calls::FailedAndSlow).await;
    run.chain.mine(4);
    run.handled("counter", 4).await;
    run.chain.reorg(2);
    run.chain.mine(2);
    run.handled("counter", 6).await;
    run.stop().await;
    let all = entries(&ledger);
    let reverts: Vec<_> = all
        .iter()
        .filter_map(|entry| match entry {
            Entry::Reverted(Reverted { module, to, .. }) => Some((&**module, to.map(|to| to.number))),
            _ => None,
        })
        .collect();
    assert_eq!(reverts, [("counter", Some(1))]);
    let blocks: Vec<_> = all
        .iter()
        .filter_map(|entry| match entry {
            Entry::Attempt(attempt) => Some(attempt.event.position.number),
            _ => None,
        })
        .collect();
    assert!(blocks.starts_with(&[0, 1, 2, 3, 2, 3]), "{blocks:?}");
}
