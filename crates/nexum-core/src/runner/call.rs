//! A call of a writeable function, on its way to the runner.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::stage::Stage;
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::event::RequestId;
use crate::module::failure::Failure;
use crate::module::functions::{Function, ResultError};

/// A call of a writeable function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The number of the call.
    pub(crate) request: RequestId,
    /// The function, as the module listed it when nexum read the arguments.
    pub(crate) function: Function,
    /// The arguments as JSON.
    pub(crate) args: String,
    pub(crate) caller: Caller,
}

/// A call on its way to the runner.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) call: Call,
    pub(super) done: oneshot::Sender<Result<String, CallError>>,
}

/// The reason why a writeable function has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The call did not begin in time. The module was in this stage.
    TimedOut(Stage),
    /// The module does not run.
    NotRunning(Stage, Option<Arc<str>>),
    /// A reload changed the function before the call began.
    Changed,
    /// `init` of a new instance failed.
    Start(Box<Failure>),
    /// The function failed, and its changes are rolled back.
    Failed(Failure),
    /// The result is not what the module lists, and the changes are rolled back.
    Result(ResultError),
    /// The state store failed. The changes may or may not be in the store.
    Store(String),
    /// The module has been removed, or nexum stops.
    Gone,
}
