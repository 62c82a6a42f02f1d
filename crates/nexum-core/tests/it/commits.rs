//! The durability of an event's writes, and failures of the store.

mod outages;

use std::path::PathBuf;
use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_config::topic::ChainId;
use nexum_core::Stage;
use nexum_core::source::EventSource;
use nexum_core::state::admin;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::SteerError;
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, ScriptedSource, TEST_CHAIN_ID, journal, kept};
use tempfile::TempDir;

use crate::support::{Run, Setup};

const OTHER_CHAIN_ID: ChainId = 100;

/// A host with journals of the blocks of these chains.
struct Journals {
    manifests: TempDir,
    setup: Setup,
    store: FaultyStore,
}

impl Journals {
    fn over(store: FaultyStore) -> Self {
        let mut setup = Setup::new();
        setup.capabilities = setup.capabilities.with(LocalStore);
        setup.store = Arc::new(store.clone());
        let manifests = TempDir::new().expect("a directory");
        Self {
            manifests,
            setup,
            store,
        }
    }

    fn new() -> Self {
        Self::over(FaultyStore::new(Arc::new(MemoryStore::new())))
    }

    fn module(self, name: &str, chains: &[ChainId]) -> Self {
        self.subscribed(name, chains, "")
    }

    /// As [`Self::module`], for the blocks from this one on.
    fn from(self, name: &str, chains: &[ChainId], block: u64) -> Self {
        self.subscribed(name, chains, &format!("from_block = {block}\n"))
    }

    fn subscribed(mut self, name: &str, chains: &[ChainId], keys: &str) -> Self {
        let table = |id: &ChainId| format!("[[subscription]]\nkind = \"block\"\nchain_id = {id}\n{keys}");
        let tables: String = chains.iter().map(table).collect();
        let manifest: PathBuf = self.manifests.path().join(format!("{name}.toml"));
        std::fs::write(&manifest, format!("[capabilities]\nrequired = [\"store\"]\n{tables}")).expect("a manifest");
        let keys = format!("name = \"{name}\"\nmanifest = {:?}", manifest.display().to_string());
        self.setup = self.setup.module_with("journal", &keys);
        self
    }

    fn other_chain(mut self) -> (Self, ScriptedSource) {
        let other = ScriptedSource::new(OTHER_CHAIN_ID);
        self.setup.other_chain = Some(other.clone());
        (self, other)
    }
}

/// The blocks in a journal: the number, and the fork of the hash.
fn blocks(store: &FaultyStore, module: &str) -> Vec<(u64, u8)> {
    let entry = |entry: &String| {
        let mut words = entry.split(' ').skip(1);
        let number = words.next()?.parse().ok()?;
        let fork = words.next()?.get(16..18)?.parse().ok()?;
        Some((number, fork))
    };
    let entries = journal(store, module);
    let blocks: Vec<_> = entries.iter().filter_map(entry).collect();
    assert_eq!(blocks.len(), entries.len(), "{entries:?}");
    blocks
}

fn row(numbers: std::ops::Range<u64>, fork: u8) -> Vec<(u64, u8)> {
    numbers.map(|number| (number, fork)).collect()
}

async fn until_blocks(run: &Run, store: &FaultyStore, module: &str, expected: &[(u64, u8)]) {
    let what = format!("{module} to have {expected:?}");
    // Reads a whole journal only when it has the expected length, because reading a long one takes
    // as long as writing a part of it.
    let length = Some((expected.len() as u64).to_le_bytes().to_vec());
    run.until(&what, || {
        kept(store, module, "entries") == length && blocks(store, module) == expected
    })
    .await;
}

