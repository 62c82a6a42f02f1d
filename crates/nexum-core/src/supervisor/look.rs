//! The regular look at the modules of a run: whether their chains have trouble, and whether they are
//! behind. A module that waits for its next block cannot notice either by itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::chains::{Sources, troubles};
use super::modules::Modules;

/// The interval between two looks: an operator sees the trouble of a chain a second after its source
/// knows it, and a look takes microseconds for each module.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the modules of a run.
pub(super) struct Look {
    pub(super) modules: Modules,
    pub(super) sources: Sources,
}

impl Look {
    /// Looks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            look(&self.modules, &self.sources);
        }
    }
}

/// Looks at the modules once.
pub(super) fn look(modules: &Modules, sources: &Sources) {
    let troubles = troubles(sources);
    for status in modules.all_events() {
        status.look(&troubles);
    }
}
