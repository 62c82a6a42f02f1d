//! A chain that a test extends and reorganises step by step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexum_config::topic::{ChainId, Finality};
use nexum_core::source::{Advance, BlockHash, Log, Position};
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError};
use nexum_core::source::{EventLog, Trouble};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The time of block 0, in milliseconds. Each block is twelve seconds later than the previous one.
pub const GENESIS_MS: u64 = 1_700_000_000_000;

/// The greatest depth of a scripted reorganisation, in blocks.
const REORG_DEPTH_MAX: u64 = 128;

/// The wait for a scripted chain that is not readable: short, because a test waits too.
const READY_TIMEOUT: Duration = Duration::from_millis(20);

/// An event source without a network. Clones share one chain.
#[derive(Clone, Debug)]
pub struct ScriptedSource {
    chain_id: ChainId,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    chain: Mutex<Chain>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Chain {
    blocks: Vec<Arc<Advance>>,
    /// The numbers between the last block and the next one, which have no block.
    skipped: u64,
    /// Changes that the source has not appended to its log yet, in order.
    steps: VecDeque<Step>,
    /// Whether a log has followed the source before.
    was_followed: bool,
    forks: u8,
    failure: Option<String>,
    /// Why the chain cannot be read, until it can.
    unready: Option<String>,
    /// Why replays fail, until they do not.
    lost_history: Option<String>,
    /// Why the chain does not advance, until it does.
    trouble: Option<Trouble>,
}

#[derive(Debug)]
enum Step {
    Advance(Arc<Advance>),
    Revert(Position),
}

impl Chain {
    /// Makes the logs of a second follower start with the newest block: those of the first one may have
    /// received all changes.
    fn follow_again(&mut self) {
        if std::mem::replace(&mut self.was_followed, true) {
            self.steps = self.blocks.last().cloned().map(Step::Advance).into_iter().collect();
        }
    }
}

impl ScriptedSource {
    /// A chain without blocks.
    pub fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            inner: Arc::default(),
        }
    }

    /// A chain without blocks, whose hashes start at this fork. It therefore differs from the
    /// chains of other forks.
    pub fn of_fork(chain_id: ChainId, forks: u8) -> Self {
        let source = Self::new(chain_id);
        source.chain().forks = forks;
        source
    }

    /// The canonical blocks, oldest first.
    pub fn positions(&self) -> Vec<Position> {
        self.chain().blocks.iter().map(|block| block.position).collect()
    }

    /// A source of the current chain for a new log, which starts with the next mined block.
    #[must_use]
    pub fn at_head(&self) -> Self {
        let chain = self.chain();
        let copy = Chain {
            blocks: chain.blocks.clone(),
            skipped: chain.skipped,
            forks: chain.forks,
            ..Chain::default()
        };
        let inner = Inner {
            chain: Mutex::new(copy),
            changed: Notify::new(),
        };
        Self {
            chain_id: self.chain_id,
            inner: Arc::new(inner),
        }
    }

    /// Adds this many blocks without logs.
    pub fn mine(&self, count: usize) {
        (0..count).for_each(|_| self.mine_with(Vec::new()));
    }

    /// Leaves this many numbers without a block before the next block, as Filecoin does for a round
    /// without one.
    pub fn skip(&self, numbers: u64) {
        self.chain().skipped += numbers;
    }

    /// Adds a block with these logs.
    pub fn mine_with(&self, logs: Vec<Log>) {
        let mut chain = self.chain();
        {
            let next = chain.blocks.last().map_or(0, |block| block.position.number + 1);
            let number = next + std::mem::take(&mut chain.skipped);
            let parent_hash = chain.blocks.last().map_or([0; 32], |block| block.position.hash);
            let position = Position {
                number,
                hash: hash(chain.forks, number),
            };
            let timestamp_ms = GENESIS_MS + number * 12_000;
            let block = Advance::with_logs(self.chain_id, position, parent_hash, timestamp_ms, logs);
            chain.blocks.push(block.clone());
            chain.steps.push_back(Step::Advance(block));
        }
        self.inner.changed.notify_one();
    }

    /// Removes the last `depth` blocks. The next blocks have other hashes.
    ///
    /// # Panics
    ///
    /// If the chain is not longer than `depth`.
    #[expect(clippy::expect_used, reason = "the test's chain is too short")]
    pub fn reorg(&self, depth: usize) {
        let mut chain = self.chain();
        let kept = chain
            .blocks
            .len()
            .checked_sub(depth)
            .expect("a chain longer than its reorganisation");
        chain.blocks.truncate(kept);
        chain.forks += 1;
        let to = chain
            .blocks
            .last()
            .expect("a chain longer than its reorganisation")
            .position;
        chain.steps.push_back(Step::Revert(to));
        self.inner.changed.notify_one();
    }

    /// Discards the pending changes except for the first `changes`. The log never receives them,
    /// and so lags behind the readable blocks.
    pub fn hide_after(&self, changes: usize) {
        self.chain().steps.truncate(changes);
    }

    /// Makes the chain one that cannot be read for this reason.
    #[must_use]
    pub fn not_ready(self, reason: &str) -> Self {
        self.chain().unready = Some(reason.to_owned());
        self
    }

    /// Makes replays fail for this reason, or work.
    pub fn fail_replays(&self, reason: Option<&str>) {
        self.chain().lost_history = reason.map(str::to_owned);
    }

    /// Makes the chain one that does not advance for this reason, since this time in milliseconds since the Unix epoch, or one
    /// that does.
    pub fn set_trouble(&self, reason: Option<(&str, u64)>) {
        self.chain().trouble = reason.map(|(text, since_ms)| Trouble {
            text: text.into(),
            since_ms,
            next_try_ms: None,
        });
    }

    /// Makes the chain one that can be read.
    pub fn come_up(&self) {
        self.chain().unready = None;
    }

    /// Ends the source with this reason.
    pub fn fail(&self, reason: &str) {
        self.chain().failure = Some(reason.to_owned());
        self.inner.changed.notify_one();
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.inner.chain.lock()
    }
}

