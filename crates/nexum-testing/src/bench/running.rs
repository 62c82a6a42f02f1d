//! A running host that handles blocks on request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexum_core::module::Module;
use nexum_core::source::{Advance, EventLog};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{Ledger, ModuleStatus, Stage};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::HandGrown;

/// A running supervisor that handles blocks on request.
pub struct Host<'a> {
    runtime: &'a Runtime,
    requests: mpsc::Sender<Request>,
    _task: JoinSet<()>,
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// Blocks to append, and the channel for the time that the modules took.
struct Request {
    blocks: Vec<Arc<Advance>>,
    /// The pause between two looks at the modules.
    pause: Duration,
    took: oneshot::Sender<Duration>,
}

impl<'a> Host<'a> {
    /// Starts modules over a store in memory.
    pub fn start(runtime: &'a Runtime, modules: Vec<Module>) -> Self {
        Self::start_with(runtime, modules, RunSettings::new(Arc::new(MemoryStore::new())))
    }

    /// [`start`](Self::start), with a ledger.
    pub fn start_with_ledger(runtime: &'a Runtime, modules: Vec<Module>, ledger: Ledger) -> Self {
        let settings = RunSettings {
            ledger: Some(ledger),
            ..RunSettings::new(Arc::new(MemoryStore::new()))
        };
        Self::start_with(runtime, modules, settings)
    }

    /// Starts modules with these settings.
    pub fn start_with(runtime: &'a Runtime, modules: Vec<Module>, settings: RunSettings) -> Self {
        let (requests, queue) = mpsc::channel(1);
        let mut supervisor = Supervisor::new(settings);
        let statuses: Arc<[_]> = modules.into_iter().map(|module| supervisor.module(module)).collect();
        let requests_of_bench = Arc::new(Mutex::new(queue));
        let chain = HandGrown::new(move |log, _| {
            let (statuses, requests) = (statuses.clone(), requests_of_bench.clone());
            Box::pin(async move { grow(log, &statuses, &requests).await })
        });
        let supervisor = supervisor.source(chain);
        let mut task = JoinSet::new();
        let run = async move {
            let _ = supervisor.run(CancellationToken::new()).await;
            panic!("the host ended by itself");
        };
        task.spawn_on(run, runtime.handle());
        Self {
            runtime,
            requests,
            _task: task,
        }
    }

    /// The time until every module has handled all blocks. Each is appended after all modules have handled the
    /// previous one.
    ///
    /// # Panics
    ///
    /// If a module fails.
    pub fn sample(&mut self, blocks: Vec<Arc<Advance>>) -> Duration {
        self.request(blocks, Duration::ZERO)
    }

    /// [`sample`](Self::sample), with pauses, so that a wait for another thread costs no instructions.
    ///
    /// # Panics
    ///
    /// If a module fails.
    pub fn handle_quietly(&mut self, blocks: Vec<Arc<Advance>>) {
        self.request(blocks, Duration::from_millis(20));
    }

    fn request(&mut self, blocks: Vec<Arc<Advance>>, pause: Duration) -> Duration {
        let (took, answer) = oneshot::channel();
        let request = Request { blocks, pause, took };
        let ask = async {
            let sent = self.requests.send(request).await;
            assert!(sent.is_ok(), "the chain has ended");
            answer.await.expect("an answer of the chain")
        };
        self.runtime.block_on(ask)
    }
}

/// Appends a block on request, and the next after all modules have handled it.
async fn grow(log: &EventLog, statuses: &[Arc<ModuleStatus>], requests: &Mutex<mpsc::Receiver<Request>>) {
    until(statuses, Duration::ZERO, |status| status.stage() == Stage::Running).await;
    let mut requests = requests.lock().await;
    let mut appended = 0;
    while let Some(request) = requests.recv().await {
        let start = Instant::now();
        for block in request.blocks {
            log.append(block);
            appended += 1;
            until(statuses, request.pause, |status| status.handled() >= appended).await;
        }
        // The bench that sent the request may have failed meanwhile.
        let _ = request.took.send(start.elapsed());
    }
}

/// Waits until `holds`. Without a pause between two looks, the cost of waking up is not part of the event's time.
async fn until(statuses: &[Arc<ModuleStatus>], pause: Duration, holds: impl Fn(&ModuleStatus) -> bool) {
    while !statuses.iter().all(|status| holds(status)) {
        let dead = |status: &Arc<ModuleStatus>| status.failed() > 0 || status.stage() == Stage::Dead;
        assert!(!statuses.iter().any(dead), "a module failed");
        match pause {
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
}
