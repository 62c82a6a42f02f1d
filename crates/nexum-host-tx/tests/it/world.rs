//! Modules that pay for each block of a scripted chain, on a real node and a store that outlive the host.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;
use nexum_accounts::{Accounts, AccountsConfig};
use nexum_config::document::{Document, Environment};
use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_config::restart::Restart;
use nexum_core::ModuleStatus;
use nexum_core::capability::Capabilities;
use nexum_core::clock::{Seams, SystemEntropy};
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::{Candidate, Loader, LoaderSettings};
use nexum_core::state::admin;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};
use nexum_host_tx::{
    ChainReport, Listed, Spent, TransactionState, Transactions, TxConfig, chains, spent, transactions,
};
use nexum_testing::accounts::{ACCOUNTS, PASSWORD};
use nexum_testing::{
    Anvil, AnvilOptions, FakeClock, FaultyStore, GENESIS_MS, Records, ScriptedSource, TEST_CHAIN_ID, WAIT_MAX, guests,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

/// The chain of the transactions.
pub(crate) const PAY_CHAIN: u64 = 31_337;

/// The receivers of the modules' payments.
pub(crate) const SHOPS: [&str; 2] = [
    "0x00000000000000000000000000000000000a11ce",
    "0x0000000000000000000000000000000000000b0b",
];

/// The names of the modules.
pub(crate) const NAMES: [&str; 2] = ["one", "two"];

/// Limits that stop nothing.
pub(crate) const WIDE: &str = "max_fee_gwei = 1000, fee_per_day = \"1000\", value_per_day = \"1000\", \
                               per_hour = 100000, in_flight = 100000";

/// The depth of a finalized block.
pub(crate) const FINAL_DEPTH: u64 = 8;

/// The settings that a test can change.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The number of modules, at most two.
    pub(crate) modules: usize,
    /// More pairs of the modules' configuration.
    pub(crate) config: Vec<(&'static str, String)>,
    pub(crate) limits: &'static str,
    pub(crate) on_revert: &'static str,
    pub(crate) tx: TxConfig,
    pub(crate) anvil: Vec<&'static str>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            modules: 1,
            config: Vec::new(),
            limits: WIDE,
            on_revert: "keep",
            tx: TxConfig {
                look_every: Duration::from_millis(2),
                ..TxConfig::default()
            },
            anvil: vec!["--no-mining", "--slots-in-an-epoch", "4"],
        }
    }

    pub(crate) fn with(mut self, key: &'static str, value: &str) -> Self {
        self.config.push((key, value.to_owned()));
        self
    }
}

pub(crate) struct World {
    pub(crate) anvil: Anvil,
    pub(crate) gateway: Gateway,
    /// The chain with the events.
    pub(crate) events: ScriptedSource,
    pub(crate) store: FaultyStore,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) settings: Settings,
    chains: Chains,
    /// The store of the running host.
    disk: FaultyStore,
    directory: TempDir,
    host: Option<Host>,
}

struct Host {
    transactions: Transactions,
    statuses: Vec<Arc<ModuleStatus>>,
    records: Records,
    stop: CancellationToken,
    task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
}

/// The account of the modules. [`Anvil::reorg`] uses the first one.
pub(crate) fn account() -> Address {
    ACCOUNTS[1].address.parse().unwrap()
}

