//! Modules on a chain that the bench extends, with a store that records their writes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_core::CommitPolicy;
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::source::EventSource;
use nexum_core::source::Position;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{ModuleStatus, Stage};
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};
use nexum_host_store::LocalStore;
use nexum_store::Backend;
use nexum_testing::TEST_CHAIN_ID;
use nexum_testing::bench::{self, HandGrown};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::recorder::{Recorder, Written};
use crate::{Result, bare};

/// The guest.
pub(crate) const GUEST: &str = "workload";

/// The longest wait for anything: a bench that hangs fails.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// The number of addresses that one module requests. The addresses of the next module follow.
pub(crate) const ADDRESSES: u64 = 1_000_000;

/// The delay of cursor writes: longer than a bench, so that events write only their own rows.
const CURSOR_FLUSH: Duration = Duration::from_secs(3_600);

/// The work of each module in a block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) requests: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
}

/// A running supervisor. Dropping it ends the run.
pub(crate) struct Host<'a> {
    runtime: &'a Runtime,
    store: Recorder,
    statuses: Vec<Arc<ModuleStatus>>,
    steps: mpsc::Sender<Step>,
    next: u64,
    handled: u64,
    _task: JoinSet<()>,
}

enum Step {
    /// Appends this block.
    Block(u64),
    /// Reverts the blocks after this one.
    Revert(Position),
}

impl<'a> Host<'a> {
    /// Starts this many modules on a store in a directory. `node` is the address of the node for
    /// chain requests, if the modules send any.
    pub(crate) fn start(
        runtime: &'a Runtime,
        backend: Backend,
        directory: &Path,
        modules: usize,
        work: Work,
        node: Option<&str>,
    ) -> Result<Self> {
        let store = Recorder::new(bare::with_nexum(backend, directory)?);
        let (steps, queue) = mpsc::channel(1);
        let queue = Arc::new(Mutex::new(queue));
        let chain = HandGrown::new(move |log, _| {
            let queue = queue.clone();
            Box::pin(async move {
                while let Some(step) = queue.lock().await.recv().await {
                    match step {
                        Step::Block(number) => log.append(bench::block(number)),
                        Step::Revert(to) => log.revert(to),
                    }
                }
            })
        });
        let policy = CommitPolicy {
            cursor_flush: CURSOR_FLUSH,
            ..CommitPolicy::default()
        };
        let supervisor = Supervisor::new(RunSettings {
            policy,
            ..RunSettings::new(Arc::new(store.clone()))
        });
        let configs = configs(modules, work, directory, "")?;
        let (statuses, task) = runtime.block_on(run(supervisor, configs, chain, node))?;
        let mut host = Self {
            runtime,
            store,
            statuses,
            steps,
            next: 0,
            handled: 0,
            _task: task,
        };
        host.sample(1)?;
        Ok(host)
    }

    /// Lets all modules handle this many blocks. Returns the time of the first block, and the
    /// written transactions.
    pub(crate) fn sample(&mut self, blocks: u64) -> Result<(Instant, Vec<Written>)> {
        self.store.take();
        let start = Instant::now();
        self.runtime.block_on(async {
            for number in self.next..self.next + blocks {
                self.steps.send(Step::Block(number)).await?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        self.next += blocks;
        self.handled += blocks;
        self.runtime.block_on(until_handled(&self.statuses, self.handled));
        Ok((start, self.store.take()))
    }

    /// Reverts this many blocks and appends one. Returns the time, and the written transactions.
    pub(crate) fn revert(&mut self, blocks: u64) -> Result<(Instant, Vec<Written>)> {
        self.store.take();
        self.next -= blocks;
        let to = bench::block(self.next - 1).position;
        let start = Instant::now();
        self.runtime.block_on(self.steps.send(Step::Revert(to)))?;
        let (_, written) = self.sample(1)?;
        Ok((start, written))
    }
}

/// Loads modules and runs them until the set is dropped.
pub(crate) async fn run(
    supervisor: Supervisor,
    configs: Vec<ModuleConfig>,
    source: Arc<dyn EventSource>,
    node: Option<&str>,
) -> Result<(Vec<Arc<ModuleStatus>>, JoinSet<()>)> {
    let seams = Seams::system();
    // A node without requests gets no connection.
    let url = EndpointUrl::parse(node.unwrap_or("ws://127.0.0.1:1"))?;
    let chains = Chains::new([ChainConfig::new(TEST_CHAIN_ID, url)]);
    let capabilities = Capabilities::ambient(seams.clone())
        .with(LocalStore)
        .with(chains.capability());
    let modules = bench::load(configs, capabilities, seams, Limits::default(), Pooling::Auto).await;
    let mut supervisor = supervisor.source(source);
    let statuses = modules.into_iter().map(|module| supervisor.module(module)).collect();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let report = supervisor.run(CancellationToken::new()).await;
        panic!("the host ended by itself: {report:?}");
    });
    Ok((statuses, task))
}

/// Modules with work, with these additional `[[subscription]]` tables.
pub(crate) fn configs(modules: usize, work: Work, directory: &Path, subscription: &str) -> Result<Vec<ModuleConfig>> {
    let manifest = directory.join("nexum.toml");
    let text = format!(
        "[capabilities]\nrequired = [\"chain\", \"store\"]\n\n\
         [[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n{subscription}"
    );
    fs::write(&manifest, text)?;
    let mut configs = bench::copies(GUEST, modules);
    for (config, first) in configs.iter_mut().zip((0..).step_by(ADDRESSES as usize)) {
        let entries: [(&str, u64); 5] = [
            ("first", first),
            ("requests", work.requests),
            ("reads", work.reads),
            ("writes", work.writes),
            ("bytes", work.bytes),
        ];
        config.manifest = Some(manifest.clone().into());
        config.config = entries.map(|(key, value)| (key.to_owned(), value.to_string())).to_vec();
    }
    Ok(configs)
}

/// Waits until all modules run and have handled this many events each.
pub(crate) async fn until_handled(statuses: &[Arc<ModuleStatus>], events: u64) {
    let mut turns = tokio::time::interval(Duration::from_millis(1));
    let is_there = |status: &Arc<ModuleStatus>| status.stage() == Stage::Running && status.handled() >= events;
    let there = async {
        while !statuses.iter().all(is_there) {
            turns.tick().await;
            let failed = |status: &Arc<ModuleStatus>| status.failed() > 0 || status.stage() == Stage::Dead;
            assert!(!statuses.iter().any(failed), "a module failed");
        }
    };
    tokio::time::timeout(WAIT_MAX, there).await.expect("modules that run");
}
