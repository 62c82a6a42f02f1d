//! `nexum run`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use nexum_config::masked_path::MaskedPath;
use nexum_core::module::Candidate;
use nexum_core::store::StateStore;
use nexum_core::supervisor::{Report, Shutdown, SteerError};
use nexum_core::{HostBuilder, LoadErrors};
use nexum_ledger::Handle;
use nexum_store::StoreConfig;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::alerts::Alerts;
use super::announce::{announce, announce_absent, announce_start};
use super::api::sse::Readers;
use super::api::{self, AdminPort, ApiState};
use super::logging::{self, Log};
use super::metrics::{self, Exporter};
use super::node::Node;
use super::notify::Notifier;
use super::query::Listener;
use super::refused::Refused;
use super::reload::{self, Running};
use super::systemd::{self, Modules, Service};
use super::traces::Traces;
use super::{ledger, progress, watch};
use crate::compose::{ChainsInUse, KnownAccounts, TransactionsInUse};
use crate::configure::{Admin, LogFormat, MetricsConfig, NotifyConfig, QueryConfig};
use crate::exit_code::{ABANDONED, FAILED, STOPPED};
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
    let files = args.load.files()?;
    let settings = Settings::read(files.clone())?;
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
        notify,
        store,
        cluster,
        ledger,
        traces,
        host,
        chains,
        accounts,
        transactions,
        modules: _,
        no_modules,
        warnings,
        errors: _,
        facts: _,
    } = plan;
    refuse_nothing(no_modules.as_ref(), &store, &config.state_dir)?;
    let running = Running::new(&file, &files, &config, &filter);
    let origin = filter.origin.clone();
    let log = logging::start(filter, log_format)?;
    announce_start(&origin, &file, &config.state_dir);
    process::raise_open_files();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (opened, membership) = state::open_to_run(&store, cluster.as_ref(), &config)?;
    let node = Node::new(cluster.as_ref(), membership.as_ref());
    let host = host
        .store(opened.clone())
        .commit_policy(store.policy)
        .strict(args.strict);
    let host = membership.into_iter().fold(host, HostBuilder::membership);
    let traces = Traces::new(traces)?;
    let (host, ledger) = ledger::keep(host, &ledger, &config.state_dir, traces.observer());
    let daemon = Daemon {
        args,
        no_modules,
        shutdown_deadline: Duration::from_millis(config.shutdown_deadline_ms),
        state_dir: config.state_dir,
        log,
        log_format,
        metrics,
        queries,
        admin,
        notify,
        store: opened,
        node,
        ledger,
        traces,
        recorder,
        chains,
        accounts,
        transactions,
        running,
    };
    process::block_on(daemon.run(host))?
}

/// Refuses a start without modules, unless an earlier run left a state: an operator may have loaded
/// modules.
fn refuse_nothing(no_modules: Option<&Refusal>, store: &StoreConfig, state_dir: &MaskedPath) -> Result<(), Refusal> {
    let Some(refusal) = no_modules else { return Ok(()) };
    match store.has_state(state_dir).map_err(|error| Refusal::of(&error))? {
        true => Ok(()),
        false => Err(refusal.clone()),
    }
}

/// The errors of a faulty configuration, and then those of the modules' files.
fn everything_wrong(plan: Plan) -> Result<Refusals, Refusal> {
    let Plan {
        mut errors,
        host,
        no_modules,
        warnings,
        ..
    } = plan;
    errors.extend(no_modules.into_iter().collect());
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
    /// The refusal of a start without modules.
    no_modules: Option<Refusal>,
    shutdown_deadline: Duration,
    state_dir: MaskedPath,
    log: Log,
    log_format: LogFormat,
    metrics: MetricsConfig,
    queries: QueryConfig,
    admin: Option<Admin>,
    notify: NotifyConfig,
    store: Arc<dyn StateStore>,
    node: Node,
    /// The event ledger, if there is one.
    ledger: Option<Handle>,
    traces: Traces,
    recorder: Option<PrometheusHandle>,
    chains: ChainsInUse,
    accounts: KnownAccounts,
    transactions: TransactionsInUse,
    running: Running,
}

