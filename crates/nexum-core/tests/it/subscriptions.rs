//! The events of a module's subscriptions, in the journal that it keeps.

use std::sync::Arc;

use nexum_core::Stage;
use nexum_core::store::MemoryStore;
use nexum_testing::{ScriptedSource, TEST_CHAIN_ID, journal};

use crate::support::journals::{ADDRESS, Journals, OTHER, brief, entries, log};

const LOGS: &str = "kind = \"log\"\naddress = \"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
const BLOCKS: &str = "kind = \"block\"";

#[tokio::test]
async fn logs_come_before_their_block_in_one_event_for_each_module() {
    let journals = Journals::new()
        .module("both", &[BLOCKS, LOGS])
        .module("logs", &[LOGS])
        .module("all", &["kind = \"log\""])
        .module("blocks", &[BLOCKS]);
    let (run, store, _manifests) = journals.start().await;
    run.chain.mine(1);
    run.chain
        .mine_with(vec![log(ADDRESS, 1, 0), log(OTHER, 1, 1), log(ADDRESS, 1, 2)]);
    run.chain.mine_with(vec![log(OTHER, 2, 0)]);
    entries(&run, &store, "both", &["block 0", "logs 1/0 1/2", "block 1", "block 2"]).await;
    entries(&run, &store, "logs", &["logs 1/0 1/2"]).await;
    entries(&run, &store, "all", &["logs 1/0 1/1 1/2", "logs 2/0"]).await;
    entries(&run, &store, "blocks", &["block 0", "block 1", "block 2"]).await;
}

#[tokio::test]
async fn a_log_that_several_filters_want_comes_once() {
    let topic = format!("kind = \"log\"\nevent_signature = \"0x{}\"", "11".repeat(32));
    let none = format!("kind = \"log\"\ntopics = [\"\", \"0x{}\"]", "22".repeat(32));
    let journals = Journals::new().module("journal", &[LOGS, &topic, &none]);
    let (run, store, _manifests) = journals.start().await;
    run.chain.mine_with(vec![log(ADDRESS, 0, 0), log(OTHER, 0, 1)]);
    entries(&run, &store, "journal", &["logs 0/0 0/1"]).await;
}

