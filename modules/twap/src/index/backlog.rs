//! The events that wait for a later block.

use nexum_sdk::chain::Filter;
use nexum_sdk::{Address, B256, Chain, Log, Result, store};
use serde::{Deserialize, Serialize};

use super::{Cursor, Indexer, READ_BYTES_MAX, Used};
use crate::skipped::Skip;

/// The first event of a block that waits. All later events of the block wait too.
const BACKLOG: store::Map<u64, Waiting> = store::Map::new("backlog");

/// The blocks that one event reads again: an event of nexum sends at most 1,000 requests, and polls need
/// most of them.
const READS_MAX: u32 = 16;

/// The wait after a block that a node does not return, in seconds. Each failure doubles the wait up to the
/// second number.
const RETRY_SECONDS: u64 = 12;
const RETRY_SECONDS_MAX: u64 = 3_600;

/// How long a block is read again that a node does not return, in seconds. nexum reverts the state with a
/// reorganisation, so that the block exists, and the node lags or fails.
const RETRY_SECONDS_TOTAL: u64 = 86_400;

#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    transaction: B256,
    /// The index as the node numbers it: on some chains, within the transaction.
    log_index: u32,
    cursor: Cursor,
    /// About the bytes of the node's answer with all events of the block.
    read_bytes: u64,
    failures: u32,
    /// The time of the first failure, and of the next attempt, in seconds.
    since: u64,
    not_before: u64,
}

impl Indexer<'_> {
    /// Whether there are events that wait.
    pub fn has_backlog() -> Result<bool> {
        Ok(!BACKLOG.keys()?.is_empty())
    }

    /// As much of the backlog as the event has room for.
    pub async fn backlog(mut self) -> Result<Used> {
        for block in BACKLOG.keys()? {
            if self.is_full() || self.used.requests >= READS_MAX {
                break;
            }
            self.used.operations += 1;
            let Some(waiting) = BACKLOG.get(&block)? else { continue };
            if waiting.not_before > self.now {
                continue;
            }
            if self.used.read_bytes + waiting.read_bytes > READ_BYTES_MAX || !self.resume(block, waiting).await? {
                break;
            }
        }
        let used = self.used;
        self.finish()?;
        Ok(used)
    }

    /// Continues with a block. Returns `false` if the node answers no requests.
    async fn resume(&mut self, block: u64, waiting: Waiting) -> Result<bool> {
        let filter = Filter::new().address(self.settings.composable_cow);
        self.used.requests += 1;
        self.used.read_bytes += waiting.read_bytes;
        let answer = Chain::new(self.settings.chain_id).at(block).logs(&filter).await;
        let is_reachable = !answer.as_ref().is_err_and(nexum_sdk::Error::is_retryable);
        let logs = answer.unwrap_or_default();
        let is_first = |log: &Log| log.transaction_hash == waiting.transaction && log.log_index == waiting.log_index;
        match logs.iter().position(is_first) {
            Some(at) => {
                BACKLOG.remove(&block)?;
                self.logs_from(&logs, at, waiting.cursor).await?;
            }
            None => self.postpone(block, waiting)?,
        }
        Ok(is_reachable)
    }

    fn postpone(&mut self, block: u64, mut waiting: Waiting) -> Result {
        if waiting.failures == 0 {
            waiting.since = self.now;
        }
        if self.now.saturating_sub(waiting.since) >= RETRY_SECONDS_TOTAL {
            BACKLOG.remove(&block)?;
            return self.skip(
                Skip::EventMissing,
                Address::ZERO,
                B256::ZERO,
                (waiting.transaction, block),
            );
        }
        let seconds = 1_u64
            .checked_shl(waiting.failures)
            .unwrap_or(u64::MAX)
            .saturating_mul(RETRY_SECONDS);
        waiting.not_before = self.now.saturating_add(seconds.min(RETRY_SECONDS_MAX));
        waiting.failures = waiting.failures.saturating_add(1);
        BACKLOG.set(&block, &waiting)
    }

    /// Makes the events of a block wait, from a position on.
    pub(super) fn wait(&mut self, logs: &[Log], at: usize, cursor: Cursor) -> Result {
        /// The topics and other fields of an event in JSON.
        const OTHER_BYTES: usize = 1_000;

        let Some((first, later)) = logs.get(at..).and_then(<[Log]>::split_first) else {
            return Ok(());
        };
        let read_bytes = logs.iter().map(|log| 2 * log.data.len() + OTHER_BYTES).sum::<usize>() as u64;
        if read_bytes > READ_BYTES_MAX {
            *self.totals.skipped.entry(Skip::BlockTooLarge).or_default() += later.len() as u64;
            let source = (first.transaction_hash, first.block_number);
            return self.skip(Skip::BlockTooLarge, Address::ZERO, B256::ZERO, source);
        }
        let waiting = Waiting {
            transaction: first.transaction_hash,
            log_index: first.log_index,
            cursor,
            read_bytes,
            failures: 0,
            since: 0,
            not_before: 0,
        };
        BACKLOG.set(&first.block_number, &waiting)
    }
}
