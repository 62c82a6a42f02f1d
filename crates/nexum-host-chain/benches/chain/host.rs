//! Modules on a chain, and the times of their calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_core::capability::Capabilities;
use nexum_core::clock::{Clock, Seams, SystemClock};
use nexum_core::module::Module;
use nexum_core::source::EventSource;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{ModuleStatus, Stage};
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};
use nexum_testing::{TEST_CHAIN_ID, bench};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest wait for anything: a bench that hangs fails.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Chains with one configured endpoint, and defaults.
pub(crate) fn chains(url: &str) -> Chains {
    let url = EndpointUrl::parse(url).expect("the address of a node");
    Chains::new([ChainConfig::new(TEST_CHAIN_ID, url)])
}

/// Modules of the guest `calls`, which read the clock once per event. `subscriptions` returns the
/// `[[subscription]]` tables for a module's number.
pub(crate) fn watchers(count: usize, subscriptions: impl Fn(usize) -> String) -> Vec<ModuleConfig> {
    let with_manifest = |(index, mut config): (usize, ModuleConfig)| {
        config.manifest = Some(manifest(index, &subscriptions(index)).into());
        config.config = vec![("count".to_owned(), "1".to_owned())];
        config
    };
    bench::copies("calls", count)
        .into_iter()
        .enumerate()
        .map(with_manifest)
        .collect()
}

/// The subscription to every block.
pub(crate) fn every_block() -> String {
    format!("[[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n")
}

/// The subscription to all logs of a contract.
pub(crate) fn logs_of(address: Address) -> String {
    format!("[[subscription]]\nkind = \"log\"\nchain_id = {TEST_CHAIN_ID}\naddress = \"{address}\"\nfrom_block = 1\n")
}

/// A manifest is read when its modules are loaded, before the next one is written.
fn manifest(index: usize, subscriptions: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-chain");
    let path = directory.join(format!("{index}.toml"));
    let text = format!("[capabilities]\nrequired = []\n{subscriptions}");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&path, text))
        .expect("a file under target");
    path
}

/// A clock that records the time when guests read it.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    clock: SystemClock,
    looks: AtomicU64,
    awaited: AtomicU64,
    reached: Mutex<Option<Instant>>,
    wake: Notify,
}

impl Stamps {
    /// Starts to wait for this many readings. No guest may read the clock during the call.
    pub(crate) fn expect(&self, looks: usize) {
        self.awaited
            .store(self.looks.load(Ordering::SeqCst) + looks as u64, Ordering::SeqCst);
    }

    /// The time of the last expected reading.
    pub(crate) async fn last(&self) -> Instant {
        let reached = async {
            loop {
                if let Some(at) = self.reached.lock().take() {
                    return at;
                }
                self.wake.notified().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, reached)
            .await
            .expect("modules that are called")
    }
}

impl Clock for Stamps {
    fn now_ms(&self) -> u64 {
        if self.looks.fetch_add(1, Ordering::SeqCst) + 1 == self.awaited.load(Ordering::SeqCst) {
            *self.reached.lock() = Some(Instant::now());
            self.wake.notify_one();
        }
        self.clock.now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }
}

/// Loaded modules, and their clock.
pub(crate) struct Loaded {
    pub(crate) stamps: Arc<Stamps>,
    modules: Vec<Module>,
}

/// Loads modules that may use these chains.
pub(crate) async fn load(configs: Vec<ModuleConfig>, chains: &Chains) -> Loaded {
    let stamps = Arc::<Stamps>::default();
    let seams = Seams {
        clock: stamps.clone(),
        ..Seams::system()
    };
    let capabilities = Capabilities::ambient(seams.clone()).with(chains.capability());
    let modules = bench::load(configs, capabilities, seams, Limits::default(), Pooling::Auto);
    Loaded {
        modules: modules.await,
        stamps,
    }
}

/// A running supervisor. Dropping it ends the run.
pub(crate) struct Running {
    pub(crate) stamps: Arc<Stamps>,
    statuses: Vec<Arc<ModuleStatus>>,
    _task: JoinSet<()>,
}

impl Loaded {
    /// Starts the modules on a chain.
    pub(crate) fn start(self, runtime: &Runtime, source: Arc<dyn EventSource>) -> Running {
        let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new()))).source(source);
        let statuses = self
            .modules
            .into_iter()
            .map(|module| supervisor.module(module))
            .collect();
        let mut task = JoinSet::new();
        let run = async move {
            let _ = supervisor.run(CancellationToken::new()).await;
            panic!("the host ended by itself");
        };
        task.spawn_on(run, runtime.handle());
        Running {
            stamps: self.stamps,
            statuses,
            _task: task,
        }
    }
}

/// Starts [`watchers`] on a node, and waits until they have handled its head, which has an event
/// for each.
pub(crate) fn follow(runtime: &Runtime, url: &str, modules: usize, subscriptions: impl Fn(usize) -> String) -> Running {
    let chains = chains(url);
    let loaded = runtime.block_on(load(watchers(modules, subscriptions), &chains));
    let running = loaded.start(runtime, chains.source(TEST_CHAIN_ID).expect("the chain's source"));
    runtime.block_on(running.handled(1));
    running
}

impl Running {
    /// Waits until all modules run and have handled this many events each.
    pub(crate) async fn handled(&self, events: u64) {
        let mut turns = tokio::time::interval(Duration::from_millis(1));
        let is_there = |status: &Arc<ModuleStatus>| status.stage() == Stage::Running && status.handled() >= events;
        let there = async {
            while !self.statuses.iter().all(is_there) {
                turns.tick().await;
                assert!(
                    self.statuses.iter().all(|status| status.failed() == 0),
                    "a module failed"
                );
            }
        };
        tokio::time::timeout(WAIT_MAX, there).await.expect("modules that run");
    }
}
