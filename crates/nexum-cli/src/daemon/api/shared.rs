//! The parts of the daemon that the handlers of the API share.

use std::ops::ControlFlow;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::HostHandle;
use nexum_core::ModuleStatus;
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{self, StateStore, StoreError};
use nexum_core::supervisor::{RunningModule, SteerError, SupervisorHandle};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::extract::name_of;
use crate::daemon::refused::Refused;
use crate::error_code::ErrorCode;
use crate::protocol::modules::Module;
use crate::report::Refusal;

/// The most bytes of dead letters in a list. As JSON they take up to four times as many, within the
/// bound of an answer.
const LIST_BYTES_MAX: usize = 8 << 20;

/// The running daemon, for the handlers of the API.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) supervisor: SupervisorHandle,
    pub(crate) host: HostHandle,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) refused: Refused,
    /// Cancelled when nexum stops: a stream ends then.
    #[allow(dead_code, reason = "the streams of log records and events use it")]
    pub(crate) stop: CancellationToken,
}

impl ApiState {
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
        let view = Module::of(&self.running(name)?, &self.host.troubled_chains());
        view.ok_or_else(|| SteerError::NoModule(name.clone()).into())
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
        let read = move |store: &dyn StateStore| admin::dead_letter(&*store.view()?, &module, &wanted);
        store::blocking(&self.store, read).await?.ok_or_else(|| {
            let refusal = Refusal::new(format!("{name} has no dead letter {event}"));
            let hint = format!("list its dead letters with `nexum dead-letter list {name}`");
            ApiError::refused(ErrorCode::DeadLetterNotFound, refusal.with_hint(hint))
        })
    }

    /// The oldest dead letters of a module, without the log records of their attempts: as many as
    /// fit into an answer.
    pub(super) async fn letters(&self, name: &ModuleName, count_max: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let name = name.clone();
        let read = move |store: &dyn StateStore| {
            let (mut letters, mut bytes) = (Vec::new(), 0);
            admin::dead_letters(&*store.view()?, &name, &mut |mut letter| {
                letter.attempts.iter_mut().for_each(|attempt| attempt.records.clear());
                bytes += letter.bytes();
                letters.push(letter);
                match letters.len() < count_max && bytes < LIST_BYTES_MAX {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })?;
            Ok(letters)
        };
        store::blocking(&self.store, read).await
    }
}

/// The refusal of a command for a module that is being loaded.
pub(super) fn loading(name: &ModuleName) -> Refusal {
    Refusal::new(format!("the module {name} is being loaded")).with_code(ErrorCode::ModuleLoading)
}
