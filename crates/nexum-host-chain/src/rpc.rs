//! JSON-RPC: one endpoint, and the pool of endpoints that a chain has.

pub(crate) mod endpoint;
pub(crate) mod endpoints;
