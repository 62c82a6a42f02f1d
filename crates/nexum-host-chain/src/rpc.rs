//! JSON-RPC: one endpoint, the pool of endpoints that a chain has, and the
//! places where it takes transactions.

pub(crate) mod endpoint;
pub(crate) mod endpoints;
pub(crate) mod submit;
