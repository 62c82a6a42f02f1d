//! A whole host without a network: guests, a scripted chain, a fake clock, and capabilities under
//! the tests' control.

mod capabilities;
pub(crate) mod journals;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::document::Environment;
use nexum_config::engine::{Config, ModuleConfig, Pooling};
use nexum_config::names::ModuleName;
use nexum_core::CommitPolicy;
use nexum_core::LoadError;
use nexum_core::LoadErrors;
use nexum_core::QueryPool;
use nexum_core::capability::Capabilities;
use nexum_core::clock::{Seams, SystemEntropy};
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::membership::Membership;
use nexum_core::module::Candidate;
use nexum_core::module::{Loaded, QueryModule};
use nexum_core::module::{Loader, LoaderSettings, Module};
use nexum_core::source::EventSource;
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::{Report, RunSettings, Supervisor, SupervisorHandle};
use nexum_core::{Ledger, ModuleStatus, Stage};
use nexum_testing::{FakeClock, GENESIS_MS, Records, ScriptedSource, TEST_CHAIN_ID, guests};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use capabilities::{SILENT_ENDPOINT, SilentChain, TriggerChain, trigger_chain};

/// The longest wait for anything: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The settings that a test can change before the run.
pub(crate) struct Setup {
    pub(crate) capabilities: Capabilities,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) policy: CommitPolicy,
    pub(crate) pooling: Pooling,
    /// `[engine.restart]`. By default, nexum retries nothing and does not wait.
    pub(crate) restart: String,
    /// `engine.toml`. Default: empty.
    pub(crate) config: String,
    /// A second chain in addition to [`TEST_CHAIN_ID`].
    pub(crate) other_chain: Option<ScriptedSource>,
    /// Configured chains without a source.
    pub(crate) chains: Vec<u64>,
    /// Whether a module whose first `init` fails ends the run.
    pub(crate) strict: bool,
    pub(crate) membership: Option<Arc<dyn Membership>>,
    pub(crate) together: BTreeMap<ModuleName, BTreeSet<String>>,
    pub(crate) ledger: Option<Ledger>,
    modules: Vec<(String, String)>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FakeClock::at(GENESIS_MS));
        let seams = Seams {
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        Self {
            capabilities: Capabilities::ambient(seams),
            clock,
            store: Arc::new(MemoryStore::new()),
            policy: CommitPolicy::default(),
            pooling: Pooling::default(),
            restart: "[engine.restart]\nattempts_max = 1\nbackoff_ms = 1\n".to_owned(),
            config: String::new(),
            other_chain: None,
            chains: Vec::new(),
            strict: false,
            membership: None,
            together: BTreeMap::new(),
            ledger: None,
            modules: Vec::new(),
        }
    }

    /// A fixture under its own name.
    pub(crate) fn module(self, fixture: &str) -> Self {
        self.module_with(fixture, &format!("name = \"{fixture}\""))
    }

    /// A fixture with these additional keys of its `[[modules]]` table.
    pub(crate) fn module_with(mut self, fixture: &str, keys: &str) -> Self {
        self.modules.push((fixture.to_owned(), keys.to_owned()));
        self
    }

    pub(crate) fn config(mut self, config: &str) -> Self {
        self.config = config.to_owned();
        self
    }

    pub(crate) fn seams(&self) -> Seams {
        Seams {
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        }
    }

    pub(crate) fn parse_config(&self) -> Config {
        let mut text = format!("{}{}", self.restart, self.config);
        for (fixture, keys) in &self.modules {
            let path = guests::component(fixture);
            text.push_str(&format!(
                "\n[[modules]]\npath = {:?}\n{keys}\n",
                path.display().to_string()
            ));
        }
        Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).expect("a valid configuration")
    }

    pub(crate) fn loader(&self, config: &Config) -> Loader {
        let chains = [TEST_CHAIN_ID].into_iter().chain(self.chains.iter().copied());
        let chains = chains.chain(self.other_chain.iter().map(EventSource::chain_id));
        let settings = LoaderSettings {
            limits: config.limits,
            restart: config.restart,
            query: config.query,
            total_memory_bytes: config.total_memory_bytes,
            ..LoaderSettings::default()
        };
        Loader::new(self.capabilities.clone(), settings, chains, self.seams())
    }

    /// Inspects and compiles the modules.
    pub(crate) async fn load(&self) -> Result<Vec<Module>, LoadErrors> {
        let of_events = |module: Loaded| module.events.map(|module| *module);
        Ok(self.open().await?.0.into_iter().filter_map(of_events).collect())
    }

    /// As [`Self::load`]. Also returns the means to load more modules.
    async fn open(&self) -> Result<(Vec<Loaded>, Workshop), LoadErrors> {
        let config = self.parse_config();
        let loader = self.loader(&config);
        let inspected: Result<Vec<Candidate>, _> = config.modules.iter().map(|module| loader.inspect(module)).collect();
        let candidates = inspected?;
        let engine = self.engine(Candidate::demand(&candidates));
        let mut modules = Vec::new();
        for candidate in candidates {
            let origin = candidate.origin.clone();
            let loaded = loader.load_any(&engine, candidate).await;
            modules.push(loaded.map_err(|error| LoadErrors::of(&origin, [error]))?);
        }
        Ok((modules, Workshop { loader, engine }))
    }

    pub(crate) fn engine(&self, demand: nexum_core::engine::Demand) -> Engine {
        let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into());
        Engine::new(&EngineConfig {
            cache_dir,
            pooling: self.pooling,
            demand,
            ..EngineConfig::default()
        })
        .expect("an engine")
    }

    /// Starts the modules on an empty chain.
    pub(crate) async fn start(self) -> Run {
        self.start_at_head(ScriptedSource::new(TEST_CHAIN_ID)).await
    }

    /// Starts the modules on a chain that grew by `missed` blocks without them. Mines one more.
    pub(crate) async fn start_on(self, chain: ScriptedSource, missed: usize) -> Run {
        chain.mine(missed);
        let run = self.start_at_head(chain.at_head()).await;
        run.chain.mine(1);
        run
    }

    /// Starts the modules on a chain without mining a block.
    pub(crate) async fn start_at_head(self, source: ScriptedSource) -> Run {
        let (records, capture) = Records::capture();
        let opened = self.open().await;
        let (modules, workshop) = opened.unwrap_or_else(|errors| panic!("{errors:#?}"));
        let supervisor = Supervisor::new(RunSettings {
            clock: self.clock.clone(),
            policy: self.policy,
            strict: self.strict,
            membership: self.membership.clone(),
            together: self.together.clone(),
            ledger: self.ledger.clone(),
            ..RunSettings::new(self.store.clone())
        });
        let mut supervisor = supervisor.source(Arc::new(source.clone()));
        if let Some(other) = &self.other_chain {
            supervisor = supervisor.source(Arc::new(other.clone()));
        }
        for module in modules {
            supervisor.add(module);
        }
        let steering = supervisor.handle();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { supervisor.run(token).await.expect("a start") });
        Run {
            chain: source,
            records,
            steering,
            workshop,
            store: self.store,
            clock: self.clock,
            stop,
            task,
            _capture: capture,
        }
    }
}

