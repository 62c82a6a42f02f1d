//! An installation with nodes in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::ModuleName;
use nexum_core::membership::{Membership, Offer, Tenure};
use nexum_core::state::{ModuleId, forget};
use nexum_core::store::{StateStore, blocking};
use nexum_store::cluster::ClusterConfig;
use nexum_store::{PostgresConfig, init, open_cluster};
use nexum_testing::Postgres;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Line, Module};
use crate::postgres::sql;
use crate::support::database;

/// The lease of nodes that a test waits for: long for a machine that is slow, and short for a test.
pub(crate) const LEASE_TTL: Duration = Duration::from_millis(2_500);

/// The lease of nodes that do not lose it: a machine that is slow must not end it.
const LONG_LEASE_TTL: Duration = Duration::from_secs(15);

/// The longest wait of a test for an event that must happen: far above what a busy machine needs.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// The memory of the nodes' caches.
const CACHE_BYTES: usize = 1 << 20;

/// The pause of a worker between two rounds.
pub(crate) const ROUND: Duration = Duration::from_millis(10);

/// The modules that make steps. Each step is a commit, which takes a busy disk long.
pub(crate) const STEPPING: Module = 12;

/// A database with the tables of an installation.
pub(crate) struct World {
    pub(crate) server: Postgres,
    pub(crate) config: PostgresConfig,
    pub(crate) journal: Arc<Journal>,
    pub(crate) modules: Module,
}

/// A node. Dropping it ends it as a crash does: its connections close, and nothing is released.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) membership: Arc<dyn Membership>,
    stop: CancellationToken,
    run: JoinSet<()>,
    worker: JoinSet<()>,
}

impl World {
    pub(crate) async fn new(modules: Module) -> Self {
        let server = block_in_place(Postgres::start);
        let config = database(&server);
        init(&config).await.unwrap();
        Self {
            server,
            config,
            journal: Arc::default(),
            modules,
        }
    }

    /// Starts a node that has all modules in a version.
    pub(crate) fn node(&self, name: &str) -> Node {
        self.node_with(&self.config, cluster(name), offers(0..self.modules, "1"))
    }

    pub(crate) fn node_with(
        &self,
        config: &PostgresConfig,
        cluster: ClusterConfig,
        offers: BTreeMap<ModuleName, Offer>,
    ) -> Node {
        let journal = self.journal.clone();
        Node::start(config, cluster, offers, journal)
    }

    /// Waits until these nodes share all modules, each has some, and every module has made further steps.
    pub(crate) async fn settled(&self, nodes: &[&Node]) {
        self.settled_of(nodes, self.modules).await;
    }

    /// As [`Self::settled`], with the first modules alone.
    pub(crate) async fn settled_of(&self, nodes: &[&Node], modules: Module) {
        let name = |nodes: &[&Node]| {
            nodes
                .iter()
                .map(|node| node.name.clone())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let shares = async {
            let share = |node: &&Node| node.tenure().owned.len();
            while nodes.iter().map(share).sum::<usize>() != modules as usize
                || nodes.iter().any(|node| share(node) == 0)
            {
                sleep(ROUND).await;
            }
        };
        let shared = timeout(WAIT_MAX, shares).await;
        let tenures: Vec<_> = nodes.iter().map(|node| (&node.name, node.tenure())).collect();
        assert!(shared.is_ok(), "{} do not share the modules: {tenures:#?}", name(nodes));
        self.progress_of(modules).await;
    }

    /// Waits until every module that makes steps has made further ones.
    pub(crate) async fn progress(&self) {
        self.progress_of(self.modules).await;
    }

    async fn progress_of(&self, modules: Module) {
        for module in 0..modules.min(STEPPING) {
            let before = self.journal.steps(module);
            let stepped = timeout(WAIT_MAX, async {
                while self.journal.steps(module) < before + 2 {
                    sleep(ROUND).await;
                }
            });
            assert!(stepped.await.is_ok(), "module {module} makes no steps");
        }
    }

    /// A statement of the test itself.
    pub(crate) fn sql(&self, statement: &str) -> Vec<String> {
        sql(&self.config, self.server.password(), statement)
    }

    /// Waits for a condition of a node's tenure.
    pub(crate) async fn until(&self, node: &Node, what: &str, condition: impl FnMut(&Tenure) -> bool) {
        let mut tenure = node.membership.tenure();
        let reached = timeout(WAIT_MAX, tenure.wait_for(condition)).await;
        assert!(reached.is_ok(), "{what}: {:#?}", node.tenure());
    }

    /// Ends all nodes, and checks the journal.
    pub(crate) async fn finish(self, nodes: Vec<Node>) {
        for node in nodes {
            node.leave().await;
        }
        let observer = self.node_with(&self.config, cluster("observer"), BTreeMap::new());
        block_in_place(|| self.journal.check(&*observer.store.view().unwrap(), self.modules));
    }
}

impl Node {
    /// Starts a node whose modules make steps.
    fn start(
        config: &PostgresConfig,
        cluster: ClusterConfig,
        offers: BTreeMap<ModuleName, Offer>,
        journal: Arc<Journal>,
    ) -> Self {
        let mut node = Self::start_idle(config, cluster, offers);
        let (store, membership) = (node.store.clone(), node.membership.clone());
        node.worker.spawn(work(node.name.clone(), store, membership, journal));
        node
    }

