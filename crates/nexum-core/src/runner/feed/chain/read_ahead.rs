//! Reads ahead while a module catches up.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::bus::source::{EventSource, Replay, Replayed, SourceError};

/// The part of a replay that is read ahead, while the module works on the one before: one at most, so that a module that is far
/// behind holds no more than two in memory.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    first: Option<u64>,
    reading: JoinSet<Result<Replayed, SourceError>>,
}

impl Ahead {
    pub(super) fn begin(&mut self, source: &Arc<dyn EventSource>, wanted: Replay) {
        let source = source.clone();
        self.first = Some(*wanted.numbers.start());
        self.reading.abort_all();
        self.reading = JoinSet::new();
        self.reading.spawn(async move { source.replay(&wanted).await });
    }

    /// What was read ahead is not wanted.
    pub(super) fn forget(&mut self) {
        self.first = None;
    }

    /// What was read ahead, if it is what is wanted now, or else what the source says.
    pub(super) async fn take(
        &mut self,
        source: &Arc<dyn EventSource>,
        wanted: Replay,
    ) -> Result<Replayed, SourceError> {
        if self.first.take() == Some(*wanted.numbers.start())
            && let Some(Ok(replayed)) = self.reading.join_next().await
        {
            return replayed;
        }
        source.replay(&wanted).await
    }
}