/// A module's dead letters, oldest block first.
pub(crate) fn dead_letters(store: &dyn StateStore, module: &str) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    let name = module.parse().expect("a name");
    let mut take = |letter| {
        letters.push(letter);
        ControlFlow::Continue(())
    };
    admin::dead_letters(&*store.view().expect("a view"), &name, &mut take).expect("dead letters");
    letters
}

/// Loads modules for a running host.
struct Workshop {
    loader: Loader,
    engine: Engine,
}

/// A running host.
pub(crate) struct Run {
    pub(crate) chain: ScriptedSource,
    pub(crate) records: Records,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) steering: SupervisorHandle,
    workshop: Workshop,
    pub(crate) store: Arc<dyn StateStore>,
    stop: CancellationToken,
    task: JoinSet<Report>,
    _capture: tracing::subscriber::DefaultGuard,
}

impl Run {
    pub(crate) fn status(&self, module: &str) -> Arc<ModuleStatus> {
        let name = module.parse().expect("a name");
        self.steering.module(&name).expect("a module")
    }

    /// The pool of a query module, as soon as it accepts calls.
    pub(crate) async fn query(&self, module: &str) -> Arc<QueryPool> {
        let name = module.parse().expect("a name");
        self.until(&format!("{module} to serve"), || self.steering.query(&name).is_ok())
            .await;
        self.steering.query(&name).expect("a module")
    }

    /// Loads another query module of the fixture.
    pub(crate) async fn build_query(&self, keys: &str) -> QueryModule {
        let config = module_at(&guests::component("query-echo"), keys);
        let Workshop { loader, engine } = &self.workshop;
        let candidate = loader.inspect(&config).expect("a sound module");
        loader.load_query(engine, candidate).await.expect("a module")
    }