impl World {
    pub(crate) async fn start(settings: Settings) -> Self {
        let anvil = Anvil::start_with(&AnvilOptions {
            chain_id: Some(PAY_CHAIN),
            extra_args: settings.anvil.iter().map(|arg| (*arg).to_owned()).collect(),
            ..AnvilOptions::default()
        });
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("key.json"), ACCOUNTS[1].keystore).unwrap();
        std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
        let url = EndpointUrl::parse(&anvil.http_url()).unwrap();
        let chains = Chains::new([ChainConfig::new(PAY_CHAIN, url)]);
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let mut world = Self {
            gateway: Gateway::new(chains.clone()),
            anvil,
            events: ScriptedSource::new(TEST_CHAIN_ID),
            disk: store.clone(),
            store,
            clock: Arc::new(FakeClock::at(GENESIS_MS)),
            settings,
            chains,
            directory,
            host: None,
        };
        // Blocks that a reorganisation may remove, and the event chain's first block, which pays nothing.
        world.anvil.mine(FINAL_DEPTH).await;
        world.events.mine(1);
        world.run().await;
        world
    }

    fn accounts(&self) -> Arc<Accounts> {
        let mut text = format!(
            "[accounts.hot]\naddress = \"{}\"\nsigner = {{ keystore = \"key.json\", password_file = \"password\" }}\n",
            ACCOUNTS[1].address
        );
        for name in &NAMES[..self.settings.modules] {
            let Settings { limits, on_revert, .. } = self.settings;
            text += &format!(
                "[identity.{name}.hot]\nsend = [{{ chain = {PAY_CHAIN}, to = \"*\", max_value = \"1\" }}]\n\
                 limits = {{ {limits} }}\non_revert = \"{on_revert}\"\n"
            );
        }
        let path = self.directory.path().join("engine.toml");
        let document = Document::parse(&path, text.as_bytes(), &Environment::closed()).unwrap();
        let section = |key| document.root().section(key).unwrap();
        let parsed = AccountsConfig::from_sections(section("accounts").as_ref(), section("identity").as_ref());
        Arc::new(Accounts::new(parsed.unwrap_or_else(|errors| panic!("{errors}"))))
    }

    fn module(&self, index: usize) -> ModuleConfig {
        let (name, to) = (NAMES[index], SHOPS[index]);
        let path = self.directory.path().join(format!("{name}.toml"));
        let manifest = format!(
            "[module]\nname = \"{name}\"\n[capabilities]\nrequired = [\"chain\"]\n\
             [[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n"
        );
        std::fs::write(&path, manifest).unwrap();
        let mut module = ModuleConfig::new(guests::component("payer"));
        module.manifest = Some(path.into());
        let pairs = [
            ("from", ACCOUNTS[1].address.to_owned()),
            ("to", to.to_owned()),
            ("chain", PAY_CHAIN.to_string()),
        ];
        let pairs = pairs.into_iter().chain(self.settings.config.clone());
        module.config = pairs.map(|(key, value)| (key.to_owned(), value)).collect();
        module
    }

    /// Starts a host on the chains and the store.
    async fn run(&mut self) {
        let (records, capture) = Records::capture();
        let seams = Seams {
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        let gateway = Arc::new(self.gateway.clone());
        let transactions = Transactions::new(self.accounts(), gateway, self.settings.tx.clone());
        let chains = self.chains.clone().with_methods(Arc::new(transactions.clone()));
        let capabilities = Capabilities::ambient(seams.clone()).with(chains.capability());
        let settings = LoaderSettings {
            limits: Limits::default(),
            restart: Restart {
                attempts_max: 50,
                backoff_ms: 1,
                backoff_max_ms: 1,
                max_consecutive_failures: 1_000,
            },
            ..LoaderSettings::default()
        };
        let loader = Loader::new(capabilities, settings, [TEST_CHAIN_ID, PAY_CHAIN], seams);
        self.disk = FaultyStore::new(Arc::new(self.store.clone()));
        let supervisor = Supervisor::new(RunSettings {
            clock: self.clock.clone(),
            services: vec![Arc::new(transactions.clone())],
            ..RunSettings::new(Arc::new(self.disk.clone()))
        });
        let mut supervisor = supervisor.source(Arc::new(self.events.clone()));
        let modules = (0..self.settings.modules).map(|index| self.module(index));
        let candidates: Vec<_> = modules.map(|module| loader.inspect(&module).unwrap()).collect();
        let engine = Engine::new(&EngineConfig {
            cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into()),
            pooling: Pooling::default(),
            demand: Candidate::demand(&candidates),
            ..EngineConfig::default()
        });
        let engine = engine.expect("an engine");
        let mut statuses = Vec::new();
        for candidate in candidates {
            let loaded = loader.load_any(&engine, candidate).await;
            let loaded = loaded.unwrap_or_else(|error| panic!("{error:?}"));
            statuses.extend(supervisor.add(loaded));
        }
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { drop(supervisor.run(token).await.expect("a start")) });
        self.host = Some(Host {
            transactions,
            statuses,
            records,
            stop,
            task,
            _capture: capture,
        });
    }

    /// Kills the host at once.
    pub(crate) fn crash(&mut self) {
        // A dead process writes no more, so its remaining threads must not write either.
        self.disk.fail_writes(true);
        self.host = None;
    }

    /// Stops the host in order.
    pub(crate) async fn stop(&mut self) {
        let Some(Host { stop, task, .. }) = self.host.take() else {
            return;
        };
        stop.cancel();
        let ended = tokio::time::timeout(WAIT_MAX, task.join_all());
        ended.await.expect("an end in time");
    }

    /// Starts a host on the chain with all its blocks, and on the store.
    pub(crate) async fn restart(&mut self) {
        self.events = self.events.at_head();
        self.run().await;
    }

    pub(crate) fn transactions(&self) -> &Transactions {
        &self.host.as_ref().expect("a host").transactions
    }

    pub(crate) fn statuses(&self) -> &[Arc<ModuleStatus>] {
        &self.host.as_ref().expect("a host").statuses
    }

    pub(crate) fn records(&self) -> &Records {
        &self.host.as_ref().expect("a host").records
    }

    /// The records of the first module.
    pub(crate) fn said(&self) -> Vec<String> {
        self.records().of_module(NAMES[0])
    }

    /// The rows of the account's transactions, oldest first.
    pub(crate) fn rows(&self) -> Vec<Listed> {
        transactions(&*self.store.view().unwrap(), account(), true, 10_000).expect("rows")
    }

    /// The row of the newest transaction.
    pub(crate) fn newest(&self) -> Listed {
        let mut rows = self.rows();
        rows.sort_by_key(|row| row.nonce);
        rows.pop().expect("a transaction")
    }

    pub(crate) fn report(&self) -> ChainReport {
        let chains = chains(&*self.store.view().unwrap(), account()).expect("rows");
        chains.get(&PAY_CHAIN).cloned().unwrap_or_default()
    }

    pub(crate) fn spent(&self, module: &str) -> Spent {
        let view = self.store.view().unwrap();
        spent(&*view, account(), &module.parse().unwrap(), GENESIS_MS).expect("rows")
    }

    /// Mines a block with an event, and waits until the modules are done with it.
    pub(crate) async fn next(&self) {
        self.events.mine(1);
        self.settle().await;
    }

    /// Waits until the modules are done with the newest event.
    pub(crate) async fn settle(&self) {
        self.until("the newest event", || self.is_settled()).await;
    }

    /// Whether the modules are done with the newest event.
    pub(crate) fn is_settled(&self) -> bool {
        let newest = self.events.positions().pop();
        NAMES[..self.settings.modules].iter().all(|name| {
            let view = self.store.view().unwrap();
            let summary = admin::summary(&*view, &name.parse().unwrap()).expect("a summary");
            let last = summary.and_then(|summary| summary.cursors.iter().next()?.last);
            last.map(|last| last.position) == newest
        })
    }

    /// Mines blocks of the node until this holds.
    pub(crate) async fn mine_until(&self, what: &str, holds: impl Fn() -> bool) {
        let mined = async {
            while !holds() {
                self.anvil.mine(1).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, mined).await.is_err() {
            panic!(
                "waited for {what}: {:#?}; the log: {:#?}",
                self.rows(),
                self.records().all()
            );
        }
    }

    /// Mines blocks of the node until no transaction of the account has an open end.
    pub(crate) async fn finish(&self) {
        self.mine_until("the end of all transactions", || {
            self.rows().iter().all(|row| match row.transaction.state {
                TransactionState::Mined(mined) => mined.is_settled,
                TransactionState::Pending => false,
                TransactionState::Lost => true,
            })
        })
        .await;
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while !holds() {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, poll).await.is_err() {
            panic!(
                "waited for {what}: {:#?}; the log: {:#?}",
                self.rows(),
                self.records().all()
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.disk.fail_writes(true);
    }
}
