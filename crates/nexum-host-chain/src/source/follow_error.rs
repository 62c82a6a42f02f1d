//! The failures of following or reading a chain.

use alloy_primitives::B256;
use nexum_core::source::Position;

use super::header::SKIPPED_MAX;
use crate::error::{RequestError, Retry};

/// Why a chain could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{method}: {error}")]
    Asked { method: &'static str, error: RequestError },
    #[error("eth_getLogs for blocks {from} to {to}: {error}")]
    Range { from: u64, to: u64, error: RequestError },
    #[error("the endpoint's block cannot be read")]
    BadHeader,
    #[error("the endpoint's logs cannot be read")]
    BadLogs,
    #[error("the endpoint does not have block {0}")]
    NoBlock(u64),
    #[error(
        "the endpoint's block {to} names block {from} as its parent: between the two, nexum believes at most {} numbers without a \
         block",
        SKIPPED_MAX
    )]
    BadParent { from: u64, to: u64 },
    #[error("the endpoint's subscription ended")]
    HeadsEnded,
    #[error("the endpoint has had no new head for {0} s")]
    Stalled(u64),
    #[error(
        "the endpoint's head has been block {} {} for {seconds} s, far below block {} {} that was followed before: it is \
         syncing, or the chain was reset; for a chain that was reset, start again with another state_dir",
        theirs.number, B256::from(theirs.hash), ours.number, B256::from(ours.hash)
    )]
    Below {
        ours: Position,
        theirs: Position,
        seconds: u64,
    },
    #[error(
        "the endpoint's head is block {head}, and it has not given the blocks after block {} {} for {seconds} s",
        ours.number, B256::from(ours.hash)
    )]
    Withheld { ours: Position, head: u64, seconds: u64 },
    #[error("the endpoint is on another fork than the others")]
    Alone,
    #[error("the chain changed while it was read")]
    Unsettled,
    #[error(
        "the endpoint has {} for block {} where {} was followed, and none of the {depth} blocks before that is in both: the \
         reorganisation is deeper than reorg_depth_max, or the endpoint is of another network; raise reorg_depth_max, or start \
         again on the chain that is right",
        B256::from(theirs.hash), theirs.number, B256::from(ours.hash)
    )]
    TooDeep {
        ours: Position,
        theirs: Position,
        depth: u64,
    },
}

impl FollowError {
    /// Whether no retry can succeed.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TooDeep { .. })
    }

    /// Whether the endpoint works and its chain does not go on.
    pub(super) fn is_stall(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::Below { .. } | Self::Withheld { .. })
    }

    /// Wraps the error of a request with this method.
    pub(super) fn asked(method: &'static str) -> impl FnOnce(RequestError) -> Self {
        move |error| Self::Asked { method, error }
    }

    /// The error of the failed request, if a request failed.
    pub(super) fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Request(error) | Self::Asked { error, .. } | Self::Range { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The method of the request that failed.
    pub(super) fn method(&self) -> Option<&'static str> {
        match self {
            Self::Asked { method, .. } => Some(method),
            Self::Range { .. } => Some("eth_getLogs"),
            _ => None,
        }
    }

    /// Whether the endpoint has answered, be it that it does not know what it was asked about.
    pub(super) fn is_answered(&self) -> bool {
        let answered = |error: &RequestError| matches!(error, RequestError::Answer { .. }) && !error.is_rate_limit();
        self.is_refusal() || self.request().is_some_and(answered)
    }

    /// Whether an endpoint refuses a request that every followed endpoint must answer: the host's
    /// own requests are well-formed.
    pub(super) fn is_refusal(&self) -> bool {
        self.request().is_some_and(RequestError::is_refusal)
    }

    /// Whether the answer is larger than the endpoint's or nexum's limit.
    pub(super) fn is_too_large(&self) -> bool {
        self.request().is_some_and(RequestError::is_too_large)
    }

    /// Whether another endpoint may answer.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::TooDeep { .. } => false,
            error => error.request().is_none_or(|error| error.retry() != Retry::Never),
        }
    }
}