#[tokio::test]
async fn commits_that_come_while_one_is_made_become_one_transaction() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let journals = || {
        let all = names.iter();
        all.fold(Journals::over(store.clone()), |all, name| {
            all.module(name, &[TEST_CHAIN_ID])
        })
    };
    // The modules commit their starts.
    let begun = journals().setup.start().await;
    begun.chain.mine(1);
    for name in &names {
        begun.handled(name, 1).await;
    }
    let chain = begun.chain.at_head();
    begun.stop().await;

    let run = journals().setup.start_at_head(chain).await;
    run.stage("m39", Stage::Running).await;
    let before = store.written();
    store.hold_writes(true);
    run.chain.mine(1);
    run.until("the first commit", || store.held() == 1).await;
    // Meanwhile the other modules submit their commits: each does at the end of its handler.
    for name in &names {
        let status = run.status(name);
        run.until(&format!("{name} to hand in what it wrote"), || {
            status.consumption().last()[Limit::StoreOperations] > 0
        })
        .await;
    }
    store.hold_writes(false);
    for name in &names {
        run.handled(name, 1).await;
    }
    assert!(
        store.written() - before <= 5,
        "{} transactions",
        store.written() - before
    );
}

#[tokio::test]
async fn an_event_that_wrote_nothing_needs_no_transaction_of_its_own() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let mut setup = Setup::new().module("recorder");
    setup.store = Arc::new(store.clone());
    let run = setup.start().await;
    run.chain.mine(1);
    run.handled("recorder", 1).await;
    let before = store.written();
    for block in 2..=200 {
        run.chain.mine(1);
        run.handled("recorder", block).await;
    }
    assert!(
        store.written() - before <= 20,
        "{} transactions",
        store.written() - before
    );
    assert!(!run.stop().await.failed());
    // The cursor was durable when the host ended.
    let name = "recorder".parse().expect("a name");
    let summary = admin::summary(&*store.view().expect("a view"), &name).expect("a summary");
    let last = summary
        .expect("a module")
        .cursors
        .iter()
        .next()
        .and_then(|cursor| cursor.last)
        .expect("a last event");
    assert_eq!(last.position.number, 199);
}

#[tokio::test]
async fn a_cursor_is_never_durable_ahead_of_a_write() {
    // The commits of a replay are delayed, and so are later cursors of events without writes.
    let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(1);
    until_blocks(&run, &store, "journal", &row(0..1, 0)).await;
    let chain = run.chain.clone();
    assert!(!run.stop().await.failed());
    let before = store.written();
    let journals = Journals::over(store.clone()).module("journal", &[TEST_CHAIN_ID]);
    let run = journals.setup.start_on(chain, 1_000).await;
    run.handled("journal", 1_001).await;
    until_blocks(&run, &store, "journal", &row(0..1_002, 0)).await;
    let transactions = store.written() - before;
    assert!(
        (16..=40).contains(&transactions),
        "{transactions} transactions for 1,000 events of a replay"
    );
}

#[tokio::test]
async fn a_full_disk_stalls_the_modules_that_write_and_loses_nothing() {
    let mut journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    journals.setup = journals.setup.module("noop");
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(3);
    until_blocks(&run, &store, "journal", &row(0..3, 0)).await;
    store.fail_writes(true);
    run.chain.mine(5);
    run.stage("journal", Stage::Stalled).await;
    run.handled("noop", 8).await;
    assert_eq!(run.status("noop").stage(), Stage::Running);
    assert_eq!(blocks(&store, "journal"), row(0..3, 0));
    assert!(run.records.find("the state store cannot be written").is_some());
    store.fail_writes(false);
    until_blocks(&run, &store, "journal", &row(0..8, 0)).await;
    run.stage("journal", Stage::Running).await;
    assert_eq!(run.status("journal").failed(), 0);
    assert!(!run.stop().await.failed());
}

#[tokio::test]
async fn a_write_that_failed_after_it_was_made_is_not_made_twice() {
    let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(3);
    until_blocks(&run, &store, "journal", &row(0..3, 0)).await;
    store.fail_writes_after_the_fact();
    run.chain.mine(2);
    run.stage("journal", Stage::Stalled).await;
    store.fail_writes(false);
    run.chain.mine(2);
    until_blocks(&run, &store, "journal", &row(0..7, 0)).await;
}

