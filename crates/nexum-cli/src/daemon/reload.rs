//! The reload of the configuration: SIGHUP, `nexum reload`, `POST /v1/reload`.
//!
//! nexum reads the configuration again, checks all of it as at the start, and compiles the modules. Then
//! it changes the modules, the chains and the level of the log, or nothing. A key that needs a restart
//! refuses the whole reload.
//!
//! One task carries out one reload after another, so that a client that leaves interrupts none.

mod difference;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use nexum_config::document::{Section, Setting};
use nexum_config::engine::{Config, EntrySource};
use nexum_config::names::ModuleName;
use nexum_core::supervisor::RunningModule;
use nexum_core::{Change, ChangeError, HostHandle, LoaderSettings, Prepared};
use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};

use self::difference::{difference, needs_restart};
use super::audit::By;
use super::codes::code_of_change;
use super::levels::LogLevel;
use super::systemd::Service;
use crate::args::Files;
use crate::compose::{ChainsInUse, PreparedChains};
use crate::configure::{Admin, ConfigFile, Filter, LedgerConfig, Token};
use crate::effective::effective;
use crate::error_code::ErrorCode;
use crate::modules::{Plan, Settings};
use crate::protocol::config::EffectiveConfig;
use crate::protocol::reload::{ReloadReport, ReloadedModule, SettingChange};
use crate::report::{Refusal, Refusals};

/// The most reloads that wait for another one. Each is from an operator who waits for its end.
const WAITING_MAX: usize = 8;

/// The command in the audit record of SIGHUP: the operation of `POST /v1/reload`.
const COMMAND: &str = "config_reload";

/// The errors of a reload, with the code of the first one. Nothing was changed.
pub(crate) type Failure = (ErrorCode, Refusals);

struct Request {
    dry_run: bool,
    done: oneshot::Sender<Result<ReloadReport, Failure>>,
}

/// Asks for reloads. Clones ask one [`Reloader`].
#[derive(Clone)]
pub(crate) struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    shown: Arc<Mutex<EffectiveConfig>>,
}

/// The parts of the running daemon that a reload changes.
pub(crate) struct Parts {
    pub(crate) host: HostHandle,
    pub(crate) chains: ChainsInUse,
    pub(crate) log_level: LogLevel,
    pub(crate) service: Service,
    /// The event ledger, if there is one.
    pub(crate) ledger: Option<nexum_ledger::Handle>,
    /// The token of the TCP port, if there is a port.
    pub(crate) token: Option<Arc<Token>>,
}

/// The running configuration.
#[derive(Default)]
pub(crate) struct Running {
    files: Files,
    settings: Vec<Setting>,
    shown: EffectiveConfig,
    filter: Filter,
}

/// Carries out reloads.
pub(crate) struct Reloader {
    requests: mpsc::Receiver<Request>,
    shown: Arc<Mutex<EffectiveConfig>>,
    hangup: Signal,
    running: Running,
}

impl Running {
    /// The configuration with which the daemon starts.
    pub(crate) fn new(file: &ConfigFile, files: &Files, config: &Config, filter: &Filter) -> Self {
        let mut files = files.clone();
        // A later reload reads the file of the start, wherever a file has appeared meanwhile.
        files.config = file.exists().then(|| file.path().to_owned());
        Self {
            settings: settings(config),
            shown: effective(file, config.root.as_ref(), &files, true),
            filter: filter.clone(),
            files,
        }
    }
}

fn settings(config: &Config) -> Vec<Setting> {
    config.root.as_ref().map(Section::settings).unwrap_or_default()
}

/// The handle for reloads, and the task that carries them out.
///
/// # Errors
///
/// If the system refuses a handler of SIGHUP. Afterwards, the signal no longer ends the process.
pub(crate) fn reloader(running: Running) -> io::Result<(ReloadHandle, Reloader)> {
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    let shown = Arc::new(Mutex::new(running.shown.clone()));
    let handle = ReloadHandle {
        requests: sender,
        shown: Arc::clone(&shown),
    };
    let reloader = Reloader {
        requests,
        shown,
        hangup: signal(SignalKind::hangup())?,
        running,
    };
    Ok((handle, reloader))
}

impl ReloadHandle {
    /// Reloads the configuration after the reloads that are in progress. With `dry_run`, only compares it
    /// with the running one. A caller that leaves does not interrupt the reload.
    ///
    /// # Errors
    ///
    /// All errors of the configuration and of the modules, or the reason why the daemon takes no reload.
    pub(crate) async fn reload(&self, dry_run: bool) -> Result<ReloadReport, Failure> {
        let (done, outcome) = oneshot::channel();
        let sent = self.requests.send(Request { dry_run, done }).await;
        let stopping = || (ErrorCode::DaemonStopping, Refusal::new("nexum stops").into());
        sent.map_err(|_| stopping())?;
        outcome.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// The running configuration.
    pub(crate) fn running(&self) -> EffectiveConfig {
        self.shown.lock().clone()
    }
}

impl Reloader {
    /// Carries out the requests, and a reload for each SIGHUP, after `started`. Never returns.
    pub(crate) async fn run(&mut self, parts: &Parts, started: &Notify) -> Infallible {
        started.notified().await;
        loop {
            let request = tokio::select! {
                Some(request) = self.requests.recv() => Some(request),
                _ = self.hangup.recv() => None,
            };
            match request {
                Some(Request { dry_run: true, done }) => {
                    let next = self.prepare(parts).await;
                    // The caller may have left.
                    drop(done.send(next.map(|next| next.report(true))));
                }
                Some(Request { dry_run: false, done }) => drop(done.send(self.reload(parts).await)),
                None => {
                    tracing::info!("SIGHUP: nexum reloads its configuration");
                    let record = By::hangup(COMMAND).continues();
                    let outcome = self.reload(parts).await;
                    record.ended(outcome.map(drop).map_err(|(code, _)| code.word()));
                }
            }
        }
    }

