//! The event ledger of the daemon.

use std::sync::Arc;

use nexum_config::masked_path::MaskedPath;
use nexum_core::clock::SystemClock;
use nexum_core::{HostBuilder, Ledger};
use nexum_ledger::{Handle, Keeper, Observer, Watch};

use crate::configure::{LEDGER_DIR, LedgerConfig};

/// Adds the event ledger to a host, unless the operator wants none. `observer` sees the entries in any case.
pub(super) fn keep(
    host: HostBuilder,
    config: &LedgerConfig,
    state_dir: &MaskedPath,
    observer: Option<Arc<dyn Observer>>,
) -> (HostBuilder, Option<Handle>) {
    let ledger = Ledger::new(Arc::new(SystemClock::new()), config.calls);
    match (config.enabled, observer) {
        (true, observer) => {
            ledger.set_inputs(config.arguments);
            let folder = state_dir.join(LEDGER_DIR).to_path_buf();
            let (keeper, handle) = Keeper::new(ledger.clone(), folder, config.keep);
            let keeper = keeper.observer(observer);
            (host.ledger(ledger).service(Arc::new(keeper)), Some(handle))
        }
        (false, Some(observer)) => {
            let watch = Watch::new(ledger.clone(), observer);
            (host.ledger(ledger).service(Arc::new(watch)), None)
        }
        (false, None) => (host, None),
    }
}
