//! Bars on a terminal while modules catch up with missed events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use nexum_core::ModuleStatus;
use nexum_core::supervisor::SupervisorHandle;

use crate::report::bars::{BARS, Progress};

/// The interval at which the bars move: as fast as an eye can follow.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// The most bars: the height of a small terminal, with room for the log above.
const BARS_MAX: usize = 10;

/// Draws a bar for each topic that a module catches up with. Never returns. Draws nothing if stderr
/// is not a terminal.
pub(crate) async fn show(supervisor: &SupervisorHandle) -> Infallible {
    if BARS.is_hidden() {
        return std::future::pending().await;
    }
    let mut bars: HashMap<(ModuleName, ChainTopic), Progress> = HashMap::new();
    let mut turns = tokio::time::interval(REDRAW_EVERY);
    loop {
        turns.tick().await;
        let of_module = |status: Arc<ModuleStatus>| {
            let name = status.name().clone();
            status.replaying().into_iter().map(move |one| (name.clone(), one))
        };
        let replaying: Vec<_> = supervisor.modules().into_iter().flat_map(of_module).collect();
        bars.retain(|key, _| replaying.iter().any(|(name, one)| (name, one.topic) == (&key.0, key.1)));
        for (name, one) in replaying {
            let key = (name, one.topic);
            if bars.contains_key(&key) || bars.len() < BARS_MAX {
                let bar = bars
                    .entry(key)
                    .or_insert_with_key(|(name, topic)| Progress::new(format!("{name} {topic}"), "blocks"));
                let count = |to: u64| to.saturating_sub(one.from).saturating_add(1);
                bar.reached(count(one.at), count(one.to));
            }
        }
    }
}