    /// Reloads, logs the outcome, and tells systemd.
    async fn reload(&mut self, parts: &Parts) -> Result<ReloadReport, Failure> {
        parts.service.reload_begins().await;
        let outcome = match self.prepare(parts).await {
            Ok(next) => self.apply(parts, next).await,
            Err(failure) => Err(failure),
        };
        match &outcome {
            Ok(report) if report.is_empty() => tracing::info!("the configuration has not changed"),
            Ok(report) => {
                report.lines().iter().for_each(|line| tracing::info!("reload: {line}"));
                tracing::info!("the configuration is reloaded");
            }
            Err((code, refusals)) => {
                refusals.log();
                tracing::error!(
                    code = code.word(),
                    "the configuration is not reloaded: nothing was changed"
                );
            }
        }
        parts.service.reload_ends().await;
        outcome
    }

    /// Reads and checks everything, and changes nothing.
    async fn prepare(&self, parts: &Parts) -> Result<Next, Failure> {
        let files = self.running.files.clone();
        // The plan makes chains of its own, which must not reset the metrics of the running ones.
        let read = move || metrics::with_local_recorder(&metrics::NoopRecorder, || Ok(Settings::read(files)?.plan()));
        let read: Result<Plan, Refusals> = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let invalid = |refusals| (ErrorCode::ConfigInvalid, refusals);
        let mut plan = read.map_err(invalid)?;
        let is_of_operator = |module: &RunningModule| {
            let origin = module.origin();
            origin.is_some_and(|(origin, _)| origin.source == EntrySource::Operator)
        };
        if !parts.host.all().iter().any(is_of_operator) {
            plan.errors.extend(plan.no_modules.take().into_iter().collect());
        }
        if !plan.errors.is_empty() {
            let mut errors = plan.errors;
            errors.extend(Refusals::from(&plan.host.inspect().await.errors));
            return Err(invalid(errors));
        }
        let settings = settings(&plan.config);
        let changes = difference(&self.running.settings, &settings);
        let fixed: Vec<_> = changes.iter().filter(|change| needs_restart(change)).collect();
        let needs_restart = |refusals: Refusals| (ErrorCode::RestartRequired, refusals);
        let mut refusals: Refusals = fixed.iter().map(|change| of_fixed_key(change)).collect();
        let chains = parts.chains.prepare(&plan.config).unwrap_or_else(|found| {
            refusals.extend(found);
            PreparedChains::default()
        });
        if !refusals.is_empty() {
            return Err(needs_restart(refusals));
        }
        let change = Change {
            modules: plan.modules,
            settings: LoaderSettings {
                limits: plan.config.limits,
                restart: plan.config.restart,
                query: plan.config.query,
                total_memory_bytes: plan.config.total_memory_bytes,
                ..parts.host.settings()
            },
            chains: plan.config.chains.keys().copied().collect(),
        };
        let modules = parts.host.prepare(change).await.map_err(of_change)?;
        let shown = effective(&plan.file, plan.config.root.as_ref(), &self.running.files, true);
        Ok(Next {
            running: Running {
                files: self.running.files.clone(),
                settings,
                shown,
                filter: plan.filter,
            },
            modules,
            chains,
            changes,
            warnings: plan.warnings,
            admin: plan.admin,
            ledger: plan.ledger,
        })
    }

    /// Changes the modules, then the chains, the token, and the level of the log. Only the first can fail, and
    /// changes nothing then.
    async fn apply(&mut self, parts: &Parts, next: Next) -> Result<ReloadReport, Failure> {
        let report = next.report(false);
        next.modules.apply().await.map_err(of_change)?;
        next.chains.commit();
        if let (Some(token), Some(admin)) = (&parts.token, &next.admin) {
            token.replace(admin.token());
        }
        if let Some(ledger) = &parts.ledger {
            ledger.set_keep(next.ledger.keep);
            ledger.ledger().set_calls(next.ledger.calls);
            ledger.ledger().set_inputs(next.ledger.arguments);
        }
        if next.running.filter != self.running.filter {
            parts.log_level.configure(next.running.filter.clone());
        }
        *self.shown.lock() = next.running.shown.clone();
        self.running = next.running;
        Ok(report)
    }
}

/// A configuration that is checked.
struct Next {
    running: Running,
    modules: Prepared,
    chains: PreparedChains,
    changes: Vec<SettingChange>,
    warnings: Vec<String>,
    /// The TCP port, with the present token.
    admin: Option<Admin>,
    ledger: LedgerConfig,
}

impl Next {
    fn report(&self, dry_run: bool) -> ReloadReport {
        let difference = self.modules.difference();
        let names = |names: &[ModuleName]| names.iter().map(ToString::to_string).collect();
        let reloaded = difference.reloaded.iter().map(|(name, changes)| ReloadedModule {
            name: name.to_string(),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        });
        ReloadReport {
            dry_run,
            settings: self.changes.clone(),
            added: names(&difference.added),
            reloaded: reloaded.collect(),
            removed: names(&difference.removed),
            warnings: self.warnings.clone(),
        }
    }
}

/// The error of a key that changes only with a restart.
fn of_fixed_key(change: &SettingChange) -> Refusal {
    let refusal = Refusal::new(format!("{}, which only a restart changes", change.line()));
    refusal.with_hint("restart nexum to apply the change, or restore the running value: `nexum config show`")
}

fn of_change(error: ChangeError) -> Failure {
    (code_of_change(&error), error.into())
}
