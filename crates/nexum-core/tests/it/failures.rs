//! Events that fail, and modules that fail repeatedly.

use std::sync::Arc;

use nexum_core::Stage;
use nexum_core::source::EventId;
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, GENESIS_MS};

use crate::support::{Setup, dead_letters};

/// A host with these modules and this number of attempts per event.
fn trying(attempts_max: u32, modules: &[&str]) -> Setup {
    let mut setup = Setup::new();
    setup.restart =
        format!("[engine.restart]\nattempts_max = {attempts_max}\nbackoff_ms = 1\nmax_consecutive_failures = 3\n");
    setup.capabilities = setup.capabilities.with(LocalStore);
    modules.iter().fold(setup, |setup, module| setup.module(module))
}

fn ids(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| letter.id.to_string()).collect()
}

#[tokio::test]
async fn a_failed_event_is_tried_again_and_then_kept_with_its_attempts() {
    let mut setup = trying(3, &["trap-after-writes", "noop"]);
    setup.restart = setup.restart.replace("failures = 3", "failures = 4");
    let store = setup.store.clone();
    let run = setup.start().await;
    // 0 and 4 succeed, 1 and 3 trap, 2 returns an error.
    run.chain.mine(5);
    run.handled("trap-after-writes", 2).await;
    run.handled("noop", 5).await;
    let status = run.status("trap-after-writes");
    assert_eq!((status.failed(), status.dead_letters()), (9, 3));
    assert_eq!(status.stage(), Stage::Running);
    let letters = dead_letters(&*store, "trap-after-writes");
    assert_eq!(
        ids(&letters),
        ["11155111:1:block", "11155111:2:block", "11155111:3:block"]
    );
    for (letter, expected) in letters.iter().zip(["is odd", "block 2 is refused", "is odd"]) {
        assert_eq!(letter.attempts.len(), 3);
        for attempt in &letter.attempts {
            let says = |text: &str| attempt.reason.contains(text) || attempt.reason.contains("unreachable");
            assert!(says(expected), "{}", attempt.reason);
            // Each attempt saw the state after the last successful event, and nothing of the
            // previous attempt.
            let own = format!("INFO own={}", letter.id.position.number);
            assert_eq!(attempt.records[..2], ["INFO before=0".to_owned(), own]);
            assert_eq!(attempt.trip, None);
        }
    }
    let summary = admin::list(&*store.view().expect("a view")).expect("a list");
    let counts: Vec<_> = summary
        .iter()
        .map(|one| (one.name.as_str(), one.dead_letters))
        .collect();
    assert_eq!(counts, [("noop", 0), ("trap-after-writes", 3)]);
    assert_eq!(
        admin::verify(&*store.frozen().expect("a view"), &mut |_| {}).expect("a look"),
        []
    );
}

#[tokio::test]
async fn what_has_become_of_an_event_does_not_change_with_a_restart_of_the_host() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let mut setup = trying(1, &["panic"]);
    setup.store = store.clone();
    let run = setup.start().await;
    run.chain.mine(3);
    run.handled("panic", 2).await;
    let chain = run.chain.clone();
    assert!(!run.stop().await.failed());
    let before = dead_letters(&*store, "panic");
    assert_eq!(ids(&before), ["11155111:1:block"]);
    let mut setup = trying(1, &["panic"]);
    setup.store = store.clone();
    let run = setup.start_on(chain, 0).await;
    run.failed("panic", 1).await;
    run.chain.mine(1);
    run.handled("panic", 1).await;
    let after = dead_letters(&*store, "panic");
    assert_eq!(ids(&after), ["11155111:1:block", "11155111:3:block"]);
    assert_eq!(after[0], before[0]);
}

#[tokio::test]
async fn a_reorganisation_takes_dead_letters_back_with_their_events() {
    let setup = trying(1, &["panic"]);
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine(5);
    run.handled("panic", 3).await;
    let kept = |letters: &[DeadLetter]| -> Vec<EventId> { letters.iter().map(|letter| letter.id).collect() };
    let before = kept(&dead_letters(&*store, "panic"));
    assert_eq!(before.len(), 2);
    // The reorg reverts blocks 3 and 4.
    run.chain.reorg(2);
    run.until("the dead letter to be taken back", || {
        dead_letters(&*store, "panic").len() == 1
    })
    .await;
    run.chain.mine(2);
    run.handled("panic", 4).await;
    let after = kept(&dead_letters(&*store, "panic"));
    assert_eq!((after.len(), after[0]), (2, before[0]));
    assert_eq!(after[1].position.number, 3);
    assert_ne!(after[1].position.hash, before[1].position.hash);
}

