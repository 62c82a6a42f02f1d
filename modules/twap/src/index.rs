//! Stores the orders of events. Every event is hostile input: anyone can create orders and set roots.
//!
//! An event of nexum has a budget of writes. The rest of its logs waits in the backlog, and later events
//! read these logs from the chain again.

use nexum_sdk::chain::Filter;
use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Bytes, Chain, Log, Result, keccak256, store};

use crate::contracts::{ConditionalOrderCreated, ConditionalOrderParams, MerkleRootSet, SwapGuardSet};
use crate::policy::{Action, Settings};
use crate::schedule::first_due;
use crate::state::{
    self, Due, Key, LEAF, Location, ORDERS, OWNERS, Order, Reason, SINGLE, SKIPPED, SKIPPED_MAX, STATES, Skip, Skipped,
    State, Totals,
};

/// The logs that wait: the first one of a block, and where to continue with it. All later logs of the
/// block wait too.
const BACKLOG: store::Map<(u64, u32), Cursor> = store::Map::new("backlog");

/// Where to continue with a log: [`START`], one more than the index of a leaf, or [`SWEEP`].
type Cursor = u32;
const START: Cursor = 0;
const SWEEP: Cursor = u32::MAX;

/// The bytes that the orders of one event may write: a limit of nexum is 1 MiB, and polls write too.
const EVENT_BYTES_MAX: u64 = 640 * 1_024;

/// The operations of the store that one event may use before the rest of its logs waits: nexum allows
/// 10,000 by default. A sweep takes one more for each leaf of its owner, and polls take the rest.
const EVENT_OPERATIONS_MAX: u32 = 4_000;

/// The most operations of an order: to store it, to delete it, and to move it in the index.
const STORE_OPERATIONS: u32 = 10;
const DELETE_OPERATIONS: u32 = 8;
const MOVE_OPERATIONS: u32 = 6;

/// The most hashes of a proof: a tree of 2^32 leaves.
const PROOF_LEN_MAX: usize = 32;

/// Stores the orders of one event.
pub struct Indexer<'a> {
    settings: &'a Settings,
    totals: Totals,
    before: Totals,
    written: Written,
}

