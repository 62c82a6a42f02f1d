//! The messages about modules, from their states in the daemon.

use std::path::PathBuf;

use nexum_config::engine::EntrySource;
use nexum_core::state::OperatorRow;
use nexum_core::supervisor::RunningModule;
use nexum_core::{AbsentModule, LoadingModule, ModuleEntry, ModuleStatus, QueryPool, Replaying};

use super::{CatchingUp, Module, Queries, RefusedModule, Suspension};
use crate::protocol::lasting::Wanted;
use crate::protocol::stage::Stage;
use crate::report::time;

impl Module {
    /// The state of a module with its parts.
    pub(crate) fn of(module: &RunningModule) -> Option<Self> {
        match (&module.events, &module.queries) {
            (None, None) => None,
            (None, Some(pool)) => Some(Self::of_queries(pool)),
            (Some(status), pool) => {
                let of_events = Self::of_events(status);
                let idle_bytes = pool.as_ref().map_or(0, |pool| pool.memory_bytes());
                Some(Self {
                    memory_bytes: of_events.memory_bytes + idle_bytes,
                    queries: pool.as_ref().map(|pool| Queries::of(pool)),
                    ..of_events
                })
            }
        }
    }

    fn of_events(status: &ModuleStatus) -> Self {
        let catching_up: Vec<_> = status.replaying().into_iter().map(CatchingUp::from).collect();
        let report = status.report();
        let nexum_core::Condition { stage, reason, .. } = report.condition.clone();
        let module = status.module();
        let meta = &module.meta;
        Self {
            name: status.name().to_string(),
            version: meta.version.clone(),
            description: meta.description.clone(),
            authors: meta.authors.clone(),
            path: module.origin.path.shown().to_owned(),
            digest: meta.digest.to_string(),
            capabilities: module.grant().names().map(str::to_owned).collect(),
            subscriptions: module.subscriptions.iter().map(ToString::to_string).collect(),
            wanted: Wanted::Running,
            from: module.origin.source.to_string(),
            stage: stage.into(),
            node: None,
            reason_since_ms: Some(reason.since_ms),
            reason: Some(reason.text.to_string()),
            handled: report.handled,
            failed: report.failed,
            dead_letters: report.dead_letters,
            effects_in_doubt: report.effects_in_doubt,
            memory_bytes: report.memory_bytes,
            catching_up,
            events: Some(report.into()),
            queries: None,
        }
    }

    /// A module that nexum is loading.
    pub(crate) fn of_loading(loading: &LoadingModule, holder: Option<&str>) -> Self {
        let LoadingModule { origin, meta, .. } = loading;
        Self {
            version: meta.version.clone(),
            description: meta.description.clone(),
            authors: meta.authors.clone(),
            digest: meta.digest.to_string(),
            reason: Some(why_loading(loading, holder)),
            reason_since_ms: Some(loading.since_ms),
            from: origin.source.to_string(),
            ..Self::idle(meta.name.to_string(), origin.path.shown().to_owned(), Stage::Loading)
        }
    }

    /// A module that nexum refused at the start. If its name is unknown, its file takes the place of the
    /// name.
    pub(crate) fn of_refused(refused: RefusedModule) -> Self {
        let RefusedModule {
            name,
            path,
            source,
            reason,
            since_ms,
        } = refused;
        Self {
            reason: Some(reason),
            reason_since_ms: Some(since_ms),
            from: source,
            ..Self::idle(name, path, Stage::Refused)
        }
    }

    /// A configured module that is not to run.
    pub(crate) fn of_absent(absent: AbsentModule) -> Self {
        let AbsentModule {
            entry: ModuleEntry { name, config },
            removed,
            since_ms,
        } = absent;
        let path = config.path.shown().to_owned();
        let name = name.map_or_else(|| path.display().to_string(), |name| name.to_string());
        let (stage, wanted, reason) = match &removed {
            Some(act) => (Stage::Removed, Wanted::Removed, act.to_string()),
            None => (
                Stage::Disabled,
                Wanted::Disabled,
                format!("`enabled = false` in {}", config.source),
            ),
        };
        Self {
            wanted,
            reason: Some(reason),
            reason_since_ms: Some(since_ms),
            from: config.source.to_string(),
            ..Self::idle(name, path, stage)
        }
    }

