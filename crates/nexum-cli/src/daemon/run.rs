//! `nexum run`.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use nexum_core::engine::Engine;
use nexum_core::module::candidate::Candidate;
use nexum_core::module::query::Loaded;
use nexum_core::store::StateStore;
use nexum_core::supervisor::{Report, Supervisor};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::announce::announce;
use super::control::{self, ControlState};
use super::logging::{self, Log};
use super::metrics::{self, Exporter, Readiness};
use super::query::config::QueryConfig;
use super::query::listener::Listener;
use super::{progress, watch};
use crate::configure::{Configuration, LogFormat, MetricsConfig, configure};
use crate::exit_code::{FAILED, STOPPED};
use crate::modules::Plan;
use crate::report::{Refusal, Refusals};
use crate::{args, state};

/// How long the process waits for blocking tasks at its end. Every commit has ended before; a compilation or a slow disk may be left.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs modules until a signal, or until none is left.
///
/// # Errors
///
/// Everything that kept it from starting.
pub(crate) fn run(args: &args::Run) -> Result<u8, Refusals> {
    let Configuration {
        config,
        log,
        metrics,
        notice,
    } = configure(args.load.config.as_deref())?;
    let log_format = log.format;
    let log = logging::start(&log)?;
    if let Some(notice) = notice {
        tracing::warn!("{notice}");
    }
    let recorder = metrics::install(&metrics)?;
    let plan = Plan::new(config, &args.load)?;
    let queries = QueryConfig::of(&plan.config)?;
    let store = state::open(&plan.store, &plan.config, "nexum run")?;
    let daemon = Daemon {
        args,
        plan,
        log,
        log_format,
        metrics,
        queries,
        store,
        recorder,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    let ended = runtime.block_on(daemon.run());
    runtime.shutdown_timeout(SHUTDOWN);
    ended
}

/// What `nexum run` sets up before it starts the first task.
struct Daemon<'a> {
    args: &'a args::Run,
    plan: Plan,
    log: Log,
    log_format: LogFormat,
    metrics: MetricsConfig,
    queries: QueryConfig,
    store: Arc<dyn StateStore>,
    recorder: Option<PrometheusHandle>,
}

impl Daemon<'_> {
    /// Loads the modules and runs them. Serves the control socket and the metrics from before the modules are compiled, which takes
    /// time.
    async fn run(mut self) -> Result<u8, Refusals> {
        let stop = StopOnSignals::new().map_err(|error| Refusal::of(&error))?;
        let exporter = Exporter::open(&self.metrics, self.recorder.take()).await?;
        let answering = Listener::open(&self.queries).await?;
        let (candidates, refused) = tokio::select! {
            inspected = self.inspect() => inspected?,
            () = stop.token.cancelled() => return Ok(STOPPED),
        };
        let engine = self.plan.engine(&candidates)?;
        announce(&self.plan, self.log_format, &candidates);
        let mut supervisor = self.supervisor();
        let control = ControlState {
            supervisor: supervisor.handle(),
            builder: self.plan.builder(&engine),
            store: self.store.clone(),
        };
        let readiness = Readiness::new(control.supervisor.clone(), control.builder.clone());
        let mut served = pin!(async {
            tokio::select! {
                never = control::serve(&self.plan.config.state_dir, control.clone()) => never,
                never = exporter.serve(readiness.clone()) => never,
                never = self.log.report_lost() => never,
            }
        });
        let modules = tokio::select! {
            loaded = self.load(&engine, candidates, refused) => loaded?,
            () = stop.token.cancelled() => return Ok(STOPPED),
            never = &mut served => match never {},
        };
        let missing = self.plan.refused(&modules);
        add(&mut supervisor, modules);
        readiness.loaded_all_but(missing);
        let report = tokio::select! {
            report = supervisor.run(stop.token) => report.map_err(|error| Refusal::of(&error))?,
            never = progress::show(&control.supervisor) => match never {},
            never = answering.serve(&control.supervisor) => match never {},
            never = served => match never {},
            never = watch::reload_changed(&control), if self.args.watch => match never {},
        };
        Ok(exit_code(&report))
    }

    /// Reads every module's files. Returns the modules that can be compiled, and the refusals of the others.
    async fn inspect(&self) -> Result<(Vec<Candidate>, Refusals), Refusals> {
        let (candidates, refused) = self.plan.inspect().await;
        let refused = self.tolerate(refused, candidates.len())?;
        Ok((candidates, refused))
    }

    /// Compiles the modules, and logs all refusals: those of `inspect` and its own.
    async fn load(
        &self,
        engine: &Engine,
        candidates: Vec<Candidate>,
        mut refused: Refusals,
    ) -> Result<Vec<Loaded>, Refusals> {
        let (modules, more) = self.plan.load(engine, candidates).await;
        refused.extend(more);
        self.tolerate(refused, modules.len())?.log();
        let (hits, misses) = engine.cache_hits_and_misses();
        tracing::info!(
            modules = modules.len(),
            pooled = engine.is_pooled(),
            cached = hits,
            compiled = misses,
            "modules are loaded"
        );
        Ok(modules)
    }

    /// Fails if a module was refused, and `--strict` is given or no module is left.
    fn tolerate(&self, refused: Refusals, left: usize) -> Result<Refusals, Refusals> {
        match !refused.is_empty() && (self.args.strict || left == 0) {
            true => Err(refused),
            false => Ok(refused),
        }
    }

    fn supervisor(&self) -> Supervisor {
        let supervisor = Supervisor::new(self.store.clone())
            .commit_policy(self.plan.store.policy)
            .strict(self.args.strict);
        self.plan.sources.iter().cloned().fold(supervisor, Supervisor::source)
    }
}

fn add(supervisor: &mut Supervisor, modules: Vec<Loaded>) {
    for module in modules {
        match module {
            Loaded::Event(module) => drop(supervisor.module(*module)),
            Loaded::Query(module) => supervisor.query(*module),
        }
    }
}

/// Logs how each module ended, and returns the exit code of the process.
fn exit_code(report: &Report) -> u8 {
    for status in &report.modules {
        tracing::info!(
            module = status.name().as_str(),
            handled = status.handled(),
            failed = status.failed(),
            stage = ?status.stage(),
            "module ended"
        );
    }
    if report.failed() { FAILED } else { STOPPED }
}

/// A token that SIGINT or SIGTERM cancels, for as long as this is held. SIGHUP, which a closing terminal sends, changes nothing.
struct StopOnSignals {
    token: CancellationToken,
    _task: JoinSet<()>,
}

impl StopOnSignals {
    fn new() -> io::Result<Self> {
        let token = CancellationToken::new();
        let mut task = JoinSet::new();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let stop = token.clone();
        task.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => break,
                    _ = terminate.recv() => break,
                    _ = hangup.recv() => tracing::info!("SIGHUP changes nothing: use `nexum module` to change modules"),
                }
            }
            tracing::info!("stopping: events in hand are finished first");
            stop.cancel();
        });
        Ok(Self { token, _task: task })
    }
}
