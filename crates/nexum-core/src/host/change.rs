//! The change of a host's whole set of modules, in one step that happens or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use tokio::sync::OwnedMutexGuard;

use super::compiling::{Compiled, Compiling};
use super::entries::ModuleEntry;
use super::error::ChangeError;
use super::handle::HostHandle;
use super::inspection::{self, Checked};
use super::loading::Entry;
use super::selection::Selection;
use crate::module::candidate::Candidate;
use crate::module::loader::{Loader, LoaderSettings};
use crate::state::OperatorRows;
use crate::supervisor::{RunningModule, SteerError, Together};

/// Another configuration for a running host.
#[derive(Clone, Debug)]
pub struct Change {
    /// All modules of the configuration or of the command line. The modules that the operator loaded or
    /// removed with [`HostHandle::operator`] stay as the operator wants them.
    pub modules: Vec<ModuleConfig>,
    /// The settings for all modules.
    pub settings: LoaderSettings,
    /// The configured chains. Each of them has a source in the run.
    pub chains: BTreeSet<ChainId>,
}

/// The modules that a [`Change`] affects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The modules that start.
    pub added: Vec<ModuleName>,
    /// The modules that continue with other content, each with the properties that change.
    pub reloaded: Vec<(ModuleName, Vec<&'static str>)>,
    /// The modules that end.
    pub removed: Vec<ModuleName>,
}

impl Difference {
    /// Whether no module changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A [`Change`] whose modules are checked and compiled. Dropping it changes nothing.
#[derive(Debug)]
pub struct Prepared {
    difference: Difference,
    host: HostHandle,
    loader: Arc<Loader>,
    configured: Vec<ModuleEntry>,
    /// The modules of the operator that the configuration replaces.
    superseded: Vec<ModuleName>,
    change: Together,
    /// Keep the added modules in the list of those that the host is loading.
    _entries: Vec<Entry>,
    /// One change is prepared at a time.
    _alone: OwnedMutexGuard<()>,
}

impl HostHandle {
    /// The settings of later loads.
    pub fn settings(&self) -> LoaderSettings {
        self.loader().settings().clone()
    }

    /// The chains that later loads may use.
    pub fn chains(&self) -> BTreeSet<ChainId> {
        self.loader().chains().clone()
    }

    /// Replaces the settings and the chains for later loads and reloads. No module changes.
    pub fn set_settings(&self, settings: LoaderSettings, chains: BTreeSet<ChainId>) {
        self.set_loader(Arc::new(self.loader().with(settings, chains)));
    }

    /// Checks and compiles a change, and changes nothing. Waits until no other change is prepared.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the modules, or a module that is being loaded.
    pub async fn prepare(&self, change: Change) -> Result<Prepared, ChangeError> {
        let alone = self.changes.clone().lock_owned().await;
        if let Some(module) = self.loading().into_iter().next() {
            return Err(SteerError::Loading(module.meta.name.clone()).into());
        }
        let loader = Arc::new(self.loader().with(change.settings, change.chains));
        let selection = Selection::new(self.rows_of_running(), false);
        let apart = Arc::new(loader.apart());
        let Checked {
            candidates,
            errors,
            warnings: _,
            selection,
        } = inspection::inspect(&apart, change.modules, selection).await;
        errors.check()?;
        let (added, reloaded, difference) = self.compare(candidates);
        let compile = |mut candidates: Vec<Candidate>| {
            candidates.iter_mut().for_each(|candidate| {
                loader.adopt(candidate);
                candidate.log_warnings();
            });
            Compiling::begin(&loader, &self.engine, &self.loading, candidates)
        };
        let (mut added, mut reloaded) = (compile(added), compile(reloaded));
        let (added, reloaded) = tokio::join!(added.all(), reloaded.all());
        let (mut added, mut reloaded): (Compiled, Compiled) = (added.unwrap_or_default(), reloaded.unwrap_or_default());
        added.errors.extend(std::mem::take(&mut reloaded.errors));
        added.errors.check()?;
        let modules = added.modules.iter_mut().chain(&mut reloaded.modules);
        modules.for_each(|module| self.note_stopped(module));
        Ok(Prepared {
            change: Together {
                added: added.modules,
                reloaded: reloaded.modules,
                removed: difference.removed.clone(),
            },
            difference,
            host: self.clone(),
            loader,
            configured: selection.configured,
            superseded: selection.superseded,
            _entries: added.entries,
            _alone: alone,
        })
    }