#[tokio::test]
async fn an_event_whose_state_cannot_be_read_waits_until_it_can() {
    let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(2);
    until_blocks(&run, &store, "journal", &row(0..2, 0)).await;
    store.fail_reads(true);
    run.chain.mine(2);
    run.stage("journal", Stage::Stalled).await;
    store.fail_reads(false);
    until_blocks(&run, &store, "journal", &row(0..4, 0)).await;
    assert_eq!(run.status("journal").failed(), 0);
}

#[tokio::test]
async fn a_commit_in_hand_a_revert_and_a_stop_come_in_this_order() {
    let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(5);
    until_blocks(&run, &store, "journal", &row(0..5, 0)).await;
    store.hold_writes(true);
    run.chain.mine(1);
    run.until("a commit", || store.held() == 1).await;
    run.chain.reorg(3);
    run.chain.mine(1);
    let chain = run.chain.clone();
    // The stop comes while the commit of block 5 waits. The commit finishes, and the next start
    // performs the revert.
    let steering = run.steering.clone();
    let stopping = run.stop();
    let release = async {
        // The runners receive the stop after the handle stops accepting commands.
        assert!(matches!(steering.flush().await, Err(SteerError::NotRunning)));
        store.hold_writes(false);
    };
    let (report, ()) = tokio::join!(biased; stopping, release);
    assert!(!report.failed());
    assert_eq!(blocks(&store, "journal"), row(0..6, 0));
    let journals = Journals::over(store.clone()).module("journal", &[TEST_CHAIN_ID]);
    let run = journals.setup.start_on(chain, 4).await;
    let expected = [row(0..3, 0), row(3..9, 1)].concat();
    until_blocks(&run, &store, "journal", &expected).await;
}

#[tokio::test]
async fn a_reorganisation_while_the_host_was_down_is_rolled_back_before_the_first_event() {
    for (depth, missed) in [(1, 0), (1, 1), (2, 5), (4, 2), (100, 300)] {
        let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
        let store = journals.store.clone();
        let run = journals.setup.start().await;
        run.chain.mine(110);
        until_blocks(&run, &store, "journal", &row(0..110, 0)).await;
        let chain = run.chain.clone();
        assert!(!run.stop().await.failed());
        chain.reorg(depth);
        let journals = Journals::over(store.clone()).module("journal", &[TEST_CHAIN_ID]);
        let run = journals.setup.start_on(chain, depth + missed).await;
        let fork = 110 - depth as u64;
        let head = 110 + missed as u64 + 1;
        until_blocks(&run, &store, "journal", &[row(0..fork, 0), row(fork..head, 1)].concat()).await;
        assert!(run.records.find("reverted after a reorganisation").is_some());
        run.handled("journal", head - fork).await;
        assert_eq!(run.status("journal").handled(), head - fork);
    }
}

#[tokio::test]
async fn a_module_that_replayed_a_fork_which_no_log_ever_saw_finds_back_by_its_own_way() {
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    chain.mine(30);
    let chain = chain.at_head();
    // The log contains only block 30, while replays return a fork from block 20 on.
    chain.mine(1);
    chain.reorg(11);
    chain.mine(20);
    chain.hide_after(1);
    let journals = Journals::new().from("journal", &[TEST_CHAIN_ID], 0);
    let store = journals.store.clone();
    let run = journals.setup.start_at_head(chain.clone()).await;
    let reached = || blocks(&store, "journal").contains(&(28, 1));
    run.until("the fork to be replayed", reached).await;
    drop(run);
    assert!(reached());
    chain.reorg(25);
    chain.mine(20);
    let journals = Journals::over(store.clone()).from("journal", &[TEST_CHAIN_ID], 0);
    let run = journals.setup.start_on(chain, 0).await;
    let expected = [row(0..15, 0), row(15..36, 2)].concat();
    until_blocks(&run, &store, "journal", &expected).await;
}

