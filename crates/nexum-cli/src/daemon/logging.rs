//! Logs to stderr, in the form that the configuration asks for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::compose;
use crate::configure::{LogConfig, LogFormat};
use crate::report::bars::StderrAboveBars;
use crate::report::{Refusal, Refusals};

/// Starts logging. Called once.
///
/// # Errors
///
/// When the level is not a filter.
pub(crate) fn start(config: &LogConfig) -> Result<(), Refusals> {
    // What comes later holds: no directive of the operator's can bring a silenced target back.
    let silenced: String = compose::silenced_log_targets()
        .map(|target| format!(",{target}=off"))
        .collect();
    let filter = EnvFilter::try_new(format!("{}{silenced}", config.level)).map_err(|error| {
        let refusal = Refusal::new(format!("engine.log_level = {:?}: {error}", config.level));
        Refusals::from(refusal.with_hint("name a level (`info`) or directives (`info,nexum=debug`)"))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(StderrAboveBars)
        .with_ansi(std::io::stderr().is_terminal())
        .with_timer(SystemTime);
    let started = match config.format {
        LogFormat::Pretty => builder.try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
    started.map_err(|error| Refusals::from(Refusal::new(format!("cannot start logging: {error}"))))
}
