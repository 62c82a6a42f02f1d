//! The errors of a query.

use std::time::Duration;

use nexum_config::limits::Limit;

use crate::bindings::nexum::host::types::HostError;
use crate::engine::limiter::LimitExceeded;
use crate::event::RequestId;
use crate::module::failure::Failure;

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
            failure @ (Failure::Store(_) | Failure::Prepare { .. }) => Self::Failed {
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
        matches!(self, Self::Overloaded { .. } | Self::TimedOut { .. })
    }
}