    /// Starts a node without a supervisor.
    pub(crate) fn start_idle(
        config: &PostgresConfig,
        cluster: ClusterConfig,
        offers: BTreeMap<ModuleName, Offer>,
    ) -> Self {
        let name = cluster.node.clone();
        let opened = block_in_place(|| open_cluster(config, CACHE_BYTES, &cluster, "a test"));
        let (store, membership) = opened.unwrap();
        membership.offer(offers);
        let stop = CancellationToken::new();
        let mut run = JoinSet::new();
        let (member, stopped) = (membership.clone(), stop.clone());
        run.spawn(async move { member.run(stopped).await });
        Self {
            name,
            store,
            membership,
            stop,
            run,
            worker: JoinSet::new(),
        }
    }

    pub(crate) fn tenure(&self) -> Tenure {
        self.membership.tenure().borrow().clone()
    }

    pub(crate) fn owned(&self) -> BTreeSet<ModuleName> {
        self.tenure().owned.into_keys().collect()
    }

    /// Releases all modules, and leaves.
    pub(crate) async fn leave(mut self) {
        let tenure = self.membership.tenure();
        self.worker.shutdown().await;
        let owned: Vec<_> = tenure.borrow().owned.keys().cloned().collect();
        owned.iter().for_each(|name| self.membership.release(name));
        self.stop.cancel();
        let ended = timeout(WAIT_MAX, self.run.join_next()).await;
        ended.expect("the node leaves").unwrap().unwrap();
        block_in_place(|| drop(self));
    }

    /// Ends as a crash does.
    pub(crate) fn crash(self) {
        block_in_place(|| drop(self));
    }
}

/// Does what a supervisor does: makes steps of the owned modules, and gives up those that have to go.
async fn work(node: String, store: Arc<dyn StateStore>, membership: Arc<dyn Membership>, journal: Arc<Journal>) {
    let mut tenure = membership.tenure();
    let mut owned = BTreeMap::new();
    loop {
        let now = tenure.borrow_and_update().clone();
        if owned != now.owned {
            owned.clone_from(&now.owned);
            let modules: Vec<_> = owned.keys().map(|name| ModuleId(number_of(name))).collect();
            forget(&*store, &modules);
        }
        if now.lost.is_some() {
            membership.vacate();
        }
        now.leaving.keys().for_each(|name| membership.release(name));
        let steps = |(name, _): &(&ModuleName, &u64)| !now.leaving.contains_key(*name) && number_of(name) < STEPPING;
        for (name, number) in now.owned.iter().filter(steps) {
            // A step begins only in an ownership that goes on.
            if membership.tenure().borrow().owned.get(name) != Some(number) {
                continue;
            }
            let (module, number, journal) = (number_of(name), *number, journal.clone());
            let line = Line {
                node: node.clone(),
                number,
            };
            // A failed step may have been made. The next one finds out.
            let _ = blocking(&store, move |store| journal.step(store, module, &line)).await;
        }
        tokio::select! {
            changed = tenure.changed() => if changed.is_err() { return },
            () = sleep(ROUND) => {}
        }
    }
}

/// The settings of a node.
pub(crate) fn cluster(name: &str) -> ClusterConfig {
    let mut cluster = ClusterConfig::new(name);
    cluster.lease_ttl = LONG_LEASE_TTL;
    cluster.rebalance_after = Duration::from_millis(300);
    cluster
}

/// The settings of a node that may lose its lease.
pub(crate) fn short_lease(name: &str) -> ClusterConfig {
    let mut cluster = cluster(name);
    cluster.lease_ttl = LEASE_TTL;
    cluster
}

/// Modules in a version. Modules with one remainder by three have one chain.
pub(crate) fn offers(modules: impl Iterator<Item = Module>, version: &str) -> BTreeMap<ModuleName, Offer> {
    let offer = |module: Module| Offer {
        version: version.to_owned(),
        chains: BTreeSet::from([u64::from(module % 3)]),
        together: BTreeSet::new(),
    };
    modules.map(|module| (name_of(module), offer(module))).collect()
}

pub(crate) fn name_of(module: Module) -> ModuleName {
    format!("module-{module}").parse().unwrap()
}

pub(crate) fn number_of(name: &ModuleName) -> Module {
    name.as_str().trim_start_matches("module-").parse().unwrap()
}

/// The time since a moment, for a report.
#[expect(clippy::print_stdout, reason = "a measurement, which no test asserts")]
pub(crate) fn report(what: &str, since: Instant) {
    println!("{what}: {} ms", since.elapsed().as_millis());
}
