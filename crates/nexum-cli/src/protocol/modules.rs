//! The messages about modules.

use std::path::PathBuf;

use nexum_config::engine::{self, EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;
use nexum_core::QueryPool;
use nexum_core::state::OperatorRow;
use nexum_core::supervisor::RunningModule;
use nexum_core::{AbsentModule, LoadingModule, ModuleEntry, ModuleStatus, Replaying};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event_part::EventPart;
use super::lasting::{Effect, Wanted};
use super::stage::Stage;
use crate::report::time;

/// The current state of a module.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// The manifest's description.
    pub(crate) description: Option<String>,
    /// The manifest's authors.
    #[serde(default)]
    pub(crate) authors: Vec<String>,
    /// The component's file.
    #[schema(value_type = String)]
    pub(crate) path: PathBuf,
    /// The component's digest: `sha256:` and hexadecimal digits. Empty while it is unknown.
    pub(crate) digest: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) subscriptions: Vec<String>,
    /// The state that the operator wants.
    pub(crate) wanted: Wanted,
    /// Where the module comes from: the file and line of its `[[modules]]` table, `command line`, or
    /// `module load` with the time and the user.
    pub(crate) from: String,
    pub(crate) stage: Stage,
    /// The node that runs the module, in an installation of several processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The reason of the stage. It can contain text of the module, and have several lines.
    pub(crate) reason: Option<String>,
    /// The time since which the module is in the stage, in milliseconds since the Unix epoch.
    pub(crate) reason_since_ms: Option<u64>,
    /// Handled events. For a module that only answers queries, answered queries.
    pub(crate) handled: u64,
    /// Failed handler calls. For a module that only answers queries, failed queries.
    pub(crate) failed: u64,
    pub(crate) dead_letters: u64,
    /// Effects about which only the operator can say whether they happened.
    #[serde(default)]
    pub(crate) effects_in_doubt: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) catching_up: Vec<CatchingUp>,
    /// The work of a module that handles events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<EventPart>,
    /// The calls of a module that answers queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queries: Option<Queries>,
}

/// A module that nexum refused.
pub(crate) struct RefusedModule {
    /// The name. The file takes its place for a module of the configuration: its name may be unknown.
    pub(crate) name: String,
    /// The component's file.
    pub(crate) path: PathBuf,
    /// Where the module comes from.
    pub(crate) source: String,
    pub(crate) reason: String,
    /// The time of the refusal, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
}

/// Why nexum refuses the calls of a module, and for how long.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Suspension {
    /// The last failure.
    pub(crate) reason: String,
    /// The time of the suspension's begin, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// The time until which it lasts at least, in milliseconds since the Unix epoch.
    pub(crate) until_ms: u64,
}

/// The calls of a module that answers queries.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Queries {
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    /// Instances that wait for a call.
    pub(crate) idle: usize,
    pub(crate) pool_size_max: u32,
    /// Why nexum refuses the calls for now, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspension: Option<Suspension>,
    /// Calls with an answer.
    #[serde(default)]
    pub(crate) answered: u64,
    /// Calls that an instance failed to answer.
    #[serde(default)]
    pub(crate) failed: u64,
    /// Calls that were refused.
    pub(crate) refused: u64,
}

/// A module after a command.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    #[serde(flatten)]
    pub(crate) module: Module,
    /// The stage before the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Stage>,
    pub(crate) effect: Effect,
}

/// A module after its reload.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Reloaded {
    #[serde(flatten)]
    pub(crate) module: Module,
    /// The message for the operator, if the module handles other kinds of calls than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

/// The progress of a module that catches up with missed events.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CatchingUp {
    /// The chain and its finality.
    pub(crate) chain: String,
    pub(crate) from: u64,
    pub(crate) at: u64,
    pub(crate) to: u64,
}

/// A module to load.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// The component's file, absolute.
    #[schema(value_type = String)]
    pub(crate) path: PathBuf,
    /// The manifest's file, absolute, if it is not beside the component.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) manifest: Option<PathBuf>,
    /// A name that overrides the manifest's.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The modules whose state its queries may read.
    #[serde(default)]
    pub(crate) reads: Vec<String>,
    #[serde(default)]
    pub(crate) metering: Metering,
}

/// The limit that ends an endless computation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metering {
    /// Fuel, which the module uses up as it computes, and then the deadline.
    #[default]
    Fuel,
    /// Only the deadline.
    Epoch,
}

impl From<Metering> for engine::Metering {
    fn from(metering: Metering) -> Self {
        match metering {
            Metering::Fuel => Self::Fuel,
            Metering::Epoch => Self::Epoch,
        }
    }
}

impl From<engine::Metering> for Metering {
    fn from(metering: engine::Metering) -> Self {
        match metering {
            engine::Metering::Fuel => Self::Fuel,
            engine::Metering::Epoch => Self::Epoch,
        }
    }
}

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

impl Load {
    /// # Errors
    ///
    /// If a name is not valid.
    pub(crate) fn config(self) -> Result<ModuleConfig, nexum_config::names::ModuleNameError> {
        let name: Option<ModuleName> = self.name.map(|name| name.parse()).transpose()?;
        let reads: Result<Vec<ModuleName>, _> = self.reads.iter().map(|name| name.parse()).collect();
        Ok(ModuleConfig {
            manifest: self.manifest.map(Into::into),
            name,
            metering: self.metering.into(),
            reads: reads?,
            ..ModuleConfig::new(self.path)
        })
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