#[tokio::test]
async fn a_module_that_gives_up_too_many_events_is_dead_until_it_is_revived() {
    let mut setup = trying(2, &["fuel-bomb", "noop"]);
    setup.config = "[engine.limits]\nfuel_per_event = 1000000\n".to_owned();
    let store = setup.store.clone();
    let run = setup.start().await;
    run.chain.mine(10);
    run.stage("fuel-bomb", Stage::Dead).await;
    run.handled("noop", 10).await;
    let status = run.status("fuel-bomb");
    let reason = status.reason().text;
    assert!(
        reason.starts_with("3 failures in a row; the last: limit fuel_per_event"),
        "{reason}"
    );
    let letters = dead_letters(&*store, "fuel-bomb");
    // The dead letters do not include the event at which the module died.
    assert_eq!(ids(&letters), ["11155111:0:block", "11155111:1:block"]);
    let trip = letters[0].attempts[0].trip.clone().expect("a trip");
    assert_eq!((trip.limit.as_str(), trip.bound), ("fuel_per_event", 1_000_000));
    assert!(trip.used >= trip.bound);
    let failed = status.failed();
    status.restart().await.expect("a module to restart");
    run.failed("fuel-bomb", failed + 6).await;
    run.stage("fuel-bomb", Stage::Dead).await;
    let letters = dead_letters(&*store, "fuel-bomb");
    let expected: Vec<_> = (0..4).map(|number| format!("11155111:{number}:block")).collect();
    assert_eq!(ids(&letters), expected);
}

#[tokio::test]
async fn a_store_that_fails_is_no_reason_to_give_a_module_up() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let setup = || {
        let mut setup = trying(1, &["fuel-bomb"]);
        setup.config = "[engine.limits]\nfuel_per_event = 1000000\n".to_owned();
        setup.store = Arc::new(store.clone());
        setup
    };
    // The module commits its start.
    let begun = setup().start().await;
    begun.chain.mine(1);
    begun.failed("fuel-bomb", 1).await;
    let chain = begun.chain.at_head();
    begun.stop().await;

    let run = setup().start_at_head(chain).await;
    run.stage("fuel-bomb", Stage::Running).await;
    store.fail_writes(true);
    run.chain.mine(1);
    // Each time the dead letter cannot be stored, more often than a module may fail in a row.
    run.failed("fuel-bomb", 4).await;
    store.fail_writes(false);
    let kept = || ids(&dead_letters(&store, "fuel-bomb")) == ["11155111:0:block", "11155111:1:block"];
    run.until("the dead letter", kept).await;
    assert_ne!(run.status("fuel-bomb").stage(), Stage::Dead);
}

#[tokio::test]
async fn an_event_is_retried_as_long_as_its_chain_has_trouble() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = trying(2, &["fuel-bomb"]);
    setup.config = "[engine.limits]\nfuel_per_event = 1000000\n".to_owned();
    setup.store = Arc::new(store.clone());
    let run = setup.start().await;
    run.chain.set_trouble(Some(("2 of 2 endpoints down", GENESIS_MS)));
    run.chain.mine(1);
    run.failed("fuel-bomb", 6).await;
    assert!(dead_letters(&store, "fuel-bomb").is_empty());
    run.chain.set_trouble(None);
    let kept = || ids(&dead_letters(&store, "fuel-bomb")) == ["11155111:0:block"];
    run.until("the dead letter", kept).await;
}

#[tokio::test]
async fn a_module_does_not_die_of_its_init_while_its_chain_has_trouble() {
    let run = trying(1, &["bad-init"]).start().await;
    run.chain.set_trouble(Some(("2 of 2 endpoints down", GENESIS_MS)));
    run.failed("bad-init", 6).await;
    assert_ne!(run.status("bad-init").stage(), Stage::Dead);
    run.chain.set_trouble(None);
    run.stage("bad-init", Stage::Dead).await;
}

#[tokio::test]
async fn nobody_waits_longer_than_a_stop_for_a_module_that_backs_off() {
    for (fixture, blocks) in [("panic", 2), ("bad-init", 0)] {
        let mut setup = trying(5, &[fixture]);
        setup.restart = setup
            .restart
            .replace("backoff_ms = 1\n", "backoff_ms = 3600000\nbackoff_max_ms = 3600000\n");
        let run = setup.start().await;
        run.chain.mine(blocks);
        run.stage(fixture, Stage::Backoff).await;
        let status = run.status(fixture);
        let report = run.stop().await;
        assert!(!report.failed() && report.abandoned.is_empty(), "{report:?}");
        assert_eq!(status.stage(), Stage::Stopped);
    }
}

#[tokio::test]
async fn dead_letters_count_towards_the_bytes_of_the_state() {
    let mut setup = trying(1, &["panic"]);
    setup.config.push_str("[engine.limits]\nstate_bytes = 10\n");
    let run = setup.start().await;
    run.chain.mine(3);
    run.stage("panic", Stage::Dead).await;
    assert_eq!(run.status("panic").dead_letters(), 0);
    let reason = run.status("panic").reason().text;
    assert!(
        reason.contains("the maximum number or size of dead letters"),
        "{reason}"
    );
}
