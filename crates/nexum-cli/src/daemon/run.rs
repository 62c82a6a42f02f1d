//! `nexum run`.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use nexum_config::masked_path::MaskedPath;
use nexum_core::LoadErrors;
use nexum_core::module::Candidate;
use nexum_core::store::StateStore;
use nexum_core::supervisor::Report;
use nexum_core::{Host, HostBuilder};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::announce::announce;
use super::control::{self, ControlState};
use super::logging::{self, Log};
use super::metrics::{self, Exporter, Readiness};
use super::query::config::QueryConfig;
use super::query::listener::Listener;
use super::refused::Refused;
use super::{progress, watch};
use crate::configure::{Configuration, LogFormat, MetricsConfig, configure};
use crate::exit_code::{FAILED, STOPPED};
use crate::modules::Plan;
use crate::report::{Refusal, Refusals};
use crate::{args, state};

/// The longest wait for blocking tasks at the end of the process. All commits have ended before; a
/// compilation or a slow disk may remain.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs modules until a signal, or until no module is left.
///
/// # Errors
///
/// Errors that prevent the start.
pub(crate) fn run(args: &args::Run) -> Result<u8, Refusals> {
    let Configuration {
        config,
        log,
        metrics,
        notice,
    } = configure(args.load.config.as_deref())?;
    let log_format = log.format;
    let log = logging::start(&log, config.engine.as_ref())?;
    if let Some(notice) = notice {
        tracing::warn!("{notice}");
    }
    let recorder = metrics::install(&metrics)?;
    let Plan { config, store, host } = Plan::new(config, &args.load)?;
    let queries = QueryConfig::of(&config)?;
    let opened = state::open(&store, &config, "nexum run")?;
    let host = host
        .store(opened.clone())
        .commit_policy(store.policy)
        .strict(args.strict);
    let daemon = Daemon {
        args,
        state_dir: config.state_dir,
        log,
        log_format,
        metrics,
        queries,
        store: opened,
        recorder,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    let ended = runtime.block_on(daemon.run(host));
    runtime.shutdown_timeout(SHUTDOWN);
    ended
}

/// The parts that `nexum run` creates before it starts the first task.
struct Daemon<'a> {
    args: &'a args::Run,
    state_dir: MaskedPath,
    log: Log,
    log_format: LogFormat,
    metrics: MetricsConfig,
    queries: QueryConfig,
    store: Arc<dyn StateStore>,
    recorder: Option<PrometheusHandle>,
}

impl Daemon<'_> {
    /// Loads the modules and runs them. Starts the control socket and the metrics first, because
    /// compiling modules takes time.
    async fn run(mut self, host: HostBuilder) -> Result<u8, Refusals> {
        let stop = StopOnSignals::new().map_err(|error| Refusal::of(&error))?;
        let exporter = Exporter::open(&self.metrics, self.recorder.take()).await?;
        let answering = Listener::open(&self.queries).await?;
        let sources: Vec<_> = host.sources().cloned().collect();
        let mut inspection = tokio::select! {
            inspection = host.inspect() => inspection,
            () = stop.token.cancelled() => return Ok(STOPPED),
        };
        let refused = std::mem::take(&mut inspection.errors);
        self.tolerate(&refused, inspection.candidates.len())?;
        let (mut host, candidates) = inspection.set_up().map_err(|error| Refusal::with_hint_of(&error))?;
        announce(&sources, self.log_format, &candidates);
        let control = ControlState {
            supervisor: host.handle().supervisor().clone(),
            host: host.handle(),
            store: self.store.clone(),
            refused: Refused::default(),
        };
        let readiness = Readiness::new(control.host.clone(), control.refused.clone());
        let mut served = pin!(async {
            tokio::select! {
                never = control::serve(&self.state_dir, control.clone()) => never,
                never = exporter.serve(readiness.clone()) => never,
                never = self.log.report_lost() => never,
            }
        });
        let refused = tokio::select! {
            refused = self.load(&mut host, candidates, refused) => refused?,
            () = stop.token.cancelled() => return Ok(STOPPED),
            never = &mut served => match never {},
        };
        control.refused.set(&refused);
        let report = tokio::select! {
            report = host.run(stop.token.cancelled()) => report.map_err(|error| Refusal::of(&error))?,
            never = progress::show(&control.supervisor) => match never {},
            never = answering.serve(&control.supervisor) => match never {},
            never = served => match never {},
            never = watch::reload_changed(&control), if self.args.watch => match never {},
        };
        Ok(exit_code(&report))
    }

    /// Compiles the modules. Logs and returns the errors of the inspection and of the compilation.
    async fn load(
        &self,
        host: &mut Host,
        candidates: Vec<Candidate>,
        mut refused: LoadErrors,
    ) -> Result<LoadErrors, Refusals> {
        refused.extend(host.load(candidates).await);
        let modules = host.names().len();
        self.tolerate(&refused, modules)?;
        Refusals::from(&refused).log();
        let engine = host.engine();
        let (hits, misses) = engine.cache_hits_and_misses();
        tracing::info!(
            modules,
            pooled = engine.is_pooled(),
            cached = hits,
            compiled = misses,
            "modules are loaded"
        );
        Ok(refused)
    }

    /// Fails if a module was refused, and `--strict` is given or no module is left.
    fn tolerate(&self, refused: &LoadErrors, left: usize) -> Result<(), Refusals> {
        match !refused.is_empty() && (self.args.strict || left == 0) {
            true => Err(refused.into()),
            false => Ok(()),
        }
    }
}

/// Logs the end of each module. Returns the exit code of the process.
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

/// A token that SIGINT or SIGTERM cancels until this is dropped. SIGHUP, which a closing terminal
/// sends, has no effect.
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
            tracing::info!("stopping: nexum finishes the current events first");
            stop.cancel();
        });
        Ok(Self { token, _task: task })
    }
}
