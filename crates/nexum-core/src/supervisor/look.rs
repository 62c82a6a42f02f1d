//! The regular look at the modules of a run: whether their chains have trouble, and whether they are
//! behind. A module that waits for its next block cannot notice either by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;
use tokio_util::sync::CancellationToken;

use super::chains::Sources;
use super::modules::Modules;
use crate::clock::Clock;
use crate::reason::Reason;

/// The interval between two looks: an operator sees the trouble of a chain a second after its source
/// knows it, and a look takes microseconds for each module.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the modules of a run.
pub(super) struct Look {
    pub(super) modules: Modules,
    pub(super) sources: Sources,
    pub(super) clock: Arc<dyn Clock>,
}

impl Look {
    /// Looks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut troubles = BTreeMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.find_troubles(&mut troubles);
            for status in self.modules.all_events() {
                status.look(&troubles);
            }
        }
    }

    /// Updates the chains with trouble. Trouble that continues keeps its begin.
    fn find_troubles(&self, troubles: &mut BTreeMap<ChainId, Reason>) {
        for (chain_id, source) in &self.sources {
            match source.trouble() {
                None => drop(troubles.remove(chain_id)),
                Some(text) => {
                    let now_ms = || self.clock.now_ms();
                    let since_ms = troubles.get(chain_id).map_or_else(now_ms, |known| known.since_ms);
                    let text = text.into();
                    troubles.insert(*chain_id, Reason { text, since_ms });
                }
            }
        }
    }
}
