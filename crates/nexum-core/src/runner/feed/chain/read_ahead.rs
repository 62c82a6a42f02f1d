//! Reads ahead while a module catches up.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::bus::source::{EventSource, Replay, Replayed, SourceError};

/// The next part of a replay, which the source reads while the module works on the current part. At
/// most one is read ahead, so that a module that is far behind holds at most two parts in memory.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    numbers: Option<RangeInclusive<u64>>,
    reading: JoinSet<Result<Replayed, SourceError>>,
}

impl ReadAhead {
    pub(super) fn begin(&mut self, source: &Arc<dyn EventSource>, wanted: Replay) {
        let source = source.clone();
        self.numbers = Some(wanted.numbers.clone());
        self.reading.abort_all();
        self.reading = JoinSet::new();
        self.reading.spawn(async move { source.replay(&wanted).await });
    }

    /// Drops the part that was read ahead.
    pub(super) fn forget(&mut self) {
        self.numbers = None;
    }

    /// Returns the part that was read ahead if it starts with `wanted`, or else asks the source. A part without blocks says nothing
    /// about the numbers above it.
    pub(super) async fn take(
        &mut self,
        source: &Arc<dyn EventSource>,
        wanted: Replay,
    ) -> Result<Replayed, SourceError> {
        if let Some(ahead) = self
            .numbers
            .take()
            .filter(|ahead| ahead.start() == wanted.numbers.start())
            && let Some(Ok(replayed)) = self.reading.join_next().await
            && (ahead == wanted.numbers || replayed.as_ref().is_ok_and(|part| ahead.contains(&part.through.number)))
        {
            return replayed;
        }
        source.replay(&wanted).await
    }
}

#[cfg(test)]
mod tests;
