//! The log and the status while the store or a source fails.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::store::{Location, MemoryStore};
use nexum_core::{CommitPolicy, Reason, Stage};
use nexum_testing::{FaultyStore, GENESIS_MS, ScriptedSource, TEST_CHAIN_ID};
use tracing::Level;

use super::{Journals, row, until_blocks};
use crate::support::Run;

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The attempts within one minute that a test waits for: the first may have read the clock earlier.
const ATTEMPTS: usize = 2;

/// A store on a full disk, which fails when a test says so.
fn store_on_a_disk() -> FaultyStore {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    set_free(&store, 0);
    store
}

fn set_free(store: &FaultyStore, bytes: u64) {
    store.set_location(Location {
        path: "/state/state.redb".into(),
        free_bytes: Some(bytes),
    });
}

/// The reports of a target at INFO or above whose message contains a word: level, message and these
/// fields.
fn reports(run: &Run, target: &str, word: &str, fields: &[&str]) -> Vec<String> {
    let records = run.records.all().into_iter();
    let records = records.filter(|record| record.target == target && record.level <= Level::INFO);
    let shown = records.filter(|record| record.message.contains(word)).map(|record| {
        let fields = fields
            .iter()
            .filter_map(|name| Some(format!(" {name}={}", record.fields.get(*name)?)));
        format!("{} {}{}", record.level, record.message, fields.collect::<String>())
    });
    shown.collect()
}

fn of_store(run: &Run) -> Vec<String> {
    reports(
        run,
        "nexum::store",
        "",
        &["error", "path", "free_bytes", "seconds", "hint"],
    )
}

/// The numbers of attempts in the store's reports.
fn attempts(run: &Run) -> Vec<usize> {
    let records = run.records.all().into_iter();
    let records = records.filter(|record| record.target == "nexum::store");
    let attempts = records.filter_map(|record| record.fields.get("attempts")?.parse().ok());
    attempts.collect()
}

/// Waits until the store has refused more writes.
async fn until_refused(run: &Run, store: &FaultyStore) {
    let before = store.refused();
    run.until("failed writes", || store.refused() >= before + ATTEMPTS)
        .await;
}