    /// Loads all parts of a fixture, with additional keys of its `[[modules]]` table.
    pub(crate) async fn build_all(&self, fixture: &str, keys: &str) -> Loaded {
        let config = module_at(&guests::component(fixture), keys);
        let Workshop { loader, engine } = &self.workshop;
        let candidate = loader.inspect(&config).expect("a sound module");
        loader.load_any(engine, candidate).await.expect("a module")
    }

    /// Loads a module of a fixture, with additional keys of its `[[modules]]` table.
    pub(crate) async fn build(&self, fixture: &str, keys: &str) -> Module {
        self.try_build(fixture, keys).await.expect("a module")
    }

    pub(crate) async fn try_build(&self, fixture: &str, keys: &str) -> Result<Module, LoadError> {
        let config = module_at(&guests::component(fixture), keys);
        let Workshop { loader, engine } = &self.workshop;
        let candidate = loader.inspect(&config).expect("a sound module");
        loader.load(engine, candidate).await
    }

    /// The value of a key in a module's state.
    pub(crate) fn value(&self, module: &str, key: &str) -> Option<Vec<u8>> {
        let name = module.parse().expect("a name");
        let view = self.store.view().expect("a view");
        admin::get(&*view, &name, key.as_bytes()).expect("a value")
    }

    /// Waits until a module has handled this many events.
    pub(crate) async fn handled(&self, module: &str, events: u64) {
        let what = format!("{module} to handle {events} events");
        self.until_status(module, &what, |status| status.handled() >= events)
            .await;
    }

    /// Waits until this many of a module's handlers have failed.
    pub(crate) async fn failed(&self, module: &str, events: u64) {
        let what = format!("{module} to fail {events} times");
        self.until_status(module, &what, |status| status.failed() >= events)
            .await;
    }

    /// Waits until a module is in this stage.
    pub(crate) async fn stage(&self, module: &str, stage: Stage) {
        let what = format!("{module} to be {stage:?}");
        self.until_status(module, &what, |status| status.stage() == stage).await;
    }

    /// Waits until a module's status satisfies a condition.
    pub(crate) async fn until_status(&self, module: &str, what: &str, holds: impl Fn(&ModuleStatus) -> bool) {
        let status = self.status(module);
        let watch = async {
            loop {
                let changed = status.changed();
                if holds(&status) {
                    return;
                }
                changed.await;
            }
        };
        self.in_time(what, watch).await;
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while !holds() {
                turns.tick().await;
            }
        };
        self.in_time(what, poll).await;
    }

    async fn in_time(&self, what: &str, waiting: impl Future<Output = ()>) {
        if tokio::time::timeout(WAIT_MAX, waiting).await.is_err() {
            panic!("waited in vain for {what}; the log: {:#?}", self.records.all());
        }
    }

    /// Stops the host, like a signal.
    pub(crate) async fn stop(mut self) -> Report {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the host ends by itself.
    pub(crate) async fn ended(&mut self) -> Report {
        let ended = tokio::time::timeout(WAIT_MAX, self.task.join_next()).await;
        ended.expect("an end in time").expect("a task").expect("no panic")
    }
}

/// The reasons of the errors.
pub(crate) fn reasons(errors: &LoadErrors) -> Vec<&LoadError> {
    errors.iter().map(|one| &one.error).collect()
}

/// A `[[modules]]` entry for a file that a test wrote.
pub(crate) fn module_at(path: &Path, keys: &str) -> ModuleConfig {
    let text = format!("[[modules]]\npath = {:?}\n{keys}\n", path.display().to_string());
    let config =
        Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).expect("a valid entry");
    config.modules.into_iter().next().expect("one entry")
}

/// Registers the other capabilities of the contract as the binary does: known but missing, like a
/// build without them, or served by no build.
pub(crate) fn with_the_contract(capabilities: Capabilities) -> Capabilities {
    capabilities
        .absent("chain", &["nexum:host/chain@0.2.0", "nexum:host/chain@0.1.0"], "chain")
        .absent(
            "store",
            &["nexum:host/local-store@0.2.0", "nexum:host/local-store@0.1.0"],
            "store",
        )
        .absent("cow", &["shepherd:cow/cow-api@0.2.0"], "cow")
        .absent(
            "http",
            &[
                "nexum:host/http@0.2.0",
                "wasi:http/outgoing-handler@0.2.0",
                "wasi:http/types@0.2.0",
            ],
            "http",
        )
        .absent("identity", &["nexum:host/identity@0.2.0"], "identity")
        .unserved("messaging", &["nexum:host/messaging@0.2.0"], &[])
        .unserved("remote-store", &["nexum:host/remote-store@0.2.0"], &[])
}
