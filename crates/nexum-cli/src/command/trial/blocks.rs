//! The blocks of a trial.

use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_core::source::{Advance, Replay, SourceError};

use super::prepare::Source;
use crate::report::Refusal;

/// The blocks of a chain, which nexum reads from its endpoints again.
pub(super) struct Blocks {
    source: Source,
}

impl Blocks {
    /// Waits until the chain can be read.
    ///
    /// # Errors
    ///
    /// If no endpoint answers.
    pub(super) async fn open(source: Source) -> Result<Self, Refusal> {
        source.ready().await.map_err(|error| refusal(&error))?;
        Ok(Self { source })
    }

    /// Reads blocks with their logs, from the first one on, as many as the endpoints give at once. Numbers without a
    /// block are missing.
    ///
    /// # Errors
    ///
    /// If the endpoints do not have the blocks.
    pub(super) async fn read(
        &self,
        numbers: RangeInclusive<u64>,
        filters: Arc<[LogFilter]>,
    ) -> Result<Vec<Arc<Advance>>, Refusal> {
        let wanted = Replay {
            numbers,
            blocks: true,
            filters,
        };
        let replayed = self.source.replay(&wanted).await.map_err(|error| {
            let refusal = refusal(&error);
            refusal.with_hint("name blocks that the chain has, and an endpoint with their history")
        })?;
        // The source may read further than asked.
        let blocks = replayed.blocks.into_iter();
        Ok(blocks
            .filter(|block| wanted.numbers.contains(&block.position.number))
            .collect())
    }
}

fn refusal(error: &SourceError) -> Refusal {
    Refusal::of(error)
}