#[tokio::test]
async fn a_module_whose_every_block_was_replaced_starts_again() {
    for first in [0, 1, 10] {
        let chain = ScriptedSource::new(TEST_CHAIN_ID);
        chain.mine(30);
        let chain = chain.at_head();
        // The log contains only block 30, while replays return a fork from block 1 on.
        chain.mine(1);
        chain.reorg(30);
        chain.mine(30);
        chain.hide_after(1);
        let journals = Journals::new().from("journal", &[TEST_CHAIN_ID], first);
        let store = journals.store.clone();
        let run = journals.setup.start_at_head(chain.clone()).await;
        let reached = || blocks(&store, "journal").contains(&(28, 1));
        run.until("the fork to be replayed", reached).await;
        drop(run);
        chain.reorg(30);
        chain.mine(30);
        let journals = Journals::over(store.clone()).from("journal", &[TEST_CHAIN_ID], first);
        let run = journals.setup.start_on(chain, 0).await;
        let genesis = first.min(1)..1;
        let expected = [row(genesis, 0), row(first.max(1)..32, 2)].concat();
        until_blocks(&run, &store, "journal", &expected).await;
    }
}

#[tokio::test]
async fn a_module_whose_first_events_cannot_be_reverted_does_not_start_again() {
    let journals = Journals::new().from("journal", &[TEST_CHAIN_ID], 0);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(2_500);
    until_blocks(&run, &store, "journal", &row(0..2_500, 0)).await;
    drop(run);
    let other = ScriptedSource::new(TEST_CHAIN_ID);
    other.mine(2);
    other.reorg(1);
    other.mine(2_500);
    let journals = Journals::over(store.clone()).from("journal", &[TEST_CHAIN_ID], 0);
    let run = journals.setup.start_on(other, 0).await;
    run.stage("journal", Stage::Dead).await;
    let reason = run.status("journal").reason().text;
    assert!(reason.contains("they have no known common ancestor"), "{reason}");
    assert_eq!(blocks(&store, "journal"), row(0..2_500, 0));
}

#[tokio::test]
async fn a_reorganisation_of_one_chain_takes_back_the_later_events_of_another() {
    let (journals, other) = Journals::new()
        .module("both", &[TEST_CHAIN_ID, OTHER_CHAIN_ID])
        .module("one", &[OTHER_CHAIN_ID])
        .other_chain();
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    // The chains alternate, so that the order of the events is known.
    let mut handled = 0;
    for _ in 0..4 {
        for chain in [&run.chain, &other] {
            chain.mine(1);
            handled += 1;
            run.handled("both", handled).await;
        }
    }
    let numbers = |module: &str| blocks(&store, module);
    let twice = |numbers: std::ops::Range<u64>| -> Vec<(u64, u8)> {
        numbers.flat_map(|number| [(number, 0), (number, 0)]).collect()
    };
    assert_eq!(numbers("both"), twice(0..4));
    run.handled("one", 4).await;
    run.chain.reorg(2);
    // The reorg reverts blocks 2 and 3 of the first chain, and all later events: blocks 2 and 3 of
    // the other chain, which are delivered again.
    until_blocks(&run, &store, "both", &[twice(0..2), row(2..4, 0)].concat()).await;
    run.chain.mine(2);
    until_blocks(
        &run,
        &store,
        "both",
        &[twice(0..2), row(2..4, 0), row(2..4, 1)].concat(),
    )
    .await;
    // The reorg does not affect a module of only the other chain.
    assert_eq!(run.status("one").handled(), 4);
    assert_eq!(blocks(&store, "one"), row(0..4, 0));
    assert_eq!(other.chain_id(), OTHER_CHAIN_ID);
}

#[tokio::test]
async fn undo_records_reach_as_far_as_a_reorganisation_and_no_further() {
    let journals = Journals::new().module("journal", &[TEST_CHAIN_ID]);
    let store = journals.store.clone();
    let run = journals.setup.start().await;
    run.chain.mine(600);
    until_blocks(&run, &store, "journal", &row(0..600, 0)).await;
    let name = "journal".parse().expect("a name");
    let summary = admin::summary(&*store.view().expect("a view"), &name).expect("a summary");
    let records = summary.expect("a module").undo_records;
    assert!((128..=160).contains(&records), "{records} undo records");
    run.chain.reorg(128);
    run.chain.mine(1);
    until_blocks(&run, &store, "journal", &[row(0..472, 0), row(472..473, 1)].concat()).await;
}
