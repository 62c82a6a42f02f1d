//! The parts of the daemon that the handlers of the API share.

use std::sync::Arc;

use axum::Json;
use nexum_config::names::ModuleName;
use nexum_core::state::{DeadLetter, Effect};
use nexum_core::store::{self, StateStore, StoreError};
use nexum_core::supervisor::{RunningModule, SteerError, SupervisorHandle};
use nexum_core::{HostHandle, Lasts, ModuleStatus, Stage};

use super::Answer;
use super::error::ApiError;
use super::extract::name_of;
use super::sse::Readers;
use crate::compose::{KnownAccounts, TransactionsInUse};
use crate::daemon::health::HealthCheck;
use crate::daemon::levels::LogLevel;
use crate::daemon::node::Node;
use crate::daemon::notify::Notifier;
use crate::daemon::records::Records;
use crate::daemon::refused::Refused;
use crate::daemon::reload::ReloadHandle;
use crate::error_code::ErrorCode;
use crate::protocol::modules::{Changed, Module};
use crate::report::Refusal;
use crate::state::{effects, letters};

/// The running daemon, for the handlers of the API.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) supervisor: SupervisorHandle,
    pub(crate) host: HostHandle,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) refused: Refused,
    /// The place of the daemon in an installation of several processes.
    pub(crate) node: Node,
    /// The event ledger, if there is one.
    pub(crate) ledger: Option<nexum_ledger::Handle>,
    /// The accounts and their transactions.
    pub(crate) accounts: KnownAccounts,
    pub(crate) transactions: TransactionsInUse,
    /// The last log records, and the level of the log.
    pub(crate) records: Records,
    pub(crate) log_level: LogLevel,
    pub(crate) notifier: Notifier,
    /// Asks for reloads of the configuration.
    pub(crate) reload: ReloadHandle,
    /// The bound on readers of streams.
    pub(crate) readers: Readers,
}

impl ApiState {
    /// Looks at the modules and chains of the daemon.
    pub(crate) fn health_check(&self) -> HealthCheck {
        let (host, refused, node) = (self.host.clone(), self.refused.clone(), self.node.clone());
        HealthCheck::new(host, refused, node, self.transactions.clone(), self.ledger.clone())
    }

    pub(super) fn module(&self, name: &str) -> Result<Arc<ModuleStatus>, ApiError> {
        let name = name_of(name)?;
        self.supervisor
            .module(&name)
            .map_err(|error| self.missing(&name, error))
    }

    /// A module with its parts.
    pub(super) fn running(&self, name: &ModuleName) -> Result<RunningModule, ApiError> {
        self.supervisor.get(name).map_err(|error| self.missing(name, error))
    }

    /// The current state of a module.
    pub(super) fn view(&self, name: &ModuleName) -> Result<Module, ApiError> {
        self.host.look();
        let view = Module::of(&self.running(name)?);
        let view = view.ok_or_else(|| SteerError::NoModule(name.clone()))?;
        let rows = self.host.operator_rows();
        let view = view.with(rows.get(name), &self.host.configured());
        Ok(view.on(self.node.owner(name.as_str())))
    }

    /// The answer to a command about a module that is here afterwards, and that was in a stage `before`.
    pub(super) fn changed(&self, name: &ModuleName, before: Option<Stage>, lasts: Lasts) -> Answer<Changed> {
        Ok(Json(Changed {
            module: self.view(name)?,
            before: before.map(Into::into),
            effect: lasts.into(),
        }))
    }

    /// Fails if the module is being loaded: it takes no commands yet.
    pub(super) fn check_loaded(&self, name: &ModuleName) -> Result<(), ApiError> {
        match self.supervisor.get(name) {
            Err(error) if self.host.is_loading(name) => Err(self.missing(name, error)),
            _ => Ok(()),
        }
    }

    /// The name of a module that is loaded, or whose state the store has.
    pub(super) async fn known(&self, name: &str) -> Result<ModuleName, ApiError> {
        let name = name_of(name)?;
        if self.supervisor.get(&name).is_ok() {
            return Ok(name);
        }
        let wanted = name.clone();
        let has = move |store: &dyn StateStore| letters::has_module(store, &wanted);
        match store::blocking(&self.store, has).await? {
            true => Ok(name),
            false => Err(self.missing(&name, SteerError::NoModule(name.clone()))),
        }
    }

    /// The error for a module that is not there, or that is being loaded.
    fn missing(&self, name: &ModuleName, error: SteerError) -> ApiError {
        match self.host.is_loading(name) {
            true => ApiError::refused(ErrorCode::ModuleLoading, loading(name)),
            false => error.into(),
        }
    }

    /// The dead letter of an event.
    pub(super) async fn letter(&self, name: &ModuleName, event: &str) -> Result<DeadLetter, ApiError> {
        let (module, wanted) = (name.clone(), event.to_owned());
        let read = move |store: &dyn StateStore| letters::letter(store, &module, &wanted);
        let letter = store::blocking(&self.store, read).await?;
        letter.ok_or_else(|| ApiError::refused(ErrorCode::DeadLetterNotFound, letters::no_letter(name, event)))
    }

    /// The effect of an event with this number.
    pub(super) async fn effect(&self, name: &ModuleName, event: &str, number: u32) -> Result<Effect, ApiError> {
        let (module, wanted) = (name.clone(), event.to_owned());
        let read = move |store: &dyn StateStore| effects::effect(store, &module, &wanted, number);
        let effect = store::blocking(&self.store, read).await?;
        effect.ok_or_else(|| ApiError::refused(ErrorCode::EffectNotFound, effects::no_effect(name, event, number)))
    }

    /// The oldest dead letters of a module, without the log records of their attempts: as many as
    /// fit into an answer.
    pub(super) async fn letters(&self, name: &ModuleName, count_max: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let name = name.clone();
        let read = move |store: &dyn StateStore| letters::letters(store, &name, count_max);
        store::blocking(&self.store, read).await
    }
}

/// The refusal of a command for a module that is being loaded.
pub(super) fn loading(name: &ModuleName) -> Refusal {
    Refusal::new(format!("the module {name} is being loaded")).with_code(ErrorCode::ModuleLoading)
}
