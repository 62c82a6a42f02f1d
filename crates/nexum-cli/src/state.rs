//! The state of all modules: opens it, and carries out [`Task`]s on it in the process that has it open.

pub(crate) mod accounts;
pub(crate) mod effects;
pub(crate) mod letters;
mod show;
mod sinks;
mod task;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::Config;
use nexum_core::membership::Membership;
use nexum_core::store::StateStore;
use nexum_store::cluster::ClusterConfig;
use nexum_store::{OpenError, Restored, StoreConfig};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::report::{Refusal, causes};

pub(crate) use sinks::{Sinks, no_module};
pub(crate) use task::{Task, import};

/// The pause between two attempts to reach a database.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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

/// The state, and the membership of a node.
pub(crate) type OpenedToRun = (Arc<dyn StateStore>, Option<Arc<dyn Membership>>);

/// Opens the state for `nexum run`, with the membership of a node. Waits for a database that cannot be reached.
///
/// # Errors
///
/// The reason why the state cannot be opened, with a hint if there is one.
pub(crate) fn open_to_run(
    store: &StoreConfig,
    cluster: Option<&ClusterConfig>,
    config: &Config,
) -> Result<OpenedToRun, Refusal> {
    hide_new_files();
    let purpose = "nexum run";
    let Some(cluster) = cluster else {
        let opened = wait_for(|| store.open(&config.state_dir, purpose))?;
        return Ok((opened, None));
    };
    let (store, membership) = wait_for(|| store.open_cluster(cluster, purpose))?;
    Ok((store, Some(membership)))
}

/// Opens a state as soon as its database can be reached: after a power failure, it may start later than nexum.
fn wait_for<T>(open: impl Fn() -> Result<T, OpenError>) -> Result<T, Refusal> {
    let mut said = String::new();
    loop {
        let error = match open() {
            Ok(opened) => return Ok(opened),
            Err(error) if error.is_temporary() => causes(&error),
            Err(error) => return Err(Refusal::with_hint_of(&error)),
        };
        if said != error {
            tracing::warn!(error, "nexum waits for the database");
            said = error;
        }
        #[expect(clippy::disallowed_methods, reason = "this process has no async thread yet")]
        std::thread::sleep(RETRY_AFTER);
    }
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
