//! The operator's commands, whose effect survives a restart.

use std::sync::Arc;

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;

use super::entries::{Lasts, names_files_of};
use super::error::ChangeError;
use super::handle::HostHandle;
use crate::runner::ModuleStatus;
use crate::state::{Act, LoadedEntry, OperatorRow};
use crate::supervisor::SteerError;

/// Changes modules for an operator: the store records what the operator wants, and the next
/// [`recall`](super::HostBuilder::recall) reads it. The other commands of [`HostHandle`] last until the
/// host ends.
///
/// A command changes the run even if the store fails. The result says how long the effect
/// [lasts](Lasts). Drive each future to its end, for example in a task: a dropped future may leave the
/// command without an effect, or with an effect that ends with the process.
#[derive(Debug)]
pub struct Operator<'a> {
    host: &'a HostHandle,
    act: Act,
}

impl HostHandle {
    /// The commands of an operator, who acts now.
    pub fn operator(&self, act: Act) -> Operator<'_> {
        Operator { host: self, act }
    }
}

impl Operator<'_> {
    /// Stops a module after its current event, until a start. It keeps its position in every chain.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name that handles events.
    pub async fn stop(self, name: &ModuleName) -> Result<Lasts, SteerError> {
        let entries = &self.host.entries;
        let turn = entries.turn(name).await;
        let status = self.running(name)?;
        let act = self.act.clone();
        // The first poll makes the runner stop, so that the run and the store agree if the caller leaves.
        let (stopped, lasts) = tokio::join!(
            status.stop(),
            entries.change(name, &turn, |row| row.stopped = Some(act))
        );
        stopped?;
        Ok(lasts)
    }

    /// Starts a stopped module at its position.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name that handles events, or if it is dead.
    pub async fn start(self, name: &ModuleName) -> Result<Lasts, SteerError> {
        let entries = &self.host.entries;
        let turn = entries.turn(name).await;
        let status = self.running(name)?;
        let (started, lasts) = tokio::join!(status.start(), entries.change(name, &turn, |row| row.stopped = None));
        started?;
        Ok(lasts)
    }

    /// Restarts a module with a new instance, and clears its failures. A dead module continues with the
    /// event at which it died. A stopped module starts.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name that handles events, or if the store fails.
    pub async fn restart(self, name: &ModuleName) -> Result<Lasts, SteerError> {
        let entries = &self.host.entries;
        let turn = entries.turn(name).await;
        let status = self.running(name)?;
        let (restarted, lasts) = tokio::join!(status.restart(), entries.change(name, &turn, |row| row.stopped = None));
        restarted?;
        Ok(lasts)
    }

    /// Reads, checks, compiles and starts a module, as [`HostHandle::load`] does. A module that the
    /// operator removed from the configuration runs again. An entry that names a configured module by its
    /// files alone stands for the configured entry. Returns the module's name.
    ///
    /// # Errors
    ///
    /// Fails in the cases of [`HostHandle::load`].
    pub async fn load(self, config: ModuleConfig) -> Result<(ModuleName, Lasts), ChangeError> {
        let host = self.host;
        let config = ModuleConfig {
            source: EntrySource::Operator,
            ..config
        };
        let candidate = host.inspect(config).await?;
        let name = candidate.meta.name.clone();
        let entries = &host.entries;
        // Without a wait for a load of this name in progress, which has the turn.
        host.check_free(&name)?;
        let turn = entries.turn(&name).await;
        let configured = entries.enabled(&name);
        let same = configured
            .as_ref()
            .filter(|configured| names_files_of(&candidate.origin, configured));
        let (candidate, is_configured) = match same {
            Some(configured) => (host.inspect(configured.clone()).await?, true),
            None => (candidate, false),
        };
        let loaded = (LoadedEntry::from(&candidate.origin), self.act.clone());
        host.load_candidate(candidate).await?;
        let act = self.act;
        let change = |row: &mut OperatorRow| {
            let removed = row.removed.take().or_else(|| configured.is_some().then_some(act));
            *row = match is_configured {
                true => OperatorRow::default(),
                false => OperatorRow {
                    stopped: None,
                    removed,
                    loaded: Some(loaded),
                },
            };
        };
        let lasts = entries.change(&name, &turn, change).await;
        Ok((name, lasts))
    }

    /// Ends a module after its current event or queries, or its load. Its state stays in the store. A
    /// module that is refused or not configured any more loses its row, so that nexum no longer wants to
    /// run it.
    ///
    /// # Errors
    ///
    /// Fails if nexum does not know a module of this name, or if it is removed already.
    pub async fn remove(self, name: &ModuleName) -> Result<Lasts, SteerError> {
        let entries = &self.host.entries;
        // Before the turn, which the load has.
        let was_loading = self.host.cancel_load(name).await;
        let turn = entries.turn(name).await;
        let row = entries.row(name);
        let is_configured = entries.enabled(name).is_some();
        let here = self.host.get(name);
        if let Some(status) = here.as_ref().ok().and_then(|module| module.events.as_ref()) {
            status.check_owned()?;
        }
        let is_here = was_loading || here.is_ok();
        let is_known = is_here || row.loaded.is_some() || row.stopped.is_some();
        if !is_known && (row.removed.is_some() || !is_configured) {
            return Err(self.absent(name, SteerError::NoModule(name.clone())));
        }
        let act = self.act;
        let change = |row: &mut OperatorRow| {
            *row = OperatorRow {
                removed: is_configured.then_some(act),
                ..OperatorRow::default()
            };
        };
        let (removed, lasts) = tokio::join!(self.host.remove(name), entries.change(name, &turn, change));
        match removed {
            // It was refused, or its load has been cancelled.
            Err(SteerError::NoModule(_)) => Ok(lasts),
            removed => removed.map(|()| lasts),
        }
    }

    /// The module of this name that handles events, if this process runs it.
    fn running(&self, name: &ModuleName) -> Result<Arc<ModuleStatus>, SteerError> {
        let status = self.host.module(name).map_err(|error| self.absent(name, error))?;
        status.check_owned()?;
        Ok(status)
    }

    /// Says why a module is not loaded, if the operator or the configuration is the reason.
    fn absent(&self, name: &ModuleName, error: SteerError) -> SteerError {
        let entries = &self.host.entries;
        let row = entries.row(name);
        match error {
            SteerError::NoModule(name) if row.removed.is_some() && row.loaded.is_none() => SteerError::Removed(name),
            SteerError::NoModule(name) if entries.is_disabled(&name) => SteerError::Disabled(name),
            error => error,
        }
    }
}
