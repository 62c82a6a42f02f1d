//! `nexum run`.

use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use nexum_core::config::{LogFormat, Metering};
use nexum_core::limits::Limit;
use nexum_core::loader::{Candidate, Loaded};
use nexum_core::store::StateStore;
use nexum_core::supervisor::Supervisor;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::control::{Control, Steered};
use super::metrics::{self, Readiness};
use super::query::config::QueryConfig;
use super::query::listener::Listener;
use super::{listen, logging, progress, watch};
use crate::configure::configure;
use crate::exit_code::{FAILED, STOPPED};
use crate::modules::Plan;
use crate::report::{Refusal, Refusals, list, table};
use crate::{args, state};

/// Runs modules until a signal, or until none is left.
///
/// # Errors
///
/// Everything that kept it from starting.
pub(crate) fn run(args: &args::Run) -> Result<u8, Refusals> {
    let (config, notice) = configure(args.load.config.as_deref())?;
    logging::start(&config.log)?;
    if let Some(notice) = notice {
        tracing::warn!("{notice}");
    }
    let exported = metrics::install(&config.metrics)?;
    let plan = Plan::new(config, &args.load)?;
    let queries = QueryConfig::of(&plan.config)?;
    let store = state::open(&plan.store, &plan.config, "nexum run")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| Refusal::of(&error))?
        .block_on(run_async(plan, queries, store, exported, args))
}

async fn run_async(
    plan: Plan,
    queries: QueryConfig,
    store: Arc<dyn StateStore>,
    exported: Option<PrometheusHandle>,
    args: &args::Run,
) -> Result<u8, Refusals> {
    let listener = match plan.config.metrics.listen {
        Some(address) => Some(listen::bind("metrics.listen", address).await?),
        None => None,
    };
    let stop = stop_on_signals().map_err(|error| Refusal::of(&error))?;
    let (candidates, mut refusals) = plan.inspect().await;
    // One that is refused does not keep the others from running.
    let is_fatal = |refusals: &Refusals, left: usize| !refusals.is_empty() && (args.strict || left == 0);
    if is_fatal(&refusals, candidates.len()) {
        return Err(refusals);
    }
    let engine = plan.engine(&candidates)?;
    announce(&plan, &candidates);
    let state = store.clone();
    let supervisor = Supervisor::new(store)
        .commit_policy(plan.store.policy)
        .strict(args.strict);
    let mut supervisor = plan.sources.iter().cloned().fold(supervisor, Supervisor::source);
    let steered = Steered {
        steering: supervisor.steering(),
        workshop: plan.workshop(&engine),
        store: state,
    };
    let readiness = Readiness {
        steering: steered.steering.clone(),
        workshop: steered.workshop.clone(),
        refused: Arc::default(),
    };
    let refused = readiness.refused.clone();
    // It can be seen from here on what becomes of the modules: compiling takes its time.
    let seen = async {
        tokio::join!(
            steer(&plan.config.state_dir, steered.clone()),
            export(listener.zip(exported), readiness)
        )
        .0
    };
    let mut seen = pin!(seen);
    let (modules, more) = tokio::select! {
        loaded = plan.load(&engine, candidates) => loaded,
        never = &mut seen => match never {},
    };
    refusals.extend(more);
    if is_fatal(&refusals, modules.len()) {
        return Err(refusals);
    }
    refusals.log();
    let (hits, misses) = engine.cache_hits_and_misses();
    tracing::info!(
        modules = modules.len(),
        pooled = engine.is_pooled(),
        cached = hits,
        compiled = misses,
        "modules are loaded"
    );
    let answering = Listener::open(&queries).await?;
    let missing = plan.refused(&modules);
    for module in modules {
        match module {
            Loaded::Event(module) => drop(supervisor.module(*module)),
            Loaded::Query(module) => supervisor.query(*module),
        }
    }
    // Nobody else sets it.
    let _ = refused.set(missing);
    let report = tokio::select! {
        report = supervisor.run(stop.token) => report.map_err(|error| Refusal::of(&error))?,
        never = progress::show(&steered.steering) => match never {},
        never = answering.serve(&steered.steering) => match never {},
        never = seen => match never {},
        never = watch::reload_changed(&steered), if args.watch => match never {},
    };
    for status in &report.modules {
        tracing::info!(
            module = status.name().as_str(),
            handled = status.handled(),
            failed = status.failed(),
            stage = ?status.stage(),
            "module ended"
        );
    }
    Ok(if report.failed() { FAILED } else { STOPPED })
}

/// Lets the operator steer, for as long as that is possible: modules run without it as well.
async fn steer(state_dir: &Path, steered: Steered) -> Infallible {
    let served = match Control::open(state_dir) {
        Ok(control) => control.serve(steered).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "nexum cannot be steered: there is no socket in the state directory");
    }
    std::future::pending().await
}

/// Lets metrics be read, if that is wanted.
async fn export(exported: Option<(TcpListener, PrometheusHandle)>, readiness: Readiness) -> Infallible {
    match exported {
        Some((listener, handle)) => metrics::serve(listener, handle, readiness).await,
        None => std::future::pending().await,
    }
}

/// A token that SIGINT or SIGTERM cancels, for as long as this is held.
struct StopOnSignals {
    token: CancellationToken,
    _task: tokio::task::JoinSet<()>,
}

fn stop_on_signals() -> std::io::Result<StopOnSignals> {
    let token = CancellationToken::new();
    let mut task = tokio::task::JoinSet::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = token.clone();
    task.spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: events in hand are finished first");
        stop.cancel();
    });
    Ok(StopOnSignals { token, _task: task })
}

/// Says what is about to run: a table for people, log records for programs.
fn announce(plan: &Plan, candidates: &[Candidate]) {
    for candidate in candidates {
        for warning in &candidate.warnings {
            tracing::warn!(module = candidate.meta.name.as_str(), "{warning}");
        }
    }
    let chains = |candidate: &Candidate| match candidate.query {
        Some(_) => "queries".to_owned(),
        None => list(candidate.subscriptions.iter().map(ToString::to_string)),
    };
    if plan.config.log.format == LogFormat::Json {
        for candidate in candidates {
            tracing::info!(
                module = candidate.meta.name.as_str(),
                digest = %candidate.meta.digest,
                capabilities = list(candidate.grant.names()),
                subscriptions = chains(candidate),
                "module"
            );
        }
        return;
    }
    let mut rows = table(&[
        "MODULE",
        "VERSION",
        "CAPABILITIES",
        "SUBSCRIPTIONS",
        "MEMORY",
        "FUEL/EVENT",
    ]);
    for candidate in candidates {
        let meta = &candidate.meta;
        rows.add_row([
            meta.name.to_string(),
            meta.version.clone().unwrap_or_else(|| "-".to_owned()),
            list(candidate.grant.names()),
            chains(candidate),
            format!("{} MiB", meta.limits[Limit::Memory] >> 20),
            match meta.metering {
                Metering::Fuel => meta.limits[Limit::Fuel].to_string(),
                Metering::Epoch => "-".to_owned(),
            },
        ]);
    }
    println!("{rows}\n");
    if !plan.sources.is_empty() {
        let mut rows = table(&["CHAIN", "SOURCE"]);
        for source in &plan.sources {
            rows.add_row([source.chain_id().to_string(), source.describe()]);
        }
        println!("{rows}\n");
    }
}
