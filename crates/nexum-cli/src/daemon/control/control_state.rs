//! What the handlers of the control socket share.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::http::StatusCode;
use nexum_config::names::ModuleName;
use nexum_core::HostHandle;
use nexum_core::ModuleStatus;
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::{StateStore, StoreError};
use nexum_core::supervisor::{SteerError, SupervisorHandle};

use super::api_error::ApiError;
use crate::daemon::refused::Refused;
use crate::protocol::view;
use crate::report::Refusal;

/// How many bytes of dead letters a list has before it ends. As JSON they take up to four times as many, within an answer's bound.
const LIST_BYTES_MAX: usize = 8 << 20;

/// The running daemon, as the handlers of the control socket reach it.
#[derive(Clone)]
pub(crate) struct ControlState {
    pub(crate) supervisor: SupervisorHandle,
    pub(crate) host: HostHandle,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) refused: Refused,
}

impl ControlState {
    pub(super) fn module(&self, name: &str) -> Result<Arc<ModuleStatus>, ApiError> {
        let name = name_of(name)?;
        self.supervisor
            .module(&name)
            .map_err(|error| self.missing(&name, error))
    }

    /// A module of either kind, as it is now.
    pub(super) fn view(&self, name: &ModuleName) -> Result<view::Module, ApiError> {
        match self.supervisor.query(name) {
            Ok(pool) => Ok(view::Module::of_queries(&pool)),
            Err(_) => Ok(view::Module::of(
                &*self.module(name.as_str())?,
                &self.host.troubled_chains(),
            )),
        }
    }

    /// The error for a module that is not there, or that is being loaded.
    fn missing(&self, name: &ModuleName, error: SteerError) -> ApiError {
        match self.host.is_loading(name) {
            true => ApiError(StatusCode::CONFLICT, loading(name).into()),
            false => error.into(),
        }
    }

    /// A dead letter of this name.
    pub(super) async fn letter(&self, name: &ModuleName, event: &str) -> Result<DeadLetter, ApiError> {
        let (store, module, wanted) = (self.store.clone(), name.clone(), event.to_owned());
        let read = tokio::task::spawn_blocking(move || admin::dead_letter(&*store.view()?, &module, &wanted));
        let found = read.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))?;
        found.ok_or_else(|| {
            let refusal = Refusal::new(format!("{name} has no dead letter {event}"));
            let hint = format!("`nexum dead-letter list {name}` shows those that it has");
            ApiError(StatusCode::NOT_FOUND, refusal.with_hint(hint).into())
        })
    }

    /// The oldest dead letters of a module, without the log records of their attempts, as many as an answer holds.
    pub(super) async fn letters(&self, name: &ModuleName, count_max: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let (store, name) = (self.store.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
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
        });
        read.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
    }
}

/// The refusal of a command for a module that is being loaded.
pub(super) fn loading(name: &ModuleName) -> Refusal {
    let refusal = Refusal::new(format!("the module {name} is being loaded"));
    refusal.with_hint("retry when `nexum status` shows another stage than `loading`")
}

/// Parses the module name in a path.
///
/// # Errors
///
/// When no module can have the name.
pub(super) fn name_of(name: &str) -> Result<ModuleName, ApiError> {
    name.parse()
        .map_err(|error| ApiError::of(StatusCode::UNPROCESSABLE_ENTITY, &error))
}
