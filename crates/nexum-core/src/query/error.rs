//! Why a query has no answer.

use nexum_config::limits::Limit;

use crate::bindings::nexum::host::types::HostError;
use crate::engine::limiter::Trip;
use crate::event::RequestId;
use crate::module::instance::Failure;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The question is larger than any may be. No instance has seen it.
    #[error("the input has {bytes} bytes, and {bound} at most are taken")]
    InputTooLarge {
        /// Bytes of the question.
        bytes: u64,
        /// How many may be.
        bound: u64,
    },
    /// As many calls wait for the module as may. No instance has seen this one.
    #[error("the module is overloaded: {waiters_max} calls wait already")]
    Overloaded {
        /// How many may wait.
        waiters_max: u32,
    },
    /// No instance became free in time. None has seen this call.
    #[error("no instance of the module became free within {wait_ms_max} ms")]
    TimedOut {
        /// How long a call may wait, in milliseconds.
        wait_ms_max: u64,
    },
    /// The module answered with an error.
    #[error("the module returned an error: {} {}: {}", .0.domain, .0.kind.name(), .0.message)]
    Returned(HostError),
    /// The call used up one of its budgets, or its module's memory.
    #[error("{0}")]
    Limit(Trip),
    /// The guest trapped.
    #[error("the module trapped at request {request}: {text}")]
    Trapped {
        /// The call.
        request: RequestId,
        /// The trap, innermost cause first.
        text: String,
    },
    /// The answer is larger than any may be.
    #[error("the answer to request {request} has {bytes} bytes, and {bound} at most are given")]
    OutputTooLarge {
        /// The call.
        request: RequestId,
        /// Bytes of the answer.
        bytes: u64,
        /// How many may be.
        bound: u64,
    },
    /// An instance could not be made for the call: `init` failed.
    #[error("the module does not start: {failure}")]
    Start {
        /// What came of `init`.
        failure: Box<Failure>,
    },
    /// The host could not serve the call: no fault of the module's.
    #[error("request {request} could not be served: {reason}")]
    Failed {
        /// The call.
        request: RequestId,
        /// Why.
        reason: String,
    },
}

impl QueryError {
    pub(super) fn of(request: RequestId, failure: Failure) -> Self {
        match failure {
            Failure::Returned(error) => Self::Returned(error),
            Failure::Limit(trip) => Self::Limit(trip),
            Failure::Trap(text) => Self::Trapped { request, text },
            failure @ (Failure::Store(_) | Failure::Prepare { .. }) => Self::Failed {
                request,
                reason: failure.to_string(),
            },
        }
    }

    /// Its name, for records and programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InputTooLarge { .. } => "input-too-large",
            Self::Overloaded { .. } => "overloaded",
            Self::TimedOut { .. } => "timed-out",
            Self::Returned(_) => "returned",
            Self::Limit(trip) if trip.limit == Limit::Deadline => "deadline",
            Self::Limit(_) => "limit",
            Self::Trapped { .. } => "trapped",
            Self::OutputTooLarge { .. } => "output-too-large",
            Self::Start { .. } => "start",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether the same question may be answered a moment later: no instance has seen it.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::TimedOut { .. })
    }
}
