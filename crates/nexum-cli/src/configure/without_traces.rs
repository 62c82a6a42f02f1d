//! A build without the feature `otel` exports no traces.

use crate::report::Refusal;

/// Where traces go: there is no such place.
pub(crate) enum TracesConfig {}

impl TracesConfig {
    /// Reads nothing.
    pub(crate) fn of_process() -> Result<Option<Self>, Refusal> {
        Ok(None)
    }
}