#[tokio::test]
async fn confirmations_keep_a_module_out_of_reorganisations() {
    let confirmed = "kind = \"block\"\nconfirmations = 3";
    let journals = Journals::new()
        .module("head", &[BLOCKS])
        .module("settled", &[confirmed]);
    let (run, store, _manifests) = journals.start().await;
    run.chain.mine(5);
    entries(&run, &store, "settled", &["block 0", "block 1"]).await;
    run.chain.reorg(3);
    run.chain.mine(5);
    let every: Vec<_> = (0..=6).map(|number| format!("block {number}")).collect();
    entries(
        &run,
        &store,
        "head",
        &every.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    entries(&run, &store, "settled", &["block 0", "block 1", "block 2", "block 3"]).await;
    assert!(
        run.records
            .find("reverted after a reorganisation")
            .is_some_and(|record| record.fields["module"] == "head")
    );
    assert_eq!(journal(&*store, "settled")[2..], journal(&*store, "head")[2..4]);
}

#[tokio::test]
async fn a_reorganisation_takes_back_later_events_of_other_topics_and_delivers_them_again() {
    let confirmed = "kind = \"log\"\nconfirmations = 2";
    let journals = Journals::new().module("journal", &[BLOCKS, confirmed]);
    let (run, store, _manifests) = journals.start().await;
    run.chain.mine_with(vec![log(ADDRESS, 0, 0)]);
    run.chain.mine_with(vec![log(ADDRESS, 1, 0)]);
    run.chain.mine(2);
    run.until("both topics", || journal(&*store, "journal").len() == 6)
        .await;
    // The reorg reverts block 2 and all later events: the logs of block 0 or 1, which block 2 had
    // made final.
    run.chain.reorg(2);
    run.chain.mine(2);
    run.until("the new blocks", || {
        let entries = journal(&*store, "journal");
        entries.len() == 6
            && entries
                .iter()
                .any(|entry| entry.starts_with("block 3 000000000000000301"))
    })
    .await;
    let entries = brief(&journal(&*store, "journal"));
    for logs in ["logs 0/0", "logs 1/0"] {
        assert_eq!(entries.iter().filter(|entry| *entry == logs).count(), 1, "{entries:?}");
    }
    let blocks: Vec<_> = entries.iter().filter(|entry| entry.starts_with("block")).collect();
    assert_eq!(blocks, ["block 0", "block 1", "block 2", "block 3"]);
}

#[tokio::test]
async fn each_subscription_begins_where_it_says() {
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    for number in 0..8 {
        chain.mine_with(vec![log(ADDRESS, number, 0)]);
    }
    let past = format!("{LOGS}\nfrom_block = 5");
    let future = "kind = \"block\"\nfrom_block = 10";
    let journals = Journals::new()
        .module("past", &[&past, BLOCKS])
        .module("future", &[future])
        .module("now", &[BLOCKS]);
    let (run, store, _manifests) = journals.start_on(chain, 0).await;
    run.chain.mine(2);
    let expected = ["logs 5/0", "logs 6/0", "logs 7/0", "block 8", "block 9", "block 10"];
    entries(&run, &store, "past", &expected).await;
    entries(&run, &store, "future", &["block 10"]).await;
    entries(&run, &store, "now", &["block 8", "block 9", "block 10"]).await;
}

#[tokio::test]
async fn what_was_missed_comes_again_unless_only_the_latest_matters() {
    let store = Arc::new(MemoryStore::new());
    let latest = "kind = \"block\"\ncatch_up = \"latest\"";
    let journals = |store: &Arc<MemoryStore>| {
        Journals::over(store.clone())
            .module("all", &[BLOCKS])
            .module("latest", &[latest])
            .module("logs", &[latest, LOGS])
    };
    let (run, _, _manifests) = journals(&store).start().await;
    run.chain.mine(1);
    for module in ["all", "latest", "logs"] {
        entries(&run, &store, module, &["block 0"]).await;
    }
    let chain = run.chain.clone();
    assert!(!run.stop().await.failed());
    chain.mine_with(vec![log(ADDRESS, 1, 0)]);
    let (run, store, _manifests) = journals(&store).start_on(chain, 4).await;
    entries(&run, &store, "latest", &["block 0", "block 6"]).await;
    entries(&run, &store, "logs", &["block 0", "logs 1/0", "block 6"]).await;
    let every: Vec<_> = (0..=6).map(|number| format!("block {number}")).collect();
    entries(
        &run,
        &store,
        "all",
        &every.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
}

#[tokio::test]
async fn a_lost_chain_stops_its_modules_with_the_reason() {
    let journals = Journals::new().module("journal", &[BLOCKS]);
    let (mut run, store, _manifests) = journals.start().await;
    run.chain.mine(3);
    run.chain.fail("the reorganisation is too deep");
    run.stage("journal", Stage::Dead).await;
    // Earlier blocks are handled first.
    assert_eq!(journal(&*store, "journal").len(), 3);
    let record = run.records.find("the module is dead").expect("a record");
    assert_eq!(
        record.fields["error"],
        "chain 11155111 is lost: the reorganisation is too deep"
    );
    assert!(run.ended().await.failed());
}

#[tokio::test]
async fn a_chain_that_the_cursor_does_not_know_stops_the_module_and_names_both_blocks() {
    let store = Arc::new(MemoryStore::new());
    let (run, _, _manifests) = Journals::over(store.clone()).module("journal", &[BLOCKS]).start().await;
    run.chain.mine(5);
    entries(
        &run,
        &store,
        "journal",
        &["block 0", "block 1", "block 2", "block 3", "block 4"],
    )
    .await;
    assert!(!run.stop().await.failed());
    // The next endpoint serves a chain without a common block.
    let other = ScriptedSource::of_fork(TEST_CHAIN_ID, 1);
    let (mut run, store, _manifests) = Journals::over(store)
        .module("journal", &[BLOCKS])
        .start_on(other, 9)
        .await;
    run.stage("journal", Stage::Dead).await;
    assert_eq!(journal(&*store, "journal").len(), 5);
    let record = run.records.find("the module is dead").expect("a record");
    let error = &record.fields["error"];
    let hash = |fork: &str| format!("4 (0x0000000000000004{})", fork.repeat(24));
    for part in [
        hash("00"),
        format!("the chain now has {}", hash("01")),
        "remove the module's state with `nexum state purge journal`".to_owned(),
    ] {
        assert!(error.contains(&part), "{error}");
    }
    assert!(run.ended().await.failed());
}
