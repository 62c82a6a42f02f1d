//! Stores the orders of events. Every event is hostile input: anyone can create orders and set roots.
//!
//! An event of nexum has a budget of writes. The rest of its logs waits in the backlog, and later events
//! read these logs from the chain again.

use nexum_sdk::chain::Filter;
use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Chain, Log, Result, clock, keccak256, store};
use serde::{Deserialize, Serialize};

use crate::agenda;
use crate::contracts::{ConditionalOrderCreated, ConditionalOrderParams, MerkleRootSet, SwapGuardSet};
use crate::leaves::leaves;
use crate::policy::{Action, Settings};
use crate::schedule::{first_due, last_second};
use crate::state::{
    self, Due, Key, LEAF, Location, ORDERS, OWNERS, Order, Reason, SINGLE, SKIPPED, SKIPPED_MAX, STATES, Skip, Skipped,
    State, Totals,
};

/// The logs that wait: the first one of a block, by number and index. All later logs of the block wait
/// too.
const BACKLOG: store::Map<(u64, u32), Waiting> = store::Map::new("backlog");

/// A log that waits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Waiting {
    transaction: B256,
    cursor: Cursor,
    /// The reads of the chain that did not find the log.
    failures: u32,
}

/// Where to continue with a log: [`START`], [`SWEEP`], or two more than the index of a leaf.
type Cursor = u32;
const START: Cursor = 0;
const SWEEP: Cursor = 1;
const LEAVES: Cursor = 2;

/// The reads that look for a log that the chain had before: more than a day of blocks. A node that lags
/// gives wrong answers, and a log that a reorganisation removes leaves the backlog too.
const READS_MAX: u32 = 10_000;

/// The blocks of the backlog that one event reads, and their bytes.
const BACKLOG_BLOCKS_MAX: usize = 20;
const BACKLOG_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// The room that each log takes, also one that stores nothing.
const LOG_BYTES: u64 = 250;
const LOG_OPERATIONS: u32 = 5;

/// How long the order of a new event may be over, in seconds. At its first start, nexum reads the logs of
/// years, and an order that is over would take the place of others. The time is the clock's: it decides
/// nothing else.
const OVER_SECONDS: u64 = 86_400;

/// The bytes that the orders of one event may write: a limit of nexum is 1 MiB, and polls write too.
const EVENT_BYTES_MAX: u64 = 640 * 1_024;

/// The operations of the store that one event may use before the rest of its logs waits: nexum allows
/// 10,000 by default. A sweep takes one more for each leaf of its owner, and polls take the rest.
const EVENT_OPERATIONS_MAX: u32 = 4_000;

/// The most operations of an order: to store it, and to move it in the index.
const STORE_OPERATIONS: u32 = 10;
const MOVE_OPERATIONS: u32 = 8;
/// The bytes of a state and its move in the index.
const MOVE_BYTES: u64 = 900;

/// The most hashes of a proof: a tree of 2^32 leaves.
const PROOF_LEN_MAX: usize = 32;

/// Stores the orders of one event.
pub struct Indexer<'a> {
    settings: &'a Settings,
    totals: Totals,
    before: Totals,
    written: Written,
}

/// The parts of its budgets that an event has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    pub operations: u32,
}

impl<'a> Indexer<'a> {
    pub fn new(settings: &'a Settings) -> Result<Self> {
        let totals = state::totals()?;
        Ok(Self {
            settings,
            before: totals.clone(),
            totals,
            written: Written::default(),
        })
    }

    /// The logs of one block, after the backlog.
    pub async fn logs(mut self, logs: &[Log]) -> Result {
        let has_room = self.drain().await?;
        match logs.first() {
            Some(first) if !has_room => wait(first, START)?,
            _ => {
                self.logs_from(logs, START)?;
            }
        }
        self.finish()
    }

    /// As much of the backlog as the event has room for.
    pub async fn backlog(mut self) -> Result<Written> {
        self.drain().await?;
        let written = self.written;
        self.finish()?;
        Ok(written)
    }

    fn finish(self) -> Result {
        match self.totals == self.before {
            true => Ok(()),
            false => state::TOTALS.set(&self.totals),
        }
    }

    /// Whether there are logs that wait.
    pub fn has_backlog() -> Result<bool> {
        Ok(!BACKLOG.keys()?.is_empty())
    }

