//! The path of an event, from the source to the module's state.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use nexum_core::source::Position;
use nexum_core::state::admin;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::{Condition, ModuleStatus, Stage};
use nexum_host_store::LocalStore;
use nexum_testing::TEST_CHAIN_ID;

use crate::support::{Setup, SilentChain};

fn cursor(store: &MemoryStore, module: &str) -> Option<Position> {
    let name: ModuleName = module.parse().expect("a name");
    admin::summary(&*store.view().expect("a view"), &name)
        .expect("a summary")?
        .cursors
        .get(ChainTopic::latest(TEST_CHAIN_ID).into())?
        .last
        .map(|last| last.position)
}

/// The numbers of the blocks in a `recorder`.
fn numbers(records: &[String]) -> Vec<u64> {
    let number = |record: &String| record.split_once("number=")?.1.split(' ').next()?.parse().ok();
    records.iter().filter_map(number).collect()
}

#[tokio::test]
async fn every_module_gets_every_block_in_order() {
    let setup = Setup::new().config("[engine.limits]\nlog_records_per_event = 10\n");
    let run = setup
        .module_with("recorder", "name = \"one\"")
        .module_with("recorder", "name = \"two\"")
        .start()
        .await;
    run.chain.mine(50);
    run.handled("one", 50).await;
    run.chain.mine(50);
    run.handled("one", 100).await;
    run.handled("two", 100).await;
    for module in ["one", "two"] {
        assert_eq!(numbers(&run.records.of_module(module)), (0..100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_slow_module_slows_nobody_and_misses_nothing() {
    let chain = SilentChain::default();
    let mut setup = Setup::new().module("slow-host").module("noop");
    setup.config = "[engine.limits]\nevent_deadline_ms = 60000\n".to_owned();
    setup.capabilities = setup.capabilities.with(chain.clone());
    let run = setup.start().await;
    // Three times as many blocks as a log holds, while `slow-host` waits in its first.
    for round in 1..=31 {
        run.chain.mine(100);
        run.handled("noop", round * 100).await;
    }
    assert_eq!((run.status("slow-host").handled(), chain.asked()), (0, 1));
    chain.open();
    run.handled("slow-host", 3_100).await;
    assert_eq!((run.status("slow-host").failed(), chain.asked()), (0, 3_100));
}

#[tokio::test]
async fn a_module_behind_the_log_reads_the_gap_from_the_source() {
    let store = Arc::new(MemoryStore::new());
    let mut setup = Setup::new().module("recorder");
    setup.store = store.clone();
    let run = setup.start().await;
    run.chain.mine(5);
    run.handled("recorder", 5).await;
    let chain = run.chain.clone();
    assert!(!run.stop().await.failed());
    assert_eq!(cursor(&store, "recorder").map(|position| position.number), Some(4));

    // While the host is down, the chain grows. A new host begins at the head and must fill the gap.
    let mut setup = Setup::new().module("recorder");
    setup.store = store.clone();
    let run = setup.start_on(chain, 9).await;
    run.handled("recorder", 10).await;
    assert_eq!(numbers(&run.records.of_module("recorder")), (5..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_the_lost_blocks_wrote() {
    let store = Arc::new(MemoryStore::new());
    let mut setup = Setup::new().module("trap-after-writes");
    setup.store = store.clone();
    setup.capabilities = setup.capabilities.with(LocalStore);
    let run = setup.start().await;
    run.chain.mine(9);
    run.handled("trap-after-writes", 3).await;
    // Block 8 wrote. The reorg reverts it, and another block 8 arrives, then up to 12.
    run.chain.reorg(3);
    run.chain.mine(7);
    run.handled("trap-after-writes", 5).await;
    let records = run.records.of_module("trap-after-writes").join(" ");
    assert!(records.ends_with(
        "before=4 own=6 before=4 own=7 before=4 own=8 before=8 own=9 before=8 own=10 before=8 own=11 before=8 own=12"
    ), "{records}");
    assert!(run.records.find("reverted after a reorganisation").is_some());
    assert!(!run.stop().await.failed());
    assert_eq!(
        cursor(&store, "trap-after-writes").map(|position| position.number),
        Some(12)
    );
}

#[tokio::test]
async fn a_revert_discards_the_instance_even_if_nothing_was_written() {
    let run = Setup::new().module("recorder").start().await;
    run.chain.mine(3);
    run.handled("recorder", 3).await;
    run.chain.reorg(1);
    run.chain.mine(2);
    run.handled("recorder", 5).await;
    let records = run.records.of_module("recorder");
    assert_eq!(numbers(&records), [0, 1, 2, 2, 3]);
    assert_eq!(records.iter().filter(|record| record.starts_with("init")).count(), 2);
}

#[tokio::test]
async fn failures_in_a_row_make_a_module_dead_and_leave_the_others() {
    let run = Setup::new()
        .module("table-bomb")
        .module("noop")
        .config("[engine.limits]\ntable_elements = 1000\n")
        .start()
        .await;
    run.chain.mine(12);
    run.stage("table-bomb", Stage::Dead).await;
    run.handled("noop", 12).await;
    assert_eq!(run.status("table-bomb").failed(), 10);
    let report = run.stop().await;
    assert!(!report.failed());
}

#[tokio::test]
async fn a_run_without_a_living_module_has_failed() {
    let mut run = Setup::new().module("bad-init").start().await;
    let report = run.ended().await;
    assert!(report.failed());
}

#[tokio::test]
async fn a_lost_chain_is_named() {
    let mut run = Setup::new().module("noop").start().await;
    run.chain.fail("the endpoint is of chain 1");
    let report = run.ended().await;
    assert!(report.failed());
    assert_eq!(
        report.lost_chains[0].to_string(),
        "chain 11155111: the endpoint is of chain 1"
    );
}

#[tokio::test]
async fn a_stop_finishes_the_event_in_hand() {
    let limits = "[engine.limits]\nfuel_per_event = 100000000000000\nevent_deadline_ms = 300\n";
    let run = Setup::new().config(limits).module("spin").start().await;
    run.chain.mine(2);
    run.handled("spin", 1).await;
    let status = run.status("spin");
    let report = run.stop().await;
    // The handler was spinning at the stop: its deadline ended it, not the stop.
    assert_eq!(
        (status.failed(), status.stage(), report.failed()),
        (1, Stage::Stopped, false)
    );
}

#[tokio::test]
async fn events_that_come_too_fast_wait_and_none_is_lost() {
    let limits = "[engine.limits]\nevents_per_second = 100\n";
    let run = Setup::new().config(limits).module("noop").start().await;
    run.stage("noop", Stage::Running).await;
    // The test's clock stands still, so the bucket holds the tokens of one second.
    run.chain.mine(150);
    run.handled("noop", 100).await;
    run.clock.advance(Duration::from_millis(100));
    run.handled("noop", 110).await;
    assert_eq!(run.status("noop").handled(), 110);
    let says_why = |status: &ModuleStatus| {
        let Condition { stage, reason, .. } = status.condition();
        stage == Stage::Behind && reason.text.starts_with("events_per_second ")
    };
    run.until_status("noop", "the limit to be the reason", says_why).await;
    // The rate limit does not delay the operator's commands.
    run.status("noop").stop().await.expect("a stop");
    run.status("noop").start().await.expect("a start");
    run.clock.advance(Duration::from_secs(1));
    run.handled("noop", 150).await;
    assert_eq!(run.status("noop").failed(), 0);
}
