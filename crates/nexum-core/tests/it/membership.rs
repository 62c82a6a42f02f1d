//! Several processes on one store: each module runs on one of them, and goes on from the last commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_core::state::{Act, Actor};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::SteerError;
use nexum_core::{CommandError, HostBuilder, Stage};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, GENESIS_MS, Installation, Member, TEST_CHAIN_ID, journal};
use tempfile::TempDir;

use crate::hosts::{Control, Running, name};
use crate::support::journals::{Journals, entries, manifest};
use crate::support::{Run, Setup};

const BLOCKS: &str = "kind = \"block\"";

/// Two nodes with the same module on one store, each with its own view of the chain.
struct Site {
    installation: Installation,
    store: Arc<MemoryStore>,
    nodes: [(Member, Run, TempDir); 2],
}

impl Site {
    async fn new() -> Self {
        let store: Arc<MemoryStore> = Arc::default();
        let installation = Installation::new(store.clone());
        let nodes = [node(&installation, &store).await, node(&installation, &store).await];
        Self {
            installation,
            store,
            nodes,
        }
    }

    fn member(&self, node: usize) -> &Member {
        &self.nodes[node].0
    }

    fn run(&self, node: usize) -> &Run {
        &self.nodes[node].1
    }

    /// Mines blocks on both views of the chain.
    fn mine(&self, count: usize) {
        self.nodes.iter().for_each(|(_, run, _)| run.chain.mine(count));
    }

    async fn has(&self, expected: &[&str]) {
        entries(self.run(0), &self.store, "journal", expected).await;
    }

    async fn stage(&self, node: usize, stage: Stage) {
        let run = self.run(node);
        run.until(&format!("{stage}"), || run.status("journal").stage() == stage)
            .await;
    }
}

async fn node(installation: &Installation, store: &Arc<MemoryStore>) -> (Member, Run, TempDir) {
    let member = installation.member();
    let mut journals = Journals::over(store.clone()).module("journal", &[BLOCKS]);
    journals.setup.store = member.store();
    journals.setup.membership = Some(Arc::new(member.clone()));
    let (run, _, manifests) = journals.start().await;
    (member, run, manifests)
}