    fn is_full(&self) -> bool {
        self.written.bytes >= EVENT_BYTES_MAX || self.written.operations >= EVENT_OPERATIONS_MAX
    }

    /// Continues with the logs that wait. Returns whether the event has room for more.
    async fn drain(&mut self) -> Result<bool> {
        let filter = Filter::new().address(self.settings.composable_cow);
        let mut bytes = 0;
        for (blocks, position) in BACKLOG.keys()?.into_iter().enumerate() {
            if self.is_full() || blocks >= BACKLOG_BLOCKS_MAX || bytes >= BACKLOG_BYTES_MAX {
                return Ok(false);
            }
            let Some(waiting) = BACKLOG.get(&position)? else {
                continue;
            };
            let (block, log_index) = position;
            let logs = Chain::new(self.settings.chain_id).at(block).logs(&filter).await;
            let logs = logs.unwrap_or_default();
            bytes += logs.iter().map(|log| log.data.len()).sum::<usize>();
            let is_first = |log: &Log| log.log_index == log_index && log.transaction_hash == waiting.transaction;
            let from = logs.iter().position(is_first);
            match from.and_then(|from| logs.get(from..)) {
                Some(logs) => {
                    BACKLOG.remove(&position)?;
                    if !self.logs_from(logs, waiting.cursor)? {
                        return Ok(false);
                    }
                }
                None => self.missing(position, waiting)?,
            }
        }
        Ok(true)
    }

    /// Notes that the chain does not give a log. The others of the backlog do not wait for it.
    fn missing(&mut self, position: (u64, u32), mut waiting: Waiting) -> Result {
        self.written.operations += LOG_OPERATIONS;
        waiting.failures = waiting.failures.saturating_add(1);
        if waiting.failures < READS_MAX {
            return BACKLOG.set(&position, &waiting);
        }
        BACKLOG.remove(&position)?;
        let log = Log {
            block_number: position.0,
            transaction_hash: waiting.transaction,
            ..Log::default()
        };
        self.skip(Skip::EventMissing, Address::ZERO, B256::ZERO, &log)
    }

    /// Handles logs, the first from a cursor on. Returns `false` if the rest waits in the backlog.
    fn logs_from(&mut self, logs: &[Log], mut cursor: Cursor) -> Result<bool> {
        for log in logs.iter().filter(|log| log.address == self.settings.composable_cow) {
            if let Some(rest) = self.log(log, cursor)? {
                wait(log, rest)?;
                return Ok(false);
            }
            cursor = START;
        }
        Ok(true)
    }

    /// Handles a log. Returns where to continue if the event has no more room.
    fn log(&mut self, log: &Log, cursor: Cursor) -> Result<Option<Cursor>> {
        if self.is_full() {
            return Ok(Some(cursor));
        }
        self.written.bytes += LOG_BYTES;
        self.written.operations += LOG_OPERATIONS;
        if let Some(created) = log.decode::<ConditionalOrderCreated>() {
            self.insert(created.owner, SINGLE, created.params, Leaf::default(), log)?;
        } else if let Some(set) = log.decode::<MerkleRootSet>() {
            return self.root(&set, log, cursor);
        } else if let Some(set) = log.decode::<SwapGuardSet>() {
            self.swap_guard(&set)?;
        } else {
            self.skip(Skip::Undecodable, Address::ZERO, B256::ZERO, log)?;
        }
        Ok(None)
    }

    fn root(&mut self, set: &MerkleRootSet, log: &Log, cursor: Cursor) -> Result<Option<Cursor>> {
        let location = location(set.proof.location.saturating_to());
        let at = (log.block_number, log.log_index);
        let owner = OWNERS.get(&set.owner)?;
        // A later root came first, because this one waited.
        if owner.as_ref().is_some_and(|owner| owner.root_at > at) {
            return Ok(None);
        }
        if cursor == START {
            if owner.is_none() && self.totals.bytes >= self.settings.stored_bytes_max {
                self.skip(Skip::StoreFull, set.owner, set.root, log)?;
                return Ok(None);
            }
            agenda::change_owner(&set.owner, &mut self.totals, |owner| {
                owner.root = set.root;
                owner.root_at = at;
                owner.location = Some(location);
            })?;
            *self.totals.roots.entry(location).or_default() += 1;
        }
        if cursor < LEAVES && !self.sweep(set)? {
            return Ok(Some(SWEEP));
        }
        if location != Location::Emitted || set.root.is_zero() {
            return Ok(None);
        }
        let Some(leaves) = leaves(&set.proof.data) else {
            self.skip(Skip::Undecodable, set.owner, set.root, log)?;
            return Ok(None);
        };
        let done = cursor.saturating_sub(LEAVES);
        for (leaf, next) in leaves.skip(done as usize).zip(cursor.max(LEAVES)..) {
            if self.is_full() {
                return Ok(Some(next));
            }
            self.leaf(leaf, set, log)?;
        }
        Ok(None)
    }