#[async_trait]
impl EventSource for ScriptedSource {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    fn reorg_depth_max(&self) -> u64 {
        REORG_DEPTH_MAX
    }

    fn describe(&self) -> String {
        "a script".to_owned()
    }

    fn trouble(&self) -> Option<Trouble> {
        self.chain().trouble.clone()
    }

    async fn ready(&self) -> Result<(), SourceError> {
        let Some(reason) = self.chain().unready.clone() else {
            return Ok(());
        };
        tokio::time::sleep(READY_TIMEOUT).await;
        Err(SourceError::new(self.chain_id, reason))
    }

    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError> {
        self.chain().follow_again();
        loop {
            while !stop.is_cancelled()
                && let Some(step) = { self.chain().steps.pop_front() }
            {
                logs.all().iter().for_each(|log| self.take(log, &step));
            }
            if let Some(reason) = self.chain().failure.take() {
                return Err(SourceError::new(self.chain_id, reason));
            }
            tokio::select! {
                () = self.inner.changed.notified() => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn replay(&self, wanted: &Replay) -> Result<Replayed, SourceError> {
        let chain = self.chain();
        if let Some(reason) = &chain.lost_history {
            return Err(SourceError::new(self.chain_id, reason.clone()));
        }
        let number = |block: &&Arc<Advance>| wanted.numbers.contains(&block.position.number);
        let blocks: Vec<_> = chain.blocks.iter().filter(number).cloned().collect();
        let mut below = chain.blocks.iter().map(|block| block.position);
        let below = below.rfind(|position| position.number < *wanted.numbers.start());
        let head = chain.blocks.last().map(|block| block.position.number);
        let through = blocks.last().map(|block| block.position).or(below);
        let Some(through) = through.filter(|_| head >= Some(*wanted.numbers.start())) else {
            return Err(SourceError::new(self.chain_id, "the script does not have this block"));
        };
        let matches = |log: &Log| {
            wanted
                .filters
                .iter()
                .any(|filter| filter.matches(&log.address, &log.topics))
        };
        Ok(Replayed {
            parent_hash: below.map_or([0; 32], |below| below.hash),
            through,
            blocks: blocks
                .iter()
                .filter(|block| wanted.blocks || block.logs.iter().any(matches))
                .cloned()
                .collect(),
        })
    }
}

impl ScriptedSource {
    /// The blocks before this one, or none if a reorganisation has replaced its parent.
    fn past_of(&self, block: &Advance) -> Vec<Position> {
        let chain = self.chain();
        let past = chain.blocks.iter().map(|block| block.position);
        let past: Vec<_> = past
            .take_while(|position| position.number < block.position.number)
            .collect();
        if past.last().is_some_and(|parent| parent.hash == block.parent_hash) {
            past
        } else {
            Vec::new()
        }
    }

    /// Appends a step to one log, after the confirmations of the log. `safe` and `finalized` equal
    /// `latest` here.
    fn take(&self, log: &EventLog, step: &Step) {
        let depth = match log.topic().finality {
            Finality::Confirmations(count) => count.get(),
            Finality::Latest | Finality::Safe | Finality::Finalized => 0,
        };
        match step {
            Step::Advance(block) if depth == 0 => {
                if log.head().is_none() {
                    log.seed(&self.past_of(block));
                }
                log.append(block.clone());
            }
            Step::Advance(block) => {
                let chain = self.chain();
                let place = chain.blocks.iter().position(|held| held.position == block.position);
                let settled = place.and_then(|place| place.checked_sub(usize::try_from(depth).ok()?));
                let new = settled
                    .and_then(|settled| chain.blocks.get(settled))
                    .filter(|block| log.head().is_none_or(|head| head.number < block.position.number));
                if let Some(block) = new {
                    log.append(block.clone());
                }
            }
            Step::Revert(to) if log.head().is_some_and(|head| head.number > to.number) => log.revert(*to),
            Step::Revert(_) => {}
        }
    }
}

/// A hash that contains the fork and the number.
fn hash(fork: u8, number: u64) -> BlockHash {
    let mut hash = [fork; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}