#[tokio::test]
async fn a_full_disk_is_reported_when_it_begins_once_a_minute_and_when_it_ends() {
    let mut journals = Journals::over(store_on_a_disk())
        .module("one", &[TEST_CHAIN_ID])
        .module("two", &[TEST_CHAIN_ID]);
    // The headers of blocks make many attempts.
    journals.setup.policy = CommitPolicy {
        cursor_flush: Duration::from_millis(5),
        ..CommitPolicy::default()
    };
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(3);
    until_blocks(&run, &store, "one", &row(0..3, 0)).await;
    until_blocks(&run, &store, "two", &row(0..3, 0)).await;
    assert_eq!(of_store(&run), [""; 0]);

    store.fail_writes(true);
    run.chain.mine(1);
    run.stage("one", Stage::Stalled).await;
    run.stage("two", Stage::Stalled).await;
    for minutes in 1..=3 {
        until_refused(&run, &store).await;
        run.clock.advance(MINUTE - MILLISECOND);
        until_refused(&run, &store).await;
        assert_eq!(of_store(&run).len(), minutes, "{:?}", of_store(&run));
        run.clock.advance(MILLISECOND);
        run.until("a report", || of_store(&run).len() == minutes + 1).await;
    }
    set_free(&store, 4096);
    run.clock.advance(MINUTE / 2);
    store.fail_writes(false);
    until_blocks(&run, &store, "one", &row(0..4, 0)).await;
    until_blocks(&run, &store, "two", &row(0..4, 0)).await;
    run.until("the end of the outage", || of_store(&run).len() == 5).await;

    let failing = |seconds: u32| {
        format!(
            "ERROR the state store cannot be written: modules wait with their committed state, and nexum retries \
             error=the state store failed: no space left on the disk path=/state/state.redb free_bytes=0 \
             seconds={seconds} hint=free disk space, or repair the disk or the database"
        )
    };
    let ended = "INFO the state store can be written again, and the modules continue path=/state/state.redb \
                 free_bytes=4096 seconds=210";
    let expected = [failing(0), failing(60), failing(120), failing(180), ended.to_owned()];
    assert_eq!(of_store(&run), expected);
    let attempts = attempts(&run);
    assert!(
        attempts.is_sorted_by(|one, next| one < next || *next == store.refused()),
        "{attempts:?}"
    );
    assert_eq!((attempts[0], attempts[4]), (1, store.refused()));
    // The modules' own lines are no part of the operator's log.
    assert_eq!(reports(&run, "nexum::event", "waits", &[]), [""; 0]);
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn the_status_says_why_and_since_when_a_module_waits_for_the_store() {
    let journals = Journals::over(store_on_a_disk()).module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(1);
    until_blocks(&run, &store, "journal", &row(0..1, 0)).await;
    store.fail_writes(true);
    run.chain.mine(1);
    run.stage("journal", Stage::Stalled).await;
    run.clock.advance(MINUTE);
    let reason = || run.status("journal").reason();
    let expected = Reason {
        text: "the commit failed: the state store failed: no space left on the disk".into(),
        since_ms: GENESIS_MS,
    };
    // The module runs its event again after each wait, and each wait is longer. The time of the
    // first failure stays.
    let delays = || {
        let records = run.records.all().into_iter();
        let waits = records.filter(|record| record.message.starts_with("the module waits for the state store"));
        waits
            .filter_map(|record| record.fields.get("delay").cloned())
            .collect::<Vec<_>>()
    };
    run.until("three waits", || delays().len() == 3).await;
    assert_eq!(delays(), ["200ms", "400ms", "800ms"]);
    run.stage("journal", Stage::Stalled).await;
    assert_eq!(reason(), expected);
    store.fail_writes(false);
    until_blocks(&run, &store, "journal", &row(0..2, 0)).await;
    run.stage("journal", Stage::Running).await;
    // A later failure begins with a short wait.
    run.handled("journal", 2).await;
    store.fail_writes(true);
    run.chain.mine(1);
    run.until("one more wait", || delays().len() == 4).await;
    assert_eq!(delays()[3], "200ms");
    let since_ms = reason().since_ms;
    assert_eq!(since_ms, GENESIS_MS + 60_000);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_reported_once_for_all_modules() {
    let journals = Journals::over(store_on_a_disk())
        .module("one", &[TEST_CHAIN_ID])
        .module("two", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(2);
    until_blocks(&run, &store, "one", &row(0..2, 0)).await;
    until_blocks(&run, &store, "two", &row(0..2, 0)).await;
    store.fail_reads(true);
    run.chain.mine(1);
    run.stage("one", Stage::Stalled).await;
    run.stage("two", Stage::Stalled).await;
    run.until("the first report", || of_store(&run).len() == 1).await;
    run.clock.advance(MINUTE);
    run.until("the second report", || of_store(&run).len() == 2).await;
    store.fail_reads(false);
    until_blocks(&run, &store, "one", &row(0..3, 0)).await;
    until_blocks(&run, &store, "two", &row(0..3, 0)).await;
    run.until("the end of the outage", || of_store(&run).len() == 3).await;
    let failing = |seconds: u32| {
        format!(
            "ERROR the state store cannot be read: modules wait with their committed state, and nexum retries \
             error=the state store failed: cannot read the disk path=/state/state.redb free_bytes=0 \
             seconds={seconds} hint=free disk space, or repair the disk or the database"
        )
    };
    let ended = "INFO the state store can be read again, and the modules continue path=/state/state.redb free_bytes=0 \
                 seconds=60";
    assert_eq!(of_store(&run), [failing(0), failing(60), ended.to_owned()]);
}

#[tokio::test]
async fn a_source_that_cannot_replay_is_reported_once_a_minute() {
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    chain.mine(5);
    let chain = chain.at_head();
    chain.fail_replays(Some("no endpoint"));
    let journals = Journals::new().from("journal", &[TEST_CHAIN_ID], 0);
    let store = journals.store.clone();
    let run = journals.setup.start_at_head(chain.clone()).await;
    chain.mine(1);
    let lines = || reports(&run, "nexum::event", "replay", &["module", "chain", "error", "seconds"]);
    run.until("the first report", || lines().len() == 1).await;
    run.clock.advance(MINUTE);
    run.until("the second report", || lines().len() == 2).await;
    chain.fail_replays(None);
    until_blocks(&run, &store, "journal", &row(0..6, 0)).await;
    let failing = |seconds: u32| {
        format!(
            "WARN cannot replay the events that the module missed; nexum retries module=journal chain={TEST_CHAIN_ID} \
             error=chain {TEST_CHAIN_ID}: no endpoint seconds={seconds}"
        )
    };
    let ended = format!(
        "INFO the source can replay the events that the module missed again module=journal chain={TEST_CHAIN_ID} \
         seconds=60"
    );
    assert_eq!(lines(), [failing(0), failing(60), ended]);
}
