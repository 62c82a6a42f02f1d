//! The public watch-tower, measured: one process of it beside a local node with the deployed contracts
//! and an order book. Each constant is the baseline of a figure.

/// A block with 1,000 orders that wait for their start.
pub(crate) const WAITING_REQUESTS: f64 = 2.0;
pub(crate) const WAITING_MS: f64 = 35.0;

/// A block with 1,000 orders whose handler answers `PollTryNextBlock`.
pub(crate) const POLLED_REQUESTS: f64 = 1_002.0;
pub(crate) const POLLED_MS: f64 = 4_332.0;

/// 100 parts that are due at once: the requests to the order book, and the time to the last post.
pub(crate) const DUE_REQUESTS: f64 = 680.0;
pub(crate) const DUE_S: f64 = 203.0;

/// The start with 1,000 orders that wait for their start. It reads them from the chain each time.
pub(crate) const START_S: f64 = 31.0;

/// The memory of its process with 1,000 orders, at the least.
pub(crate) const MEMORY_MB: f64 = 282.0;
