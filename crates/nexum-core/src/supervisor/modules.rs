//! The modules of a run, with their parts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::component::ModuleKind;
use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::capability::module_meta::ModuleMeta;
use crate::module::consumption::Consumption;
use crate::module::loaded::of_parts;
use crate::query::{Invocation, QueryError, QueryPool};
use crate::runner::ModuleStatus;

/// The interval between two searches for idle instances. An instance can stay idle for up to this
/// much longer than [`QueryPool::IDLE_MAX`].
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(QueryPool::IDLE_MAX.as_secs() / 2);

/// A module of a run: one name and one state, and the parts that use them. It has one part at least.
#[derive(Clone, Debug, Default)]
pub struct RunningModule {
    /// The runner, if the module handles events or has a writeable function.
    pub events: Option<Arc<ModuleStatus>>,
    /// The pool, if the module answers queries or has functions.
    pub queries: Option<Arc<QueryPool>>,
    /// Held until a reload has replaced the parts or failed, so that the parts of two reloads do not
    /// mix.
    pub(super) reloads: Arc<tokio::sync::Mutex<()>>,
}

impl RunningModule {
    /// The parts of the module.
    pub fn kind(&self) -> ModuleKind {
        let of_events = self.events.as_ref().map(|status| status.module().kind);
        let of_queries = self.queries.as_ref().map(|pool| pool.module().kind);
        of_parts(of_events, of_queries)
    }

    /// The runner, if this process runs the module.
    pub(super) fn runner(&self) -> Option<Arc<ModuleStatus>> {
        self.events.clone().filter(|status| status.check_owned().is_ok())
    }

    /// Calls a function of the module, and returns its result as JSON.
    ///
    /// # Errors
    ///
    /// Fails in the cases of [`QueryPool::invoke`], and if the module has no functions.
    pub async fn invoke(&self, invocation: &Invocation<'_>) -> Result<String, QueryError> {
        let pool = self.queries.as_ref().ok_or(QueryError::NoFunctions)?;
        pool.invoke(invocation, self.events.as_deref()).await
    }

    /// The use of the module's limits by all of its parts.
    pub fn consumption(&self) -> Consumption {
        let of_events = self.events.as_ref().map(|status| status.consumption());
        let of_queries = self.queries.as_ref().map(|pool| pool.consumption());
        of_events.unwrap_or_default().joined(of_queries.unwrap_or_default())
    }

    /// The operator's entry for the module, and the properties that its parts share.
    pub fn origin(&self) -> Option<(ModuleConfig, Arc<ModuleMeta>)> {
        let of_events = self.events.as_ref().map(|status| {
            let module = status.module();
            (module.origin.clone(), module.meta.clone())
        });
        of_events.or_else(|| {
            let module = self.queries.as_ref()?.module();
            Some((module.origin.clone(), module.meta.clone()))
        })
    }
}

/// The modules of a run, by name. Clones share the map.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules(Arc<Mutex<BTreeMap<ModuleName, RunningModule>>>);

impl Modules {
    pub(super) fn get(&self, name: &ModuleName) -> Option<RunningModule> {
        self.0.lock().get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<RunningModule> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn all_events(&self) -> Vec<Arc<ModuleStatus>> {
        self.0
            .lock()
            .values()
            .filter_map(|module| module.events.clone())
            .collect()
    }

    pub(super) fn all_queries(&self) -> Vec<Arc<QueryPool>> {
        let modules = self.0.lock();
        modules.values().filter_map(|module| module.queries.clone()).collect()
    }

    /// Adds the part that handles events to a module, or the module.
    pub(super) fn set_events(&self, status: Arc<ModuleStatus>) {
        let name = status.name().clone();
        self.0.lock().entry(name).or_default().events = Some(status);
    }

    /// Adds the part that answers queries to a module, or the module.
    pub(super) fn set_queries(&self, pool: QueryPool) {
        let name = pool.name().clone();
        self.0.lock().entry(name).or_default().queries = Some(Arc::new(pool));
    }

    /// Replaces or removes the part of a module that answers queries, unless the module has been
    /// removed. The earlier pool still answers the calls in progress.
    pub(super) fn replace_queries(&self, name: &ModuleName, pool: Option<QueryPool>) {
        let mut modules = self.0.lock();
        let Some(module) = modules.get_mut(name) else { return };
        let replaced = std::mem::replace(&mut module.queries, pool.map(Arc::new));
        drop(modules);
        replaced.inspect(|pool| pool.retire());
    }

    /// Removes the part of a module that handles events. Another part remains.
    pub(super) fn end_events(&self, name: &ModuleName) {
        if let Some(module) = self.0.lock().get_mut(name)
            && let Some(status) = module.events.take()
        {
            status.metrics.retire();
        }
    }

    /// Removes a module. It still answers the calls in progress.
    pub(super) fn remove(&self, name: &ModuleName) {
        self.end_events(name);
        let removed = self.0.lock().remove(name);
        removed.and_then(|module| module.queries).inspect(|pool| pool.retire());
    }

    /// Discards the instances of pools that have been idle for long.
    pub(super) fn discard_old(&self, now: Instant) {
        self.all_queries().iter().for_each(|pool| pool.discard_old(now));
    }
}

/// The parts of a module before and after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The parts before the reload.
    pub before: ModuleKind,
    /// The parts now.
    pub now: ModuleKind,
}

impl Reloaded {
    /// The message for the operator if the parts have changed.
    pub fn change(&self) -> Option<String> {
        (self.before != self.now).then(|| self.to_string())
    }
}

/// The change in words.
impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now } = self;
        write!(f, "the module was {before} and is {now} now")?;
        match (before.handles_events, now.handles_events) {
            (true, false) => f.write_str("; it no longer reads events, and keeps its state and cursors")?,
            (false, true) => f.write_str("; it reads events from its stored cursors, or from the next block")?,
            _ => {}
        }
        match (before.answers_queries, now.answers_queries) {
            (true, false) => f.write_str("; it no longer answers queries")?,
            (false, true) => f.write_str("; it answers queries")?,
            _ => {}
        }
        match (before.has_functions, now.has_functions) {
            (true, false) => f.write_str("; it no longer has functions"),
            (false, true) => f.write_str("; it has functions"),
            _ => Ok(()),
        }
    }
}
