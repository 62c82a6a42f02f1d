//! A read: a request that may be sent to any endpoint, and more than once.

use std::sync::Arc;

use nexum_core::source::Position;
use serde_json::value::RawValue;

use super::RpcRequest;

/// A request that only reads, and what its answer means.
pub(crate) struct ReadRequest {
    pub(crate) request: RpcRequest,
    /// Whether the answer is the same for ever, because the request names its block by hash.
    pub(crate) is_pinned: bool,
    /// Whether null says that the endpoint does not have the block.
    pub(crate) null_is_unknown: bool,
    /// The read for an endpoint that takes no block hash there.
    pub(crate) by_number: Option<ByNumber>,
}

/// A pinned read that names its block by number.
pub(crate) struct ByNumber {
    pub(crate) request: RpcRequest,
    /// The block that the number must be of.
    pub(crate) block: Position,
}

impl ReadRequest {
    pub(crate) fn unpinned(method: &'static str, params: Box<RawValue>) -> Self {
        Self {
            request: (method.into(), params),
            is_pinned: false,
            null_is_unknown: false,
            by_number: None,
        }
    }

    /// What equal reads have in common. No method's name has a space in it.
    pub(crate) fn key(&self) -> Arc<str> {
        let (method, params) = &self.request;
        [method, " ", params.get()].concat().into()
    }
}
