//! `nexum run`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use nexum_config::masked_path::MaskedPath;
use nexum_core::module::Candidate;
use nexum_core::store::StateStore;
use nexum_core::supervisor::Report;
use nexum_core::supervisor::SteerError;
use nexum_core::{HostBuilder, LoadErrors};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::announce::announce;
use super::api::{self, Admin, AdminPort, ApiState};
use super::logging::{self, Log};
use super::metrics::{self, Exporter, Readiness};
use super::query::listener::Listener;
use super::refused::Refused;
use super::{progress, watch};
use crate::configure::{ConfigFile, LEVEL_TARGET, LogFormat, MetricsConfig, QueryConfig};
use crate::exit_code::{FAILED, STOPPED};
use crate::modules::{Plan, Settings};
use crate::process::Termination;
use crate::report::print::errln;
use crate::report::{Refusal, Refusals};
use crate::{args, process, state};

/// How often nexum looks whether the operator's loads have ended. They take seconds.
const LOADING_POLL: Duration = Duration::from_millis(100);

/// Runs modules until a signal, or until no module is left.
///
/// # Errors
///
/// Errors that prevent the start.
pub(crate) fn run(args: &args::Run) -> Result<u8, Refusals> {
    let settings = Settings::read(args.load.files()?)?;
    let recorder = metrics::install(settings.metrics())?;
    let plan = settings.plan();
    if !plan.errors.is_empty() {
        return Err(everything_wrong(plan)?);
    }
    let Plan {
        file,
        config,
        filter,
        log_format,
        metrics,
        queries,
        admin,
        store,
        host,
        warnings,
        errors: _,
        facts: _,
    } = plan;
    let origin = filter.origin.clone();
    let log = logging::start(filter, log_format)?;
    announce_start(&origin, &file, &config.state_dir);
    process::raise_open_files();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
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
        admin,
        store: opened,
        recorder,
    };
    process::block_on(daemon.run(host))?
}

/// Writes the first record of the log. `origin` says where the level of the log comes from.
fn announce_start(origin: &str, file: &ConfigFile, state_dir: &MaskedPath) {
    let config = file.absolute();
    tracing::info!(
        target: LEVEL_TARGET,
        version = env!("CARGO_PKG_VERSION"),
        config = config.map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
        state_dir = %state_dir.shown_absolute().display(),
        pid = std::process::id(),
        "{origin}"
    );
}

/// The errors of a faulty configuration, and then those of the modules' files.
fn everything_wrong(plan: Plan) -> Result<Refusals, Refusal> {
    let Plan {
        mut errors,
        host,
        warnings,
        ..
    } = plan;
    let inspection = process::block_on(host.inspect())?;
    errors.extend(Refusals::from(&inspection.errors));
    // The log has not started.
    for warning in warnings.iter().chain(&inspection.warnings) {
        errln!("warning: {warning}");
    }
    Ok(errors)
}

/// The parts that `nexum run` creates before it starts the first task.
struct Daemon<'a> {
    args: &'a args::Run,
    state_dir: MaskedPath,
    log: Log,
    log_format: LogFormat,
    metrics: MetricsConfig,
    queries: QueryConfig,
    admin: Option<Admin>,
    store: Arc<dyn StateStore>,
    recorder: Option<PrometheusHandle>,
}

impl Daemon<'_> {
    /// Runs the modules, each as soon as it is compiled. Starts the control socket and the ports before
    /// that.
    async fn run(mut self, host: HostBuilder) -> Result<u8, Refusals> {
        let stop = StopOnSignals::new().map_err(|error| Refusal::of(&error))?;
        let exporter = Exporter::open(&self.metrics, self.recorder.take()).await?;
        let answering = Listener::open(&self.queries).await?;
        let port = AdminPort::open(self.admin.take()).await?;
        let sources: Vec<_> = host.sources().cloned().collect();
        let mut inspection = tokio::select! {
            inspection = host.inspect() => inspection,
            () = stop.token.cancelled() => return Ok(STOPPED),
        };
        for warning in &inspection.warnings {
            tracing::warn!("{warning}");
        }
        let refused = std::mem::take(&mut inspection.errors);
        self.tolerate(&refused, inspection.candidates.len())?;
        let (host, candidates) = inspection.set_up().map_err(|error| Refusal::with_hint_of(&error))?;
        announce(&sources, self.log_format, &candidates);
        let api = ApiState {
            supervisor: host.handle().supervisor().clone(),
            host: host.handle(),
            store: self.store.clone(),
            refused: Refused::default(),
            stop: stop.token.clone(),
        };
        let mut failure = None;
        let stopped = async {
            tokio::select! {
                () = stop.token.cancelled() => {}
                refusals = self.start(&api, candidates, refused) => failure = Some(refusals),
            }
        };
        let report = tokio::select! {
            // The modules are in the list of those that are being loaded before the first request arrives.
            biased;
            report = host.run(stopped) => report.map_err(|error| Refusal::of(&error))?,
            never = api::serve(&self.state_dir, port, api.clone()) => match never {},
            never = exporter.serve(Readiness::new(api.host.clone(), api.refused.clone())) => match never {},
            never = answering.serve(&api.host) => match never {},
            never = self.log.report_lost() => match never {},
            never = progress::show(&api.supervisor) => match never {},
            never = watch::reload_changed(&api), if self.args.watch => match never {},
        };
        failure.map_or_else(|| Ok(exit_code(&report)), Err)
    }

    /// Compiles and starts the modules, and logs why it refuses some. Returns only if no module runs, or if `--strict` is given and
    /// one is refused.
    async fn start(&self, api: &ApiState, candidates: Vec<Candidate>, mut refused: LoadErrors) -> Refusals {
        api.refused.add(&refused);
        Refusals::from(&refused).log();
        let host = &api.host;
        let started = host.load_each(candidates, |errors| {
            api.refused.add(&errors);
            // A strict run exits with all errors.
            if !self.args.strict {
                Refusals::from(&errors).log();
            }
            refused.extend(errors);
        });
        let modules = match started.await {
            Ok(modules) => modules,
            // The report of the run has the reason.
            Err(SteerError::NotRunning) => return std::future::pending().await,
            Err(error) => return Refusal::of(&error).into(),
        };
        // The operator may have loaded others, or be loading them.
        while !refused.is_empty() && !host.loading().is_empty() {
            tokio::time::sleep(LOADING_POLL).await;
        }
        let left = modules.max(host.all().len());
        if let Err(refusals) = self.tolerate(&refused, left) {
            return match self.args.strict {
                true => refusals,
                // The log has the reasons.
                false => Refusal::new("nexum refused every module").into(),
            };
        }
        api.refused.complete();
        let (hits, misses) = host.engine().cache_hits_and_misses();
        tracing::info!(
            modules,
            pooled = host.engine().is_pooled(),
            cached = hits,
            compiled = misses,
            "modules are loaded"
        );
        std::future::pending().await
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
        let mut termination = Termination::new()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let stop = token.clone();
        task.spawn(async move {
            loop {
                tokio::select! {
                    _ = termination.received() => break,
                    _ = hangup.recv() => tracing::info!("SIGHUP changes nothing: use `nexum module` to change modules"),
                }
            }
            tracing::info!("stopping: nexum finishes the current events first");
            stop.cancel();
        });
        Ok(Self { token, _task: task })
    }
}
