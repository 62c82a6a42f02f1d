//! The state of all modules: opens it, and carries out [`Task`]s on it in the process that has it open.

pub(crate) mod letters;
mod show;
mod sinks;
mod task;

use std::path::Path;
use std::sync::Arc;

use nexum_config::engine::Config;
use nexum_core::store::StateStore;
use nexum_store::{Restored, StoreConfig};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::report::Refusal;

pub(crate) use sinks::{Sinks, no_module};
pub(crate) use task::{Task, import};

/// Opens the state in the state directory. Another process that tries to open it meanwhile shows
/// `purpose`. Blocks on the disk.
///
/// # Errors
///
/// The reason why the state cannot be opened, with a hint if there is one.
pub(crate) fn open(store: &StoreConfig, config: &Config, purpose: &str) -> Result<Arc<dyn StateStore>, Refusal> {
    hide_new_files();
    let opened = store.open(&config.state_dir, purpose);
    opened.map_err(|error| Refusal::with_hint_of(&error))
}

/// Makes a backup the state in the state directory. Calls `progress` with the number of checked rows.
/// Blocks on the disk.
///
/// # Errors
///
/// The reason why the directory keeps its former state, with a hint if there is one.
pub(crate) fn restore_backup(
    backup: &Path,
    config: &Config,
    replace: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, Refusal> {
    hide_new_files();
    let restored = nexum_store::restore(backup, &config.state_dir, replace, "nexum state restore", progress);
    restored.map_err(|error| Refusal::with_hint_of(&error))
}

/// Files in the state directory are for this user alone, whatever the operator's own umask is.
fn hide_new_files() {
    umask(Mode::RWXG | Mode::RWXO);
}