    /// Adds what the operator wants of the module, and where the module comes from now.
    pub(crate) fn with(mut self, row: Option<&OperatorRow>, configured: &[ModuleEntry]) -> Self {
        let is_here = |entry: &&ModuleEntry| entry.name.as_ref().is_some_and(|name| name.as_str() == self.name);
        let Some(row) = row else {
            // A reload of the configuration moves the lines of its tables.
            let now = configured.iter().filter(|entry| entry.config.enabled).find(is_here);
            if let (Some(entry), false) = (now, self.from == EntrySource::Operator.to_string()) {
                self.from = entry.config.source.to_string();
            }
            return self;
        };
        self.wanted = row.wanted().into();
        if let Some((_, act)) = &row.loaded {
            self.from = format!("{} at {} by {}", EntrySource::Operator, time(act.at_ms), act.by);
        }
        if let (Stage::Stopped, Some(act)) = (self.stage, &row.stopped) {
            self.reason = Some(act.to_string());
            self.reason_since_ms = Some(act.at_ms);
        }
        self
    }

    /// Adds the node that runs the module.
    pub(crate) fn on(mut self, node: Option<String>) -> Self {
        self.node = node;
        self
    }

    /// A module without any work so far.
    fn idle(name: String, path: PathBuf, stage: Stage) -> Self {
        Self {
            name,
            version: None,
            description: None,
            authors: Vec::new(),
            path,
            digest: String::new(),
            capabilities: Vec::new(),
            subscriptions: Vec::new(),
            wanted: Wanted::Running,
            from: String::new(),
            stage,
            node: None,
            reason: None,
            reason_since_ms: None,
            handled: 0,
            failed: 0,
            dead_letters: 0,
            effects_in_doubt: 0,
            memory_bytes: 0,
            catching_up: Vec::new(),
            events: None,
            queries: None,
        }
    }

    fn of_queries(pool: &QueryPool) -> Self {
        let module = pool.module();
        let meta = &module.meta;
        let queries = Queries::of(pool);
        let reason = pool.reason();
        Self {
            name: pool.name().to_string(),
            version: meta.version.clone(),
            description: meta.description.clone(),
            authors: meta.authors.clone(),
            path: module.origin.path.shown().to_owned(),
            digest: meta.digest.to_string(),
            capabilities: module.grant().names().map(str::to_owned).collect(),
            subscriptions: Vec::new(),
            wanted: Wanted::Running,
            from: module.origin.source.to_string(),
            stage: queries.stage(),
            node: None,
            reason: Some(reason.text.to_string()),
            reason_since_ms: Some(reason.since_ms),
            handled: pool.handled(),
            failed: pool.failed(),
            dead_letters: 0,
            effects_in_doubt: 0,
            memory_bytes: pool.memory_bytes(),
            catching_up: Vec::new(),
            events: None,
            queries: Some(queries),
        }
    }
}

impl Queries {
    /// The stage of the queries.
    pub(crate) fn stage(&self) -> Stage {
        match self.suspension {
            Some(_) => Stage::Suspended,
            None => Stage::Serving,
        }
    }

    fn of(pool: &QueryPool) -> Self {
        Self {
            in_flight: pool.in_flight(),
            waiting: pool.waiting(),
            idle: pool.idle(),
            pool_size_max: pool.module().bounds.pool_size_max,
            suspension: pool.suspension().map(Suspension::from),
            answered: pool.handled(),
            failed: pool.failed(),
            refused: pool.refused(),
        }
    }
}

impl From<nexum_core::Suspension> for Suspension {
    fn from(suspension: nexum_core::Suspension) -> Self {
        let nexum_core::Suspension {
            reason,
            since_ms,
            until_ms,
            ..
        } = suspension;
        Self {
            reason,
            since_ms,
            until_ms,
        }
    }
}

impl From<Replaying> for CatchingUp {
    fn from(replaying: Replaying) -> Self {
        Self {
            chain: replaying.topic.to_string(),
            from: replaying.from,
            at: replaying.at,
            to: replaying.to,
        }
    }
}

/// Why a module is not loaded yet, and since when nexum loads it. `holder` is the command for which the
/// start of a compiled module waits.
pub(crate) fn why_loading(loading: &LoadingModule, holder: Option<&str>) -> String {
    let since = time(loading.since_ms);
    match (loading.is_compiled, holder) {
        (true, Some(holder)) => format!("since {since}, compiled, waits for {holder}"),
        (true, None) => format!("since {since}, compiled, not started yet"),
        (false, _) => format!(
            "since {since}, component of {} bytes not compiled yet",
            loading.component_bytes
        ),
    }
}