    fn leaf(&mut self, leaf: Option<&[u8]>, set: &MerkleRootSet, log: &Log) -> Result {
        /// The bytes of a leaf beside its input: the longest proof, and the words of lengths and offsets.
        const LEAF_BYTES_MAX: usize = 32 * (PROOF_LEN_MAX + 10);

        // Leaves may overlap, so that each of them could be as long as the event.
        if leaf.is_some_and(|leaf| leaf.len() > self.settings.static_input_bytes_max + LEAF_BYTES_MAX) {
            return self.skip(Skip::InputTooLarge, set.owner, set.root, log);
        }
        let decoded = leaf.map(<(Vec<B256>, ConditionalOrderParams)>::abi_decode_params);
        let Some(Ok((proof, params))) = decoded else {
            return self.skip(Skip::Undecodable, set.owner, set.root, log);
        };
        if proof.is_empty() || proof.len() > PROOF_LEN_MAX {
            return self.skip(Skip::UnusableProof, set.owner, id(&params), log);
        }
        self.insert(set.owner, LEAF, params, Leaf { proof, root: set.root }, log)
    }

    /// Ends the leaves of the owner's earlier roots. Their records stay for a while: a leaf that the new
    /// root has too goes on with its known parts. Returns whether all have ended.
    fn sweep(&mut self, set: &MerkleRootSet) -> Result<bool> {
        /// How long the records stay, by the clock, in seconds.
        const KEEP_SECONDS: u64 = 3_600;

        let until = clock_seconds() + KEEP_SECONDS;
        let mut read = 0;
        let mut is_done = true;
        for entry in STATES.under(&(set.owner, LEAF))? {
            let (key, before) = entry?;
            read += 1;
            if before.has_ended() {
                continue;
            }
            if self.is_full() {
                is_done = false;
                break;
            }
            self.written.bytes += MOVE_BYTES;
            self.written.operations += MOVE_OPERATIONS;
            let Some(order) = ORDERS.get(&key)? else { continue };
            if order.root != set.root {
                let mut after = before.clone();
                after.end(Reason::RootReplaced, "", before.since, until);
                agenda::write(&key, order.handler(), Some(&before), &after, &mut self.totals)?;
            }
        }
        self.written.operations += read;
        Ok(is_done)
    }

