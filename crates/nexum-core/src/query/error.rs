//! The errors of a query.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::harmless::harmless;
use nexum_config::limits::Limit;

use crate::bindings::nexum::host::types::HostError;
use crate::engine::limiter::LimitExceeded;
use crate::event::RequestId;
use crate::module::failure::Failure;
use crate::module::functions::Mismatch;
use crate::runner::Stage;

/// Why and how long nexum refuses the calls of a query module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// The number of failures in a row, and the last one.
    pub reason: String,
    /// When the first pause began, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When nexum lets a call through, in milliseconds since the Unix epoch. The time may have
    /// passed: the module is suspended until it answers a call.
    pub until_ms: u64,
}

/// The reason why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The question exceeds [`QueryPool::INPUT_BYTES_MAX`](super::QueryPool::INPUT_BYTES_MAX). No instance received it.
    #[error("the input has {bytes} bytes, more than the limit of {bound}")]
    InputTooLarge {
        /// The size of the question, in bytes.
        bytes: u64,
        /// The largest size, in bytes.
        bound: u64,
    },
    /// The module's waiting calls have reached their maximum. No instance received this one.
    #[error("the module is overloaded: {waiters_max} calls wait already")]
    Overloaded {
        /// The most waiting calls.
        waiters_max: u32,
    },
    /// No instance became free in time. No instance received the call.
    #[error("no instance of the module became free within {wait_ms_max} ms")]
    TimedOut {
        /// The longest wait of a call, in milliseconds.
        wait_ms_max: u64,
    },
    /// The module is suspended, because it failed too often. No instance received the call.
    #[error("the module is suspended for {} ms more after {}", left.as_millis(), suspension.reason)]
    Suspended {
        /// Why and since when.
        suspension: Suspension,
        /// The time until nexum lets a call through. Zero while it waits for the end of that call.
        left: Duration,
    },
    /// The module has functions, but no `evaluate`.
    #[error("the module answers only calls of its functions")]
    NoEvaluate,
    /// The module has no functions.
    #[error("the module has no functions")]
    NoFunctions,
    /// The module has no function of this name.
    #[error("the module has no function `{}`", harmless(name))]
    NoFunction {
        /// The name.
        name: String,
    },
    /// An argument does not fit its parameter.
    #[error("the arguments do not fit the function: {0}")]
    Arguments(Mismatch),
    /// The function changes the module's state, and the caller may not.
    #[error("the function `{function}` may change the module's state, and this caller may only read it")]
    ReadOnly {
        /// The function.
        function: String,
    },
    /// The function changes the module's state, and the module does not run.
    #[error("the module is {stage}{}", because(.reason.as_deref()))]
    NotRunning {
        /// The module's stage.
        stage: Stage,
        /// The reason of the stage.
        reason: Option<Arc<str>>,
    },
    /// The module's runner was busy, so the function did not begin in time.
    #[error("the module did not begin the call within {wait_ms_max} ms: it is {stage}")]
    NotBegun {
        /// The longest wait of a call, in milliseconds.
        wait_ms_max: u64,
        /// The module's stage.
        stage: Stage,
    },
    /// A reload changed the function before the call began.
    #[error("a reload has changed the function: call it again")]
    Reloaded,
    /// The module has been removed, or nexum stops.
    #[error("the module has been removed, or nexum is stopping")]
    Gone,
    /// The result is not JSON of the type that the module lists for the function.
    #[error("the result of request {request} does not have the listed type: {mismatch}")]
    Result {
        /// The number of the call.
        request: RequestId,
        /// The part of the result that does not fit.
        mismatch: Mismatch,
    },
    /// The module returned an error.
    #[error("the module returned an error: {} {}: {}", .0.domain, .0.kind.name(), .0.message)]
    Returned(HostError),
    /// The call exceeded one of its budgets or its module's memory.
    #[error("{0}")]
    Limit(LimitExceeded),
    /// The guest trapped.
    #[error("the module trapped at request {request}: {text}")]
    Trapped {
        /// The number of the call.
        request: RequestId,
        /// The trap, innermost cause first.
        text: String,
    },
    /// The answer exceeds [`QueryPool::OUTPUT_BYTES_MAX`](super::QueryPool::OUTPUT_BYTES_MAX).
    #[error("the answer to request {request} has {bytes} bytes, more than the limit of {bound}")]
    OutputTooLarge {
        /// The number of the call.
        request: RequestId,
        /// The size of the answer, in bytes.
        bytes: u64,
        /// The largest size, in bytes.
        bound: u64,
    },
    /// No instance started for the call, because `init` failed.
    #[error("the module does not start: {failure}")]
    Start {
        /// The failure of `init`.
        failure: Box<Failure>,
    },
    /// The host was not able to serve the call, which is not the module's fault.
    #[error("nexum cannot serve request {request}: {reason}")]
    Failed {
        /// The number of the call.
        request: RequestId,
        /// The reason.
        reason: String,
    },
}

impl QueryError {
    pub(super) fn of(request: RequestId, failure: Failure) -> Self {
        match failure {
            Failure::Returned(error) => Self::Returned(error),
            Failure::Limit(exceeded) => Self::Limit(exceeded),
            Failure::Trap(text) => Self::Trapped { request, text },
            failure @ (Failure::Store(_) | Failure::Prepare { .. } | Failure::Effect(_)) => Self::Failed {
                request,
                reason: failure.to_string(),
            },
        }
    }

    /// The name of the error, for records and programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InputTooLarge { .. } => "input-too-large",
            Self::Overloaded { .. } => "overloaded",
            Self::TimedOut { .. } => "timed-out",
            Self::Suspended { .. } => "suspended",
            Self::NoEvaluate => "no-evaluate",
            Self::NoFunctions | Self::NoFunction { .. } => "no-function",
            Self::Arguments(_) => "arguments",
            Self::ReadOnly { .. } => "read-only",
            Self::NotRunning { .. } | Self::Gone => "not-running",
            Self::NotBegun { .. } => "timed-out",
            Self::Reloaded => "reloaded",
            Self::Result { .. } => "result",
            Self::Returned(_) => "returned",
            Self::Limit(exceeded) if exceeded.limit == Limit::Deadline => "deadline",
            Self::Limit(_) => "limit",
            Self::Trapped { .. } => "trapped",
            Self::OutputTooLarge { .. } => "output-too-large",
            Self::Start { .. } => "start",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether the caller can retry the question after a moment, because no instance received it.
    pub fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. } | Self::TimedOut { .. } | Self::NotBegun { .. } | Self::Reloaded
        )
    }

    /// Whether an instance received the question, or failed to start for it.
    pub fn has_begun(&self) -> bool {
        matches!(
            self,
            Self::Result { .. }
                | Self::Returned(_)
                | Self::Limit(_)
                | Self::Trapped { .. }
                | Self::OutputTooLarge { .. }
                | Self::Start { .. }
                | Self::Failed { .. }
        )
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}
