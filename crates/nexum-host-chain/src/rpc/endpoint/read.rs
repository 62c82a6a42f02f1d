//! A read: a request that may be sent repeatedly, to any endpoint.

use std::sync::Arc;

use nexum_core::source::Position;
use serde_json::value::RawValue;

use super::RpcRequest;

/// A request that only reads, with properties of its answer.
pub(crate) struct ReadRequest {
    pub(crate) request: RpcRequest,
    /// Whether the answer never changes, because the request names its block by hash.
    pub(crate) is_pinned: bool,
    /// Whether a null result means that the endpoint does not have the block.
    pub(crate) null_is_unknown: bool,
    /// The read for an endpoint that accepts no block hash.
    pub(crate) by_number: Option<ByNumber>,
}

/// A pinned read that names its block by number.
pub(crate) struct ByNumber {
    pub(crate) request: RpcRequest,
    /// The block that must have the number.
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

    /// The key that equal reads share. No method's name contains a space.
    pub(crate) fn key(&self) -> Arc<str> {
        let (method, params) = &self.request;
        [method, " ", params.get()].concat().into()
    }
}