    /// The operator's rows, without the loads of modules that do not run. Their files may be gone, which
    /// must not prevent a change.
    fn rows_of_running(&self) -> OperatorRows {
        let mut rows = self.entries.rows();
        for (name, row) in &mut rows {
            if self.get(name).is_err() {
                row.loaded = None;
            }
        }
        rows
    }

    /// The candidates that the host does not run, and those that differ from the running modules.
    fn compare(&self, candidates: Vec<Candidate>) -> (Vec<Candidate>, Vec<Candidate>, Difference) {
        let mut running: BTreeMap<_, _> = self
            .all()
            .into_iter()
            .filter_map(|module| {
                let (origin, meta) = module.origin()?;
                Some((meta.name.clone(), (origin, module)))
            })
            .collect();
        let (mut added, mut reloaded, mut difference) = (Vec::new(), Vec::new(), Difference::default());
        for candidate in candidates {
            let name = candidate.meta.name.clone();
            let Some((_, module)) = running.remove(&name) else {
                difference.added.push(name);
                added.push(candidate);
                continue;
            };
            let changed = changed(&module, &candidate);
            if !changed.is_empty() {
                difference.reloaded.push((name, changed));
                reloaded.push(candidate);
            }
        }
        let removed = running
            .into_iter()
            .filter(|(_, (origin, _))| origin.source != EntrySource::Operator);
        difference.removed = removed.map(|(name, _)| name).collect();
        (added, reloaded, difference)
    }
}

impl Prepared {
    /// The modules that the change affects.
    pub fn difference(&self) -> &Difference {
        &self.difference
    }

    /// Changes all modules, or none: see [`Change`]. Later loads have the new settings and chains.
    ///
    /// Waits for the current event of each changed module, and for the `init` of its new component. The
    /// added modules start as with [`HostHandle::load`], and wait for their chains.
    ///
    /// # Errors
    ///
    /// The first module that refuses the change, and why. Every module continues as before.
    pub async fn apply(self) -> Result<Difference, ChangeError> {
        let _expected = self.host.supervisor.expect();
        let changed = self.host.supervisor.change(self.change).await;
        changed.map_err(|(module, error)| ChangeError::Refused { module, error })?;
        self.host.set_loader(self.loader);
        self.host.entries.set_configured(self.configured);
        self.host.entries.supersede(&self.superseded).await;
        Ok(self.difference)
    }
}

/// The properties in which a candidate differs from the running module.
fn changed(module: &RunningModule, candidate: &Candidate) -> Vec<&'static str> {
    let Some((origin, meta)) = module.origin() else {
        return vec!["module"];
    };
    let (now, entry) = (&candidate.meta, &candidate.origin);
    let events = module.events.as_ref().map(|status| status.module());
    let queries = module.queries.as_ref().map(|pool| pool.module());
    let restart = events.as_ref().map(|module| module.restart);
    let restart = restart.or(queries.map(|module| module.restart));
    let has_name = |config: &ModuleConfig| ModuleConfig {
        name: Some(meta.name.clone()),
        ..config.clone()
    };
    let differences = [
        ("component", meta.digest != now.digest),
        ("manifest", meta.manifest != now.manifest),
        ("configuration", meta.config != now.config),
        ("limits", meta.limits != now.limits),
        ("restart policy", restart != Some(candidate.restart)),
        (
            "chains",
            events.is_some_and(|events| {
                (&events.subscriptions, &events.required_chains)
                    != (&candidate.subscriptions, &candidate.required_chains)
            }),
        ),
        (
            "queries",
            queries.is_some_and(|queries| queries.bounds != candidate.query || queries.reads != candidate.reads),
        ),
    ];
    let mut changed: Vec<_> = differences
        .into_iter()
        .filter_map(|(what, differs)| differs.then_some(what))
        .collect();
    if changed.is_empty() && !has_name(&origin).is_like(&has_name(entry)) {
        changed.push("entry");
    }
    changed
}
