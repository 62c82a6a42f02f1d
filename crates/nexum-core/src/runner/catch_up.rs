//! The progress of a module that catches up.

use std::time::Duration;

use tokio::time::Instant;

use nexum_config::topic::ChainTopic;

/// The interval between two log lines about the progress.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The replay of one topic.
#[derive(Debug)]
pub(crate) struct CatchingUp {
    topic: ChainTopic,
    from: u64,
    at: u64,
    to: u64,
    since: Instant,
    reported: Instant,
    was_reported: bool,
}

impl CatchingUp {
    pub(super) fn new(topic: ChainTopic, from: u64) -> Self {
        let now = Instant::now();
        Self {
            topic,
            from,
            at: from,
            to: from,
            since: now,
            reported: now,
            was_reported: false,
        }
    }

    /// Records that the module has read the blocks up to `at`, of those up to `to`.
    pub(super) fn reached(&mut self, at: u64, to: u64) {
        (self.at, self.to) = (at, to);
        if self.reported.elapsed() < REPORT_EVERY {
            return;
        }
        self.reported = Instant::now();
        self.was_reported = true;
        tracing::info!(
            target: "nexum::event",
            chain = %self.topic,
            from = self.from,
            at,
            to,
            blocks_per_second = self.blocks_per_second(),
            seconds_left = self.seconds_left(),
            "catching up"
        );
    }

    pub(super) fn done(self) {
        if self.was_reported {
            let seconds = self.since.elapsed().as_secs();
            tracing::info!(target: "nexum::event", chain = %self.topic, blocks = self.done_blocks(), seconds, "caught up");
        }
    }

    /// The first block, the last block that the module has read, and the last block to read.
    pub(super) fn range(&self) -> (u64, u64, u64) {
        (self.from, self.at, self.to)
    }

    fn done_blocks(&self) -> u64 {
        self.at.saturating_sub(self.from).saturating_add(1)
    }

    fn blocks_per_second(&self) -> u64 {
        let millis = u64::try_from(self.since.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        self.done_blocks().saturating_mul(1_000) / millis
    }

    fn seconds_left(&self) -> u64 {
        self.to.saturating_sub(self.at) / self.blocks_per_second().max(1)
    }
}
