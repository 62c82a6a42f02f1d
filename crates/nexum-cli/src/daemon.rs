//! The daemon that `nexum run` starts, with its control socket, its ports and its log.

mod announce;
mod api;
mod listen;
mod logging;
mod metrics;
mod peer;
mod progress;
mod query;
mod refused;
mod run;
mod watch;

pub(crate) use api::Admin;

pub(crate) use run::run;
#[cfg(feature = "author")]
pub(crate) use watch::{Change, change};