#[tokio::test]
async fn the_version_of_a_module_has_what_only_one_process_may_use() {
    let store: Arc<MemoryStore> = Arc::default();
    let installation = Installation::new(store.clone());
    let mut versions = Vec::new();
    for accounts in [&[][..], &["a"], &["a", "b"], &["b"], &["a"]] {
        let together: BTreeSet<_> = accounts.iter().map(|account| (*account).to_owned()).collect();
        let member = installation.member();
        let mut journals = Journals::over(store.clone()).module("journal", &[BLOCKS]);
        journals.setup.store = member.store();
        journals.setup.membership = Some(Arc::new(member.clone()));
        journals.setup.together = [(name("journal"), together.clone())].into();
        let (run, ..) = journals.start().await;
        run.until("an offer", || !member.offers().is_empty()).await;
        let offer = member.offers().into_values().next().expect("an offer");
        assert_eq!(offer.together, together);
        versions.push(offer.version);
    }
    assert_eq!(versions[1], versions[4]);
    assert_eq!(versions.into_iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_module_runs_where_it_is_owned_and_moves_with_its_state() {
    let site = Site::new().await;
    for node in [0, 1] {
        site.stage(node, Stage::Standby).await;
        let offers = site.member(node).offers();
        let offer = offers.values().next().expect("an offer");
        assert_eq!(offer.chains.iter().copied().collect::<Vec<_>>(), [TEST_CHAIN_ID]);
    }
    let [one, other] = [0, 1].map(|node| site.member(node).offers());
    assert_eq!(
        one.values().next().map(|offer| &offer.chains),
        other.values().next().map(|offer| &offer.chains)
    );
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    site.mine(2);
    site.has(&["block 0", "block 1"]).await;
    let (from, to) = (site.member(0), site.member(1));
    site.installation.hand_over(from, to, "journal").await;
    site.stage(0, Stage::Standby).await;
    site.stage(1, Stage::Running).await;
    site.mine(2);
    site.has(&["block 0", "block 1", "block 2", "block 3"]).await;
    // And back.
    site.installation.hand_over(to, from, "journal").await;
    site.mine(1);
    site.has(&["block 0", "block 1", "block 2", "block 3", "block 4"]).await;
}

#[tokio::test]
async fn a_node_that_starts_while_the_store_cannot_be_reached_waits_for_it() {
    let store: Arc<MemoryStore> = Arc::default();
    let faulty = FaultyStore::new(store.clone());
    let installation = Installation::new(Arc::new(faulty.clone()));
    faulty.fail_reads(true);
    let (member, run, _manifests) = node(&installation, &store).await;
    let waits = || {
        run.records
            .all()
            .iter()
            .any(|record| record.message == "nexum waits for the state store")
    };
    run.until("a record of the wait", waits).await;
    faulty.fail_reads(false);
    installation.give(&member, "journal");
    run.until("running", || run.status("journal").stage() == Stage::Running)
        .await;
    run.chain.mine(1);
    entries(&run, &store, "journal", &["block 0"]).await;
}

#[tokio::test]
async fn blocks_between_two_owners_are_not_missed() {
    let site = Site::new().await;
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    site.mine(1);
    site.has(&["block 0"]).await;
    site.member(0).asks_for("journal");
    site.member(0).released("journal").await;
    site.mine(3);
    site.installation.give(site.member(1), "journal");
    site.has(&["block 0", "block 1", "block 2", "block 3"]).await;
}

#[tokio::test]
async fn a_node_that_was_declared_dead_writes_nothing_more_and_joins_again() {
    let site = Site::new().await;
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    site.mine(1);
    site.has(&["block 0"]).await;
    // The node does not notice, as if it were suspended, and handles one more block.
    site.member(0).fence();
    site.run(0).chain.mine(1);
    site.stage(0, Stage::Stalled).await;
    site.installation.give(site.member(1), "journal");
    site.run(1).chain.mine(2);
    site.has(&["block 0", "block 1", "block 2"]).await;
    site.member(0).notices();
    site.member(0).vacated().await;
    site.stage(0, Stage::Standby).await;
    site.run(0).chain.mine(1);
    site.mine(1);
    site.has(&["block 0", "block 1", "block 2", "block 3"]).await;
    site.installation
        .hand_over(site.member(1), site.member(0), "journal")
        .await;
    site.mine(1);
    site.has(&["block 0", "block 1", "block 2", "block 3", "block 4"]).await;
}

#[tokio::test]
async fn a_command_to_a_module_of_another_node_is_refused_with_the_reason() {
    let site = Site::new().await;
    site.stage(1, Stage::Standby).await;
    let status = site.run(1).status("journal");
    let refused = [status.stop().await, status.start().await, status.restart().await];
    for refused in refused {
        assert!(matches!(refused, Err(CommandError::Standby(_))), "{refused:?}");
    }
    site.installation.give(site.member(1), "journal");
    site.mine(1);
    site.has(&["block 0"]).await;
}

#[tokio::test]
async fn a_reload_offers_the_new_version_here_and_on_standby() {
    let site = Site::new().await;
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    for node in [0, 1] {
        let (member, run, manifests) = &site.nodes[node];
        let before = member.offers();
        let keys = manifest(
            manifests.path(),
            "journal",
            &[BLOCKS, "kind = \"block\"\nconfirmations = 1"],
        );
        let module = run.build("journal", &keys).await;
        run.steering.reload(module).await.expect("a reload");
        assert_ne!(before, member.offers(), "node {node}");
        assert_eq!(member.promoted().len(), 1, "node {node}");
    }
    site.stage(1, Stage::Standby).await;
    site.stage(0, Stage::Running).await;
}

#[tokio::test]
async fn a_run_releases_everything_before_it_ends_and_leaves() {
    let site = Site::new().await;
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    site.mine(1);
    site.has(&["block 0"]).await;
    let Site {
        nodes,
        store,
        installation,
    } = site;
    let [(first, one, _), (second, other, _manifests)] = nodes;
    let report = one.stop().await;
    assert!(!report.failed());
    first.released("journal").await;
    assert!(first.has_left() && !second.has_left());
    installation.give(&second, "journal");
    other.chain.mine(2);
    entries(&other, &store, "journal", &["block 0", "block 1", "block 2"]).await;
}

#[tokio::test]
async fn what_the_operator_wants_holds_on_the_next_owner() {
    let store: Arc<MemoryStore> = Arc::default();
    let installation = Installation::new(store);
    let (first, second) = (installation.member(), installation.member());
    let control = Control::new();
    let join = |member: &Member| {
        let member = member.clone();
        move |host: HostBuilder| host.with(LocalStore).store(member.store()).membership(Arc::new(member))
    };
    let one = control.run(&["journal"], join(&first)).await;
    let other = control.run(&["journal"], join(&second)).await;
    let journal = name("journal");
    let stage = |run: &Running| run.handle.module(&journal).map(|status| status.stage()).ok();
    one.until("standby", || stage(&one) == Some(Stage::Standby)).await;
    other.until("standby", || stage(&other) == Some(Stage::Standby)).await;
    installation.give(&first, "journal");
    one.until("start", || stage(&one) == Some(Stage::Running)).await;
    let act = || Act {
        by: Actor::User(1000),
        at_ms: GENESIS_MS,
        reason: None,
    };
    let elsewhere = other.handle.operator(act()).stop(&journal).await;
    assert!(
        matches!(elsewhere, Err(SteerError::Command(CommandError::Standby(_)))),
        "{elsewhere:?}"
    );
    one.handle.operator(act()).stop(&journal).await.expect("a stop");
    installation.hand_over(&first, &second, "journal").await;
    other.until("stop", || stage(&other) == Some(Stage::Stopped)).await;
    other
        .until("row", || other.handle.operator_rows().contains_key(&journal))
        .await;
    other.handle.operator(act()).start(&journal).await.expect("a start");
    other.chain.mine(1);
    other.handles("journal").await;
    assert_eq!((one.stop().await, other.stop().await), (1, 1));
}

#[tokio::test]
async fn queries_wait_for_the_join_only_if_the_store_does_not_know_their_module() {
    let installation = Installation::new(Arc::<MemoryStore>::default());
    let start = async |member: &Member| {
        let mut setup = Setup::new().module("query-echo");
        setup.capabilities = setup.capabilities.with(LocalStore);
        setup.store = member.store();
        setup.membership = Some(Arc::new(member.clone()));
        setup.start().await
    };
    let ask = async |run: &Run| run.query("query-echo").await.call(b"").await.expect("an answer");
    let first = installation.outsider();
    let one = start(&first).await;
    one.steering.responds().await;
    let early = one.steering.query(&name("query-echo"));
    assert!(matches!(early, Err(SteerError::NoModule(_))), "{early:?}");
    first.joins();
    let answer = ask(&one).await;
    // The first process has added the module to the store.
    let other = start(&installation.outsider()).await;
    assert_eq!(ask(&other).await, answer);
    assert!(!one.stop().await.failed() && !other.stop().await.failed());
}

#[tokio::test]
async fn a_removed_module_is_released_and_no_longer_offered() {
    let site = Site::new().await;
    site.installation.give(site.member(0), "journal");
    site.stage(0, Stage::Running).await;
    let journal_name = "journal".parse().expect("a name");
    site.run(0).steering.remove(&journal_name).await.expect("a removal");
    site.member(0).released("journal").await;
    assert!(site.member(0).offers().is_empty());
    let gone = site.run(0).steering.module(&journal_name);
    assert!(matches!(gone, Err(SteerError::NoModule(_))), "{gone:?}");
    site.installation.give(site.member(1), "journal");
    site.mine(1);
    site.run(1)
        .until("an entry", || !journal(&*site.store, "journal").is_empty())
        .await;
}

#[tokio::test]
async fn new_modules_of_two_nodes_get_numbers_of_their_own() {
    let store: Arc<MemoryStore> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for node in 0..8 {
        let store = store.clone();
        tasks.spawn_blocking(move || {
            let names: Vec<_> = (0..20)
                .map(|module| format!("n{node}-{module}").parse().expect("a name"))
                .collect();
            names
                .chunks(5)
                .flat_map(|names| nexum_core::state::intern(&*store, names).expect("numbers"))
                .collect::<Vec<_>>()
        });
    }
    let mut all = Vec::new();
    while let Some(ids) = tasks.join_next().await {
        all.extend(ids.expect("no panic"));
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 160);
}