/// What an event has used of its budgets.
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
        let is_empty = self.drain().await?;
        match logs.first() {
            Some(first) if !is_empty => BACKLOG.set(&(first.block_number, first.log_index), &START)?,
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

    /// Continues with the logs that wait. Returns whether none waits any more.
    async fn drain(&mut self) -> Result<bool> {
        let filter = Filter::new().address(self.settings.composable_cow);
        for position in BACKLOG.keys()? {
            if self.is_full() {
                return Ok(false);
            }
            let (block, log_index) = position;
            let cursor = BACKLOG.get(&position)?.unwrap_or(START);
            let logs = match Chain::new(self.settings.chain_id).at(block).logs(&filter).await {
                Ok(logs) => logs,
                Err(error) if error.is_retryable() => return Ok(false),
                Err(_) => Vec::new(),
            };
            BACKLOG.remove(&position)?;
            let from = logs.iter().position(|log| log.log_index == log_index);
            match from.and_then(|from| logs.get(from..)) {
                Some(logs) if !self.logs_from(logs, cursor)? => return Ok(false),
                Some(_) => {}
                None => self.skip(
                    Skip::EventMissing,
                    Address::ZERO,
                    B256::ZERO,
                    &Log {
                        block_number: block,
                        ..Log::default()
                    },
                )?,
            }
        }
        Ok(true)
    }

    /// Handles logs, the first from a cursor on. Returns `false` if the rest waits in the backlog.
    fn logs_from(&mut self, logs: &[Log], mut cursor: Cursor) -> Result<bool> {
        for log in logs.iter().filter(|log| log.address == self.settings.composable_cow) {
            if let Some(rest) = self.log(log, cursor)? {
                BACKLOG.set(&(log.block_number, log.log_index), &rest)?;
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
        let location = location(&set.proof.location.saturating_to());
        if cursor == START {
            let is_new = OWNERS.get(&set.owner)?.is_none();
            if is_new && self.totals.bytes >= self.settings.stored_bytes_max {
                self.skip(Skip::StoreFull, set.owner, set.root, log)?;
                return Ok(None);
            }
            OWNERS.update(&set.owner, |owner| {
                owner.root = set.root;
                owner.location = Some(location);
            })?;
            *self.totals.roots.entry(location).or_default() += 1;
        }
        if cursor != SWEEP && location == Location::Emitted && !set.root.is_zero() {
            let Ok(leaves) = Vec::<Bytes>::abi_decode(&set.proof.data) else {
                self.skip(Skip::Undecodable, set.owner, set.root, log)?;
                return self.sweep(set);
            };
            let done = cursor.saturating_sub(1) as usize;
            for (leaf, next) in leaves.iter().skip(done).zip(cursor.max(1)..) {
                if self.is_full() {
                    return Ok(Some(next));
                }
                self.leaf(leaf, set, log)?;
            }
        }
        self.sweep(set)
    }

    fn leaf(&mut self, leaf: &[u8], set: &MerkleRootSet, log: &Log) -> Result {
        let Ok((proof, params)) = <(Vec<B256>, ConditionalOrderParams)>::abi_decode_params(leaf) else {
            return self.skip(Skip::Undecodable, set.owner, set.root, log);
        };
        if proof.is_empty() || proof.len() > PROOF_LEN_MAX {
            return self.skip(Skip::UnusableProof, set.owner, id(&params), log);
        }
        self.insert(set.owner, LEAF, params, Leaf { proof, root: set.root }, log)
    }

    /// Deletes the leaves of the owner's earlier roots.
    fn sweep(&mut self, set: &MerkleRootSet) -> Result<Option<Cursor>> {
        let mut read = 0;
        let mut rest = None;
        for entry in ORDERS.under(&(set.owner, LEAF))? {
            let (key, order) = entry?;
            read += 1;
            if order.root == set.root {
                continue;
            }
            if self.is_full() {
                rest = Some(SWEEP);
                break;
            }
            self.written.bytes += order.bytes();
            self.written.operations += DELETE_OPERATIONS;
            state::delete(&key, &order, &mut self.totals)?;
        }
        self.written.operations += read;
        Ok(rest)
    }

    /// A new guard may permit what the last one did not.
    fn swap_guard(&mut self, set: &SwapGuardSet) -> Result {
        let Some(mut owner) = OWNERS.get(&set.owner)? else {
            return Ok(());
        };
        owner.swap_guard = set.swapGuard;
        OWNERS.set(&set.owner, &owner)?;
        for entry in STATES.under(&set.owner)? {
            // The orders beyond the limit are polled within minutes anyway.
            if self.is_full() {
                break;
            }
            let (key, before) = entry?;
            self.written.operations += 1;
            if before.reason == Reason::SwapGuard && !before.has_ended() {
                self.written.operations += MOVE_OPERATIONS;
                let handler = ORDERS.get(&key)?.map(|order| order.handler());
                let after = State {
                    due: Due::Time(0),
                    ..before.clone()
                };
                if let Some(handler) = handler {
                    state::write(&key, handler, Some(&before), &after, &mut self.totals)?;
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
        self.totals.orders += u64::from(earlier.is_none());
        self.totals.bytes = (self.totals.bytes + order.bytes()).saturating_sub(earlier.unwrap_or_default());
        self.written.bytes += order.bytes();
        let mut after = State::new(Due::Time(first_due(order.handler(), &order.input, 0)), 0);
        if let Some(before) = &before {
            after.finished.clone_from(&before.finished);
            after.part = before.part;
            after.posted = before.posted;
        }
        ORDERS.set(&key, &order)?;
        state::write(&key, order.handler(), before.as_ref(), &after, &mut self.totals)
    }

    /// Why an order is not stored.
    fn refusal(&self, key: &Key, order: &Order, is_live: bool) -> Result<Option<Skip>> {
        let Settings {
            static_input_bytes_max,
            orders_per_owner_max,
            ..
        } = *self.settings;
        if order.input.len() > static_input_bytes_max {
            return Ok(Some(Skip::InputTooLarge));
        }
        if self.settings.action(key, order) == Action::Drop {
            return Ok(Some(Skip::Policy));
        }
        if self.totals.bytes.saturating_add(order.bytes()) > self.settings.stored_bytes_max {
            return Ok(Some(Skip::StoreFull));
        }
        if is_live {
            return Ok(None);
        }
        if !order.handler().is_known() && self.totals.unknown >= self.settings.unknown_orders_max {
            return Ok(Some(Skip::TooManyOfUnknownHandlers));
        }
        let live = OWNERS.get(&key.0)?.unwrap_or_default().live;
        Ok((live >= orders_per_owner_max).then_some(Skip::TooManyOfOwner))
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

fn location(number: &u64) -> Location {
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
