//! The commands of the command line. Each runs in this process or asks the running daemon.

#[cfg(feature = "identity")]
mod account;
#[cfg(feature = "runtime")]
mod bundle;
#[cfg(feature = "runtime")]
mod check;
#[cfg(feature = "store-postgres")]
mod cluster;
mod command_files;
#[cfg(feature = "runtime")]
mod compile;
#[cfg(feature = "runtime")]
mod config;
#[cfg(feature = "runtime")]
mod confirm;
#[cfg(feature = "runtime")]
mod dead_letter;
#[cfg(feature = "runtime")]
pub(crate) mod doctor;
#[cfg(feature = "runtime")]
mod effect;
pub(crate) mod errors;
#[cfg(feature = "runtime")]
mod exec;
#[cfg(feature = "runtime")]
mod explain;
#[cfg(feature = "runtime")]
mod functions;
mod inspect;
#[cfg(feature = "runtime")]
mod state;
#[cfg(feature = "runtime")]
mod trial;

#[cfg(feature = "runtime")]
mod perform;
#[cfg(not(feature = "runtime"))]
mod without_runtime;

#[cfg(not(feature = "runtime"))]
use without_runtime::functions;

mod completions;
mod man;

pub(crate) use completions::answer;

#[cfg(feature = "runtime")]
pub(crate) use perform::{perform, version};
#[cfg(not(feature = "runtime"))]
pub(crate) use without_runtime::{perform, version};
