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
mod outgoing;
mod page;
mod peer;
mod progress;
mod query;
mod records;
mod refused;
mod reload;
mod run;
mod systemd;
#[cfg(feature = "otel")]
mod traces;
mod watch;
#[cfg(not(feature = "otel"))]
mod without_traces;

#[cfg(not(feature = "otel"))]
use without_traces as traces;

pub(crate) use run::run;
#[cfg(feature = "author")]
pub(crate) use watch::{Change, change};
