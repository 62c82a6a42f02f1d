//! Bars on a terminal while modules catch up with missed events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use nexum_core::ModuleStatus;
use nexum_core::supervisor::SupervisorHandle;

use crate::report::bars::BARS;

/// The interval at which the bars move: as fast as an eye can follow.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// The most bars: the height of a small terminal, with room for the log above.
const BARS_MAX: usize = 10;

/// The content of a bar. indicatif estimates the rest from the last seconds.
const TEMPLATE: &str = "{prefix:24!} {bar:30} {percent:>3}% {human_pos}/{human_len} blocks, {speed}, {eta} left";

/// Draws a bar for each topic that a module catches up with. Never returns. Draws nothing if stderr
/// is not a terminal.
pub(crate) async fn show(supervisor: &SupervisorHandle) -> Infallible {
    if BARS.is_hidden() {
        return std::future::pending().await;
    }
    let mut bars: HashMap<(ModuleName, ChainTopic), ProgressBar> = HashMap::new();
    let mut turns = tokio::time::interval(REDRAW_EVERY);
    loop {
        turns.tick().await;
        let of_module = |status: Arc<ModuleStatus>| {
            let name = status.name().clone();
            status.replaying().into_iter().map(move |one| (name.clone(), one))
        };
        let replaying: Vec<_> = supervisor.modules().into_iter().flat_map(of_module).collect();
        bars.retain(|key, bar| {
            let goes_on = replaying.iter().any(|(name, one)| (name, one.topic) == (&key.0, key.1));
            if !goes_on {
                bar.finish_and_clear();
            }
            goes_on
        });
        for (name, one) in replaying {
            let key = (name, one.topic);
            if bars.contains_key(&key) || bars.len() < BARS_MAX {
                let bar = bars.entry(key).or_insert_with_key(|(name, topic)| bar(name, *topic));
                bar.set_length(one.to.saturating_sub(one.from).saturating_add(1));
                bar.set_position(one.at.saturating_sub(one.from).saturating_add(1));
            }
        }
    }
}

fn bar(module: &ModuleName, topic: ChainTopic) -> ProgressBar {
    let bar = BARS.add(ProgressBar::no_length());
    // The template is a constant. If it were malformed, there would be a default bar.
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let speed = |state: &ProgressState, line: &mut dyn fmt::Write| {
        // A failed write is ignored: the bar is drawn again after [`REDRAW_EVERY`].
        let _ = write!(line, "{:.0}/s", state.per_sec());
    };
    bar.set_style(style.with_key("speed", speed));
    bar.set_prefix(format!("{module} {topic}"));
    bar
}
