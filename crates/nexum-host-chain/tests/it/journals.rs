//! A whole host with modules that keep journals of their events from a chain.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_core::module::{Loader, LoaderSettings, Module};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{Report, RunSettings, Supervisor};
use nexum_core::{ModuleStatus, Stage};
use nexum_host_chain::Chains;
use nexum_host_store::LocalStore;
use nexum_testing::{TEST_CHAIN_ID, guests, journal};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest wait for a journal: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Journals that can be started repeatedly. They are compiled once.
pub(crate) struct Journals {
    loader: Loader,
    engine: Engine,
    configs: Vec<ModuleConfig>,
    _manifests: TempDir,
}

impl Journals {
    /// A journal for each name, with these keys in its `[[subscription]]` tables.
    pub(crate) fn new(journals: &[(&str, &[&str])]) -> Self {
        let manifests = TempDir::new().unwrap();
        let capabilities = Capabilities::ambient(Seams::system()).with(LocalStore);
        let loader = Loader::new(
            capabilities,
            LoaderSettings::default(),
            [TEST_CHAIN_ID],
            Seams::system(),
        );
        let config = |(name, subscriptions): &(&str, &[&str])| config(manifests.path(), name, subscriptions);
        let configs: Vec<_> = journals.iter().map(config).collect();
        let engine = Engine::new(&EngineConfig {
            cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into()),
            // Many hosts share the engine, and no pool is large enough for all of them.
            pooling: Pooling::Off,
            ..EngineConfig::default()
        });
        Self {
            loader,
            engine: engine.unwrap(),
            configs,
            _manifests: manifests,
        }
    }

    async fn load(&self) -> Vec<Module> {
        let mut modules = Vec::new();
        for config in &self.configs {
            let candidate: Candidate = self.loader.inspect(config).unwrap();
            modules.push(self.loader.load(&self.engine, candidate).await.unwrap());
        }
        modules
    }

    /// Starts the journals on the state that they wrote before.
    pub(crate) async fn start(&self, chains: &Chains, store: &Arc<MemoryStore>) -> Running {
        let mut supervisor =
            Supervisor::new(RunSettings::new(store.clone())).source(chains.source(TEST_CHAIN_ID).unwrap());
        let modules = self.load().await;
        let statuses = modules.into_iter().map(|module| supervisor.module(module)).collect();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { supervisor.run(token).await.unwrap() });
        Running {
            store: store.clone(),
            statuses,
            stop,
            task,
        }
    }
}

fn config(directory: &Path, name: &str, subscriptions: &[&str]) -> ModuleConfig {
    let table = |keys: &&str| format!("[[subscription]]\nchain_id = {TEST_CHAIN_ID}\n{keys}\n");
    let tables: String = subscriptions.iter().map(table).collect();
    let manifest = directory.join(format!("{name}.toml"));
    std::fs::write(&manifest, format!("[capabilities]\nrequired = [\"store\"]\n{tables}")).unwrap();
    let mut config = ModuleConfig::new(guests::component("journal"));
    config.name = Some(name.parse().unwrap());
    config.manifest = Some(manifest.into());
    config
}

/// Running journals.
pub(crate) struct Running {
    store: Arc<MemoryStore>,
    statuses: Vec<Arc<ModuleStatus>>,
    stop: CancellationToken,
    task: JoinSet<Report>,
}

impl Running {
    /// Waits until a journal has this content. Returns the actual content after a timeout, or if
    /// the module is dead.
    pub(crate) async fn becomes(&self, name: &str, expected: &[String]) -> Result<(), String> {
        let mut turns = tokio::time::interval(Duration::from_millis(2));
        let began = tokio::time::Instant::now();
        loop {
            turns.tick().await;
            let entries = journal(&*self.store, name);
            if entries == expected {
                return Ok(());
            }
            let status = self.statuses.iter().find(|status| status.name().as_str() == name);
            let stage = status.map(|status| status.stage());
            if began.elapsed() > WAIT_MAX || stage == Some(Stage::Dead) {
                return Err(difference(name, stage, &entries, expected));
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.task.join_next().await.unwrap().unwrap();
    }
}

fn difference(name: &str, stage: Option<Stage>, entries: &[String], expected: &[String]) -> String {
    let same = entries
        .iter()
        .zip(expected)
        .take_while(|(one, other)| one == other)
        .count();
    format!(
        "{name} is {stage:?}, and after {same} entries has {:#?} in place of {:#?}",
        &entries[same..entries.len().min(same + 3)],
        &expected[same..expected.len().min(same + 3)]
    )
}
