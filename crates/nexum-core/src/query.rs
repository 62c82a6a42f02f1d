//! Query modules: how many calls each one handles at a time, and what happens to further calls.
//!
//! nexum compiles a query module once and serves it from a [`QueryPool`]. A call takes an idle
//! instance. If none is idle, the pool creates one, up to
//! [`QueryBounds::pool_size_max`](nexum_config::query::QueryBounds::pool_size_max). Further calls
//! wait, within the bounds on their number and their time. Each call has its own budgets, as an
//! event has. A call can read the module's state, but not change it.
//!
//! Invariant: a reused instance has only returned answers. The pool discards an instance after an
//! error, a trap, an exceeded limit, or a call whose caller has gone.
//!
//! A module that fails in every call is suspended: see [`Suspension`].

mod breaker;
mod error;
mod invoke;
mod metrics;
mod pool;
mod question;

pub use error::{QueryError, Suspension};
pub use invoke::Invocation;
pub use pool::QueryPool;
