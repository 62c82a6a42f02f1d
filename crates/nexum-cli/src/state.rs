//! The state of all modules: opens it, and carries out [`Task`]s on it in the process that has it open.

mod show;
mod sinks;
mod task;

use std::sync::Arc;

use nexum_config::engine::Config;
use nexum_core::store::StateStore;
use nexum_store::StoreConfig;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::report::Refusal;

pub(crate) use sinks::Sinks;
pub(crate) use task::{Task, import};

/// Opens the state in the state directory. Another process that tries to open it meanwhile shows
/// `purpose`. Blocks on the disk.
///
/// # Errors
///
/// The reason why the state cannot be opened, with a hint if there is one.
pub(crate) fn open(store: &StoreConfig, config: &Config, purpose: &str) -> Result<Arc<dyn StateStore>, Refusal> {
    // Files in the state directory are for this user alone, whatever the operator's own umask is.
    umask(Mode::RWXG | Mode::RWXO);
    let opened = store.open(&config.state_dir, purpose);
    opened.map_err(|error| Refusal::with_hint_of(&error))
}
