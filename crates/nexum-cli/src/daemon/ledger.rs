//! The event ledger of the daemon.

use std::sync::Arc;

use nexum_config::masked_path::MaskedPath;
use nexum_core::clock::SystemClock;
use nexum_core::{HostBuilder, Ledger};
use nexum_ledger::{Handle, Keeper};

use crate::configure::{LEDGER_DIR, LedgerConfig};

/// Adds the event ledger to a host, unless the operator wants none.
pub(super) fn keep(host: HostBuilder, config: &LedgerConfig, state_dir: &MaskedPath) -> (HostBuilder, Option<Handle>) {
    if !config.enabled {
        return (host, None);
    }
    let ledger = Ledger::new(Arc::new(SystemClock::new()), config.calls);
    ledger.set_inputs(config.arguments);
    let folder = state_dir.join(LEDGER_DIR).to_path_buf();
    let (keeper, handle) = Keeper::new(ledger.clone(), folder, config.keep);
    (host.ledger(ledger).service(Arc::new(keeper)), Some(handle))
}
