//! `nexum run`, and what a running nexum is asked and told.

mod announce;
mod control;
mod listen;
mod logging;
mod metrics;
mod progress;
mod query;
mod run;
mod watch;

pub(crate) use query::config::QueryConfig;
pub(crate) use run::run;