impl Daemon<'_> {
    /// Runs the modules, each as soon as it is compiled. Starts the control socket and the ports before
    /// that.
    async fn run(mut self, host: HostBuilder) -> Result<u8, Refusals> {
        let stop = CancellationToken::new();
        let (service, mut reporter) = systemd::service(stop.clone());
        let stop = StopOnSignals::new(stop, service.clone()).map_err(|error| Refusal::of(&error))?;
        let running = std::mem::take(&mut self.running);
        let (reload, mut reloader) = reload::reloader(running).map_err(|error| Refusal::of(&error))?;
        let exporter = Exporter::open(&self.metrics, self.recorder.take()).await?;
        let answering = Listener::open(&self.queries).await?;
        let port = AdminPort::open(self.admin.take()).await?;
        let sources: Vec<_> = host.sources().cloned().collect();
        let host = host.shutdown(Shutdown {
            deadline: self.shutdown_deadline,
            now: stop.now.clone(),
        });
        let host = tokio::select! {
            host = host.recall() => host.map_err(|error| Refusal::of(&error))?,
            () = stop.token.cancelled() => return Ok(STOPPED),
        };
        let mut inspection = tokio::select! {
            inspection = host.inspect() => inspection,
            () = stop.token.cancelled() => return Ok(STOPPED),
        };
        for warning in &inspection.warnings {
            tracing::warn!("{warning}");
        }
        let refused = std::mem::take(&mut inspection.errors);
        let loaded = inspection.loaded_by_operator();
        announce_absent(&inspection);
        self.tolerate(&refused, inspection.candidates.len() + loaded.len())?;
        let has_entries = !inspection.candidates.is_empty() || !refused.is_empty() || !inspection.absent().is_empty();
        if let Some(refusal) = self.no_modules.take().filter(|_| !has_entries && loaded.is_empty()) {
            return Err(refusal.into());
        }
        let (host, candidates) = inspection.set_up().map_err(|error| Refusal::with_hint_of(&error))?;
        announce(&sources, self.log_format, &candidates);
        let api = ApiState {
            supervisor: host.handle().supervisor().clone(),
            host: host.handle(),
            store: self.store.clone(),
            refused: Refused::default(),
            node: self.node.clone(),
            ledger: self.ledger.clone(),
            accounts: self.accounts.clone(),
            transactions: self.transactions.clone(),
            records: self.log.records.clone(),
            log_level: self.log.level.clone(),
            notifier: Notifier::start(std::mem::take(&mut self.notify)),
            reload,
            readers: Readers::new(&stop.token),
        };
        let modules = Modules {
            host: api.host.clone(),
            refused: api.refused.clone(),
        };
        self.traces.start();
        let mut alerts = Alerts::new();
        let parts = reload::Parts {
            host: api.host.clone(),
            chains: self.chains.clone(),
            log_level: self.log.level.clone(),
            ledger: self.ledger.clone(),
            service,
            token: port.token(),
        };
        let started = Notify::new();
        let mut failure = None;
        let stopped = async {
            tokio::select! {
                () = stop.token.cancelled() => {}
                refusals = self.start(&api, (&parts.service, &started), candidates, refused) => failure = Some(refusals),
            }
        };
        let running = async {
            let report = host.run(stopped).await;
            api.readers.end().await;
            report
        };
        let report = tokio::select! {
            // The modules are in the list of those that are being loaded before the first request arrives.
            biased;
            report = running => report.map_err(|error| Refusal::of(&error))?,
            never = api::serve(&self.state_dir, port, api.clone(), &parts.service) => match never {},
            never = reporter.run(&modules) => match never {},
            never = reloader.run(&parts, &started) => match never {},
            never = exporter.serve(api.health_check()) => match never {},
            never = answering.serve(&api.host) => match never {},
            never = self.log.report_lost() => match never {},
            never = alerts.attend(&api) => match never {},
            never = progress::show(&api.supervisor) => match never {},
            never = watch::reload_changed(&api), if self.args.watch => match never {},
        };
        reporter.finish().await;
        let has_failed = report.failed() || failure.is_some();
        tokio::join!(alerts.finish(&api, has_failed), self.traces.finish());
        failure.map_or_else(|| Ok(exit_code(&report)), Err)
    }

    /// Compiles and starts the modules, and logs why it refuses some. Returns only if no module runs, or if `--strict` is given and
    /// one is refused.
    async fn start(
        &self,
        api: &ApiState,
        (service, started): (&Service, &Notify),
        candidates: Vec<Candidate>,
        mut refused: LoadErrors,
    ) -> Refusals {
        api.refused.add(&refused);
        Refusals::from(&refused).log();
        let host = &api.host;
        let loaded = host.load_each(candidates, |errors| {
            api.refused.add(&errors);
            // A strict run exits with all errors.
            if !self.args.strict {
                Refusals::from(&errors).log();
            }
            refused.extend(errors);
        });
        let modules = match loaded.await {
            Ok(modules) => modules,
            // The report of the run has the reason.
            Err(SteerError::NotRunning) => return std::future::pending().await,
            Err(error) => return Refusal::of(&error).into(),
        };
        // The operator may have loaded others, or be loading them.
        while !refused.is_empty() && !host.loading().is_empty() {
            tokio::time::sleep(LOADING_POLL).await;
        }
        // The operator can remove a module that cannot be loaded only while nexum runs.
        let left = modules.max(host.all().len()) + host.loaded_by_operator().len();
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
        self.node.joined().await;
        service.started().await;
        started.notify_one();
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
    match (report.failed(), report.abandoned.is_empty()) {
        (true, _) => FAILED,
        (false, true) => STOPPED,
        (false, false) => ABANDONED,
    }
}

/// Tokens that SIGINT and SIGTERM cancel until this is dropped.
struct StopOnSignals {
    /// Cancelled by the first signal.
    token: CancellationToken,
    /// Cancelled by the second signal: nexum abandons the events in progress.
    now: CancellationToken,
    _task: JoinSet<()>,
}

impl StopOnSignals {
    fn new(token: CancellationToken, service: Service) -> io::Result<Self> {
        let mut task = JoinSet::new();
        let mut termination = Termination::new()?;
        let now = CancellationToken::new();
        let (stop, at_once) = (token.clone(), now.clone());
        task.spawn(async move {
            termination.received().await;
            tracing::info!("stopping: nexum finishes the current events first; a second signal abandons them");
            service.stops().await;
            stop.cancel();
            termination.received().await;
            tracing::warn!("a second signal: nexum abandons the current events");
            at_once.cancel();
        });
        Ok(Self {
            token,
            now,
            _task: task,
        })
    }
}
