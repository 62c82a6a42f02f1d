//! A module with the capability, on a chain without a network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_core::CommitPolicy;
use nexum_core::ModuleStatus;
use nexum_core::capability::{Capabilities, CurrentCall};
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_core::module::{Loaded, Loader, LoaderSettings, Module};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_http::{Http, HttpConfig};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, Records, ScriptedSource, TEST_CHAIN_ID, WAIT_MAX, guests};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The fixtures that send the request of their configuration: through `nexum:host/http`, and through
/// `wasi:http`.
pub(super) const GUESTS: [&str; 2] = ["fetcher", WASI];

/// The fixture that uses `wasi:http`.
pub(super) const WASI: &str = "wasi-fetcher";

/// A fixture with a manifest that allows these hosts.
pub(super) struct Fetching {
    pub(super) config: ModuleConfig,
    guest: &'static str,
    directory: TempDir,
}

impl Fetching {
    pub(super) fn new(guest: &'static str, allow: &[&str], config: &[(&str, &str)]) -> Self {
        let capabilities = format!("required = [\"http\", \"store\"]\n[capabilities.http]\nallow = {allow:?}\n");
        Self::with_capabilities(guest, &capabilities, config)
    }

    /// A fixture whose manifest has this table of capabilities.
    pub(super) fn with_capabilities(guest: &'static str, capabilities: &str, config: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("nexum.toml");
        let manifest = format!(
            "[module]\nname = \"{guest}\"\n[capabilities]\n{capabilities}\
             [[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n"
        );
        std::fs::write(&path, manifest).expect("a manifest");
        let mut module = ModuleConfig::new(guests::component(guest));
        module.manifest = Some(path.into());
        let pairs = config.iter();
        module.config = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            config: module,
            guest,
            directory,
        }
    }

    /// Makes the component import another release of WASI, with a number of equal length.
    pub(super) fn import_release(&mut self, release: &str) {
        const BUILT: &[u8] = b"@0.2.12";
        let release = format!("@{release}");
        assert_eq!(release.len(), BUILT.len());
        let mut bytes = std::fs::read(guests::component(self.guest)).expect("the component");
        let places = bytes.windows(BUILT.len()).enumerate();
        let places: Vec<_> = places
            .filter(|(_, window)| *window == BUILT)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "no import of {BUILT:?}");
        for at in places {
            bytes[at..at + BUILT.len()].copy_from_slice(release.as_bytes());
        }
        let path = self.directory.path().join("component.wasm");
        std::fs::write(&path, bytes).expect("a component");
        self.config.path = path.into();
    }
}

/// A running host.
pub(super) struct Host {
    pub(super) chain: ScriptedSource,
    pub(super) records: Records,
    pub(super) store: FaultyStore,
    guest: &'static str,
    status: Arc<ModuleStatus>,
    stop: CancellationToken,
    _task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
}

impl Host {
    /// Starts the module on an empty chain.
    pub(super) async fn start(config: HttpConfig, module: Fetching, limits: Limits) -> Self {
        let (records, capture) = Records::capture();
        let loader = loader(config, limits);
        let chain = ScriptedSource::new(TEST_CHAIN_ID);
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        // A commit that may wait for the next one waits longer than any test.
        let policy = CommitPolicy {
            cursor_flush: Duration::from_secs(60),
            ..CommitPolicy::default()
        };
        let supervisor = Supervisor::new(RunSettings {
            policy,
            ..RunSettings::new(Arc::new(store.clone()))
        });
        let mut supervisor = supervisor.source(Arc::new(chain.clone()));
        let status = supervisor.module(load(&loader, &module.config).await);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { drop(supervisor.run(token).await.expect("a start")) });
        Self {
            chain,
            records,
            store,
            guest: module.guest,
            status,
            stop,
            _task: task,
            _capture: capture,
        }
    }

    /// Waits until the module waits for a host call.
    pub(super) async fn current_call(&self) -> CurrentCall {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            loop {
                let call = self.status.handling().and_then(|handling| handling.host_call);
                // The call names its endpoint after its begin.
                if let Some(call) = call.filter(|call| call.endpoint.is_some()) {
                    return call;
                }
                turns.tick().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, poll).await.expect("a host call")
    }

    /// Mines a block, waits until the module has handled it or failed, and returns the module's log
    /// records of it.
    pub(super) async fn said_of_next(&self) -> Vec<String> {
        let said = || self.records.of_module(self.guest);
        let done = || self.status.handled() + self.status.failed();
        let (before, heard) = (done(), said().len());
        self.chain.mine(1);
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while done() <= before {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, poll).await.is_err() {
            panic!("the module was not done; the log: {:#?}", self.records.all());
        }
        said().split_off(heard)
    }
}

/// A loader with the capability.
pub(super) fn loader(config: HttpConfig, limits: Limits) -> Loader {
    let seams = Seams::system();
    let capabilities = Capabilities::ambient(seams.clone())
        .with(Http::new(config))
        .with(LocalStore);
    let settings = LoaderSettings {
        limits,
        ..LoaderSettings::default()
    };
    Loader::new(capabilities, settings, [TEST_CHAIN_ID], seams)
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Compiles the part of the module that handles events.
pub(super) async fn load(loader: &Loader, config: &ModuleConfig) -> Module {
    *load_all(loader, config).await.events.expect("a module with events")
}

/// Compiles the module. The cache has it if it was compiled before.
pub(super) async fn load_all(loader: &Loader, config: &ModuleConfig) -> Loaded {
    let candidate = loader.inspect(config).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let engine = Engine::new(&EngineConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into()),
        pooling: Pooling::default(),
        demand: Candidate::demand([&candidate]),
        ..EngineConfig::default()
    });
    let engine = engine.expect("an engine");
    loader
        .load_any(&engine, candidate)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
}
