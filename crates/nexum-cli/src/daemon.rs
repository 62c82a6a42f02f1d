//! The daemon that `nexum run` starts, with its control socket, its ports and its log.

mod alerts;
mod announce;
mod api;
mod audit;
mod codes;
mod conditions;
mod feed;
mod health;
mod ledger;
mod levels;
mod listen;
mod logging;
mod metrics;
mod node;
mod notify;
mod page;
mod peer;
mod progress;
mod query;
mod records;
mod refused;
mod reload;
mod run;
mod systemd;
mod watch;

pub(crate) use run::run;
#[cfg(feature = "author")]
pub(crate) use watch::{Change, change};
