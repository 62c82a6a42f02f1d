//! Modules with the capability, on a chain without a network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_core::ModuleStatus;
use nexum_core::capability::{Capabilities, CurrentCall};
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_core::module::{Loader, LoaderSettings, Module};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_cow::{Cow, CowConfig};
use nexum_testing::{Records, ScriptedSource, TEST_CHAIN_ID, WAIT_MAX, guests};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A guest under its own name, with its configuration.
pub(super) fn module(name: &str, guest: &str, config: &[(&str, &str)]) -> ModuleConfig {
    let mut module = ModuleConfig::new(guests::component(guest));
    module.name = Some(name.parse().expect("a module's name"));
    let pairs = config.iter();
    module.config = pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    module
}

/// A running host.
pub(super) struct Host {
    pub(super) chain: ScriptedSource,
    pub(super) records: Records,
    statuses: Vec<Arc<ModuleStatus>>,
    stop: CancellationToken,
    _task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
}

impl Host {
    /// Starts the modules on an empty chain, with the default limits.
    pub(super) async fn start(config: &CowConfig, modules: Vec<ModuleConfig>) -> Self {
        Self::start_limited(config, modules, Limits::default()).await
    }

    pub(super) async fn start_limited(config: &CowConfig, modules: Vec<ModuleConfig>, limits: Limits) -> Self {
        let chain = ScriptedSource::new(TEST_CHAIN_ID);
        Self::start_on(config, modules, limits, (chain, Arc::new(MemoryStore::new()))).await
    }

    /// Starts the modules on a chain and a store.
    pub(super) async fn start_on(
        config: &CowConfig,
        modules: Vec<ModuleConfig>,
        limits: Limits,
        (chain, store): (ScriptedSource, Arc<dyn StateStore>),
    ) -> Self {
        let (records, capture) = Records::capture();
        let seams = Seams::system();
        let capabilities = Capabilities::ambient(seams.clone()).with(Cow::new(config));
        let settings = LoaderSettings {
            limits,
            ..LoaderSettings::default()
        };
        let loader = Loader::new(capabilities, settings, [TEST_CHAIN_ID], seams);
        let mut supervisor = Supervisor::new(RunSettings::new(store)).source(Arc::new(chain.clone()));
        let modules = load(&loader, &modules).await.into_iter();
        let statuses = modules.map(|module| supervisor.module(module)).collect();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { drop(supervisor.run(token).await.expect("a start")) });
        Self {
            chain,
            records,
            statuses,
            stop,
            _task: task,
            _capture: capture,
        }
    }

    /// Mines a block, and waits until every module has handled it or failed.
    pub(super) async fn mine(&self) {
        let done = |status: &Arc<ModuleStatus>| status.handled() + status.failed();
        let before: Vec<_> = self.statuses.iter().map(done).collect();
        self.chain.mine(1);
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while self
                .statuses
                .iter()
                .map(done)
                .zip(&before)
                .any(|(now, before)| now <= *before)
            {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, poll).await.is_err() {
            panic!("not every module was done; the log: {:#?}", self.records.all());
        }
    }

    /// Waits until the only module waits for a host call.
    pub(super) async fn current_call(&self) -> CurrentCall {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            loop {
                let call = self.statuses[0].handling().and_then(|handling| handling.host_call);
                // The call names its endpoint after its begin.
                if let Some(call) = call.filter(|call| call.endpoint.is_some()) {
                    return call;
                }
                turns.tick().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, poll).await.expect("a host call")
    }

    /// The module's log records so far.
    pub(super) fn said(&self, module: &str) -> Vec<String> {
        self.records.of_module(module)
    }

    /// Mines a block, and returns the only module's log records of it.
    pub(super) async fn said_of_next(&self) -> Vec<String> {
        let name = self.statuses[0].name().to_string();
        let before = self.said(&name).len();
        self.mine().await;
        self.said(&name).split_off(before)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Compiles the modules. The cache has the ones that were compiled before.
async fn load(loader: &Loader, configs: &[ModuleConfig]) -> Vec<Module> {
    let inspect = |config: &ModuleConfig| loader.inspect(config).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let candidates: Vec<Candidate> = configs.iter().map(inspect).collect();
    let engine = Engine::new(&EngineConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into()),
        pooling: Pooling::default(),
        demand: Candidate::demand(&candidates),
        ..EngineConfig::default()
    });
    let engine = engine.expect("an engine");
    let mut modules = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let module = loader.load(&engine, candidate).await;
        modules.push(module.unwrap_or_else(|error| panic!("{error:?}")));
    }
    modules
}
