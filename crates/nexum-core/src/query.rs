//! Modules that answer queries: how many calls each takes at a time, and what becomes of the others.
//!
//! A query module is compiled once and served by a [`QueryPool`]. A call takes an instance that is idle, or has another one made
//! while there are fewer than [`QueryBounds::pool_size_max`](nexum_config::query::QueryBounds::pool_size_max); with that many calls in flight others wait, so many and so long as
//! the bounds say. Each call has budgets of its own, as an event has. It may read what its module keeps and change none of it.
//!
//! Invariant: an instance that is entered again has done nothing but answer. After an error, a trap, a limit or a call that nobody
//! waits for any longer it is discarded.

mod error;
mod metrics;
mod pool;

pub use error::QueryError;
pub use pool::QueryPool;