    /// A new guard may permit what the last one did not.
    fn swap_guard(&mut self, set: &SwapGuardSet) -> Result {
        let Some(mut owner) = OWNERS.get(&set.owner)? else {
            return Ok(());
        };
        owner.swap_guard = Some(set.swapGuard);
        OWNERS.set(&set.owner, &owner)?;
        for entry in STATES.under(&set.owner)? {
            // The orders beyond the limit are polled within minutes anyway.
            if self.is_full() {
                break;
            }
            let (key, before) = entry?;
            self.written.operations += 1;
            if before.reason == Reason::SwapGuard && !before.has_ended() {
                self.written.bytes += MOVE_BYTES;
                self.written.operations += MOVE_OPERATIONS;
                let handler = ORDERS.get(&key)?.map(|order| order.handler());
                let after = State {
                    due: Due::Time(0),
                    ..before.clone()
                };
                if let Some(handler) = handler {
                    agenda::write(&key, handler, Some(&before), &after, &mut self.totals)?;
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, owner: Address, kind: u8, params: ConditionalOrderParams, leaf: Leaf, log: &Log) -> Result {
        let key = (owner, kind, id(&params));
        let order = Order {
            handler: params.handler,
            salt: params.salt,
            input: params.staticInput,
            proof: leaf.proof,
            root: leaf.root,
            transaction: log.transaction_hash,
            block: log.block_number,
        };
        self.written.operations += STORE_OPERATIONS;
        let before = STATES.get(&key)?;
        let is_live = before.as_ref().is_some_and(|state| !state.has_ended());
        if let Some(reason) = self.refusal(&key, &order, is_live)? {
            return self.skip(reason, owner, key.2, log);
        }
        let earlier = ORDERS.get(&key)?.map(|order| order.bytes());
        if earlier.is_none() {
            self.totals.orders += 1;
            agenda::change_owner(&owner, &mut self.totals, |owner| {
                owner.stored = owner.stored.saturating_add(1)
            })?;
        }
        self.totals.bytes = (self.totals.bytes + order.bytes()).saturating_sub(earlier.unwrap_or_default());
        self.written.bytes += order.bytes();
        let mut after = State::new(Due::Time(first_due(order.handler(), &order.input, 0)), 0);
        if let Some(before) = &before {
            after.finished.clone_from(&before.finished);
            after.part = before.part;
            after.posted = before.posted;
        }
        ORDERS.set(&key, &order)?;
        agenda::write(&key, order.handler(), before.as_ref(), &after, &mut self.totals)
    }

    /// Why an order is not stored.
    fn refusal(&self, key: &Key, order: &Order, is_live: bool) -> Result<Option<Skip>> {
        let settings = self.settings;
        let handler = order.handler();
        let over = clock_seconds().saturating_sub(OVER_SECONDS);
        if order.input.len() > settings.static_input_bytes_max {
            return Ok(Some(Skip::InputTooLarge));
        }
        if settings.action(key, order) == Action::Drop {
            return Ok(Some(Skip::Policy));
        }
        if last_second(handler, &order.input).is_some_and(|end| end < over) {
            return Ok(Some(Skip::Over));
        }
        if self.totals.bytes.saturating_add(order.bytes()) > settings.stored_bytes_max {
            return Ok(Some(Skip::StoreFull));
        }
        if is_live {
            return Ok(None);
        }
        let owner = OWNERS.get(&key.0)?.unwrap_or_default();
        let is_unknown = !handler.is_known();
        if is_unknown
            && (self.totals.unknown >= settings.unknown_orders_max || owner.unknown >= settings.unknown_per_owner_max)
        {
            return Ok(Some(Skip::TooManyOfUnknownHandlers));
        }
        // An ended order keeps its record, and a sweep reads all records of an owner.
        let is_full = owner.live >= settings.orders_per_owner_max
            || owner.stored >= settings.orders_per_owner_max.saturating_mul(2);
        Ok(is_full.then_some(Skip::TooManyOfOwner))
    }

    fn skip(&mut self, reason: Skip, owner: Address, id: B256, log: &Log) -> Result {
        /// The bytes that a record of a skipped event takes.
        const SKIPPED_BYTES: u64 = 200;

        self.written.bytes += SKIPPED_BYTES;
        self.written.operations += 1;
        let number: u64 = self.totals.skipped.values().sum();
        *self.totals.skipped.entry(reason).or_default() += 1;
        let skipped = Skipped {
            owner,
            id,
            transaction: log.transaction_hash,
            block: log.block_number,
            reason,
        };
        SKIPPED.set(&(number % SKIPPED_MAX), &skipped)
    }
}

/// The place of an order in a tree. The default is a single order.
#[derive(Default)]
struct Leaf {
    proof: Vec<B256>,
    root: B256,
}

/// The id of an order.
pub fn id(params: &ConditionalOrderParams) -> B256 {
    keccak256(params.abi_encode())
}

/// Keeps a log and all later ones of its block for later events.
fn wait(log: &Log, cursor: Cursor) -> Result {
    let waiting = Waiting {
        transaction: log.transaction_hash,
        cursor,
        failures: 0,
    };
    BACKLOG.set(&(log.block_number, log.log_index), &waiting)
}

fn clock_seconds() -> u64 {
    clock::now_ms() / 1_000
}

fn location(number: u64) -> Location {
    match number {
        0 => Location::Private,
        1 => Location::Emitted,
        2 => Location::Swarm,
        3 => Location::Waku,
        4 => Location::Reserved,
        5 => Location::Ipfs,
        _ => Location::Unknown,
    }
}
