//! Stores the orders of events. Every event is hostile input: anyone can create orders and set roots.
//!
//! An event of nexum has a budget of writes. The rest of its logs waits in the backlog, and later blocks
//! read these logs from the chain again. New logs do not wait for the backlog: logs may arrive in any
//! order of their blocks, and an owner's record has the position of its last root.

mod backlog;
mod leaves;
mod room;

use std::collections::BTreeSet;

use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Log, Result, clock, keccak256};

use crate::agenda;
use crate::contracts::{ConditionalOrderCreated, ConditionalOrderParams, MerkleRootSet, SwapGuardSet};
use crate::owners::{self, Location, OWNERS, Owner};
use crate::policy::Settings;
use crate::schedule::first_due;
use crate::skipped::{self, Skip, Skipped};
use crate::state::{self, Due, Key, LEAF, ORDERS, Order, Reason, SINGLE, STATES, State, Totals};
use leaves::Leaves;
use room::Largest;

/// Where to continue with a log: [`START`], [`SWEEP`], or one more than the index of a leaf.
type Cursor = u32;
const START: Cursor = 0;
const SWEEP: Cursor = u32::MAX;

/// The bytes that the orders of one event may write: a limit of nexum is 1 MiB, and polls write too.
const EVENT_BYTES_MAX: u64 = 640 * 1_024;

/// The operations of the store that one event may use before the rest of its logs waits: nexum allows
/// 10,000 by default, and polls take the rest.
const EVENT_OPERATIONS_MAX: u32 = 4_000;

/// The bytes that one event may read from the chain and in lists of keys before the rest waits: half of
/// the 16 MiB that nexum allows by default. Polls read up to 6 MiB. A root of 2,000 leaves has 6 MiB.
const READ_BYTES_MAX: u64 = 8 * 1_024 * 1_024;

/// The most operations of an order: to store it, to delete it, and to move it in the index.
const STORE_OPERATIONS: u32 = 12;
const DELETE_OPERATIONS: u32 = 10;
const MOVE_OPERATIONS: u32 = 6;

/// The least that each log may use: the record of its owner, and a place in the backlog.
const LOG_OPERATIONS: u32 = 4;
const LOG_BYTES: u64 = 400;

/// The bytes of the longest key of the store.
const KEY_BYTES: u64 = 160;

/// The most hashes of a proof: a tree of 2^32 leaves.
const PROOF_LEN_MAX: usize = 32;

/// An owner with more orders waits for its next poll after a new guard, ten minutes at most.
const GUARDED_ORDERS_MAX: u32 = 25;

/// Stores the orders of one event.
pub struct Indexer<'a> {
    settings: &'a Settings,
    totals: Totals,
    before: Totals,
    used: Used,
    /// The time of the host, in seconds. Only waits and the bounds of past orders follow from it.
    now: u64,
    /// A block, and its time in seconds if the node returns it.
    block_time: Option<(u64, Option<u64>)>,
    largest: Largest,
}

/// The parts of its budgets that an event has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub bytes: u64,
    pub operations: u32,
    pub read_bytes: u64,
    /// The requests to the chain.
    pub requests: u32,
}

/// The transaction and the block of an event.
type Source = (B256, u64);

impl<'a> Indexer<'a> {
    pub fn new(settings: &'a Settings) -> Result<Self> {
        let totals = state::totals()?;
        Ok(Self {
            settings,
            before: totals.clone(),
            totals,
            used: Used::default(),
            now: clock::now_ms() / 1_000,
            block_time: None,
            largest: Largest::default(),
        })
    }

    /// The logs of one block.
    pub async fn logs(mut self, logs: &[Log]) -> Result {
        self.logs_from(logs, 0, START).await?;
        self.finish()
    }

    fn finish(self) -> Result {
        match self.totals == self.before {
            true => Ok(()),
            false => state::TOTALS.set(&self.totals),
        }
    }

    fn is_full(&self) -> bool {
        self.used.bytes >= EVENT_BYTES_MAX
            || self.used.operations >= EVENT_OPERATIONS_MAX
            || self.used.read_bytes >= READ_BYTES_MAX
    }

    /// Handles the logs of a block from a position on, the first from a cursor on. The logs that the event
    /// has no room for wait.
    async fn logs_from(&mut self, logs: &[Log], start: usize, mut cursor: Cursor) -> Result {
        for (at, log) in logs.iter().enumerate().skip(start) {
            if let Some(rest) = self.log(log, at, cursor).await? {
                return self.wait(logs, at, rest);
            }
            cursor = START;
        }
        Ok(())
    }

    /// Handles a log. Returns where to continue if the event has no more room.
    async fn log(&mut self, log: &Log, at: usize, cursor: Cursor) -> Result<Option<Cursor>> {
        if self.is_full() {
            return Ok(Some(cursor));
        }
        self.used.bytes += LOG_BYTES;
        self.used.operations += LOG_OPERATIONS;
        if let Some(created) = log.decode::<ConditionalOrderCreated>() {
            self.insert(created.owner, created.params, None, log).await?;
        } else if let Some(set) = log.decode::<MerkleRootSet>() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            return self.root(&set, log, (log.block_number, at), cursor).await;
        } else if let Some(set) = log.decode::<SwapGuardSet>() {
            self.swap_guard(&set)?;
        } else {
            self.skip(Skip::Undecodable, Address::ZERO, B256::ZERO, source(log))?;
        }
        Ok(None)
    }

    async fn root(
        &mut self,
        set: &MerkleRootSet,
        log: &Log,
        position: (u64, u32),
        cursor: Cursor,
    ) -> Result<Option<Cursor>> {
        let location = location(&set.proof.location.saturating_to());
        let owner = OWNERS.get(&set.owner)?;
        if owner.as_ref().is_some_and(|owner| owner.root_position > position) {
            return Ok(None);
        }
        let has_leaves = location == Location::Emitted && !set.root.is_zero();
        let leaves = has_leaves.then(|| Leaves::read(&set.proof.data)).flatten();
        if cursor == START {
            *self.totals.roots.entry(location).or_default() += 1;
            if has_leaves && leaves.is_none() {
                self.skip(Skip::Undecodable, set.owner, set.root, source(log))?;
            } else if !has_leaves && !set.root.is_zero() {
                self.skip_root(location, set, log)?;
            }
        }
        if let Some(before) = owner.filter(|_| cursor == START) {
            let mut after = before.clone();
            after.root = set.root;
            after.root_position = position;
            after.location = Some(location);
            owners::write(&set.owner, Some(&before), &after)?;
            if before.root != set.root && !self.sweep(set, leaves)? {
                return Ok(Some(SWEEP));
            }
        }
        if cursor == SWEEP && !self.sweep(set, leaves)? {
            return Ok(Some(SWEEP));
        }
        let done = if cursor == SWEEP { 0 } else { cursor.saturating_sub(1) };
        let list = leaves.into_iter().flat_map(|leaves| leaves.from(done as usize));
        for (leaf, next) in list.zip(done + 1..) {
            if self.is_full() {
                return Ok(Some(next));
            }
            let Some(leaf) = leaf else {
                self.skip(Skip::Undecodable, set.owner, set.root, source(log))?;
                break;
            };
            self.leaf(leaf, set, log, position).await?;
        }
        Ok(None)
    }

    async fn leaf(&mut self, leaf: &[u8], set: &MerkleRootSet, log: &Log, position: (u64, u32)) -> Result {
        if !self.is_leaf_small(leaf) {
            return self.skip(Skip::InputTooLarge, set.owner, set.root, source(log));
        }
        let Some((proof, params)) = decode(leaf) else {
            return self.skip(Skip::Undecodable, set.owner, set.root, source(log));
        };
        if proof.is_empty() || proof.len() > PROOF_LEN_MAX {
            return self.skip(Skip::UnusableProof, set.owner, id(&params), source(log));
        }
        let leaf = Leaf {
            proof,
            root: set.root,
            position,
        };
        self.insert(set.owner, params, Some(leaf), log).await
    }

    /// Whether a leaf can have an input and a proof within the bounds.
    fn is_leaf_small(&self, leaf: &[u8]) -> bool {
        /// The offsets, lengths and other fields of a leaf.
        const OTHER_BYTES: usize = 512;
        leaf.len() <= self.settings.static_input_bytes_max + 32 * PROOF_LEN_MAX + OTHER_BYTES
    }

    /// Deletes the leaves of the owner's earlier roots that the new one does not have. Returns `false` if
    /// the event has no more room.
    fn sweep(&mut self, set: &MerkleRootSet, leaves: Option<Leaves>) -> Result<bool> {
        let keys = ORDERS.keys_under(&(set.owner, LEAF))?;
        self.used.read_bytes += keys.len() as u64 * KEY_BYTES;
        if keys.is_empty() {
            return Ok(true);
        }
        let list = leaves.into_iter().flat_map(|leaves| leaves.from(0)).flatten();
        let kept: BTreeSet<B256> = list
            .filter(|leaf| self.is_leaf_small(leaf))
            .filter_map(|leaf| decode(leaf).map(|(_, params)| id(&params)))
            .collect();
        for key in keys.iter().filter(|key| !kept.contains(&key.2)) {
            if self.is_full() {
                return Ok(false);
            }
            self.used.operations += DELETE_OPERATIONS;
            let Some(order) = ORDERS.get(key)? else { continue };
            self.used.bytes += order.bytes();
            agenda::delete(key, &order, &mut self.totals)?;
        }
        Ok(true)
    }

    /// A new guard may permit what the last one did not.
    fn swap_guard(&mut self, set: &SwapGuardSet) -> Result {
        let Some(before) = OWNERS.get(&set.owner)? else {
            return Ok(());
        };
        let mut owner = before.clone();
        owner.swap_guard = Some(set.swapGuard);
        owners::write(&set.owner, Some(&before), &owner)?;
        if owner.stored > GUARDED_ORDERS_MAX {
            return Ok(());
        }
        for entry in STATES.under(&set.owner)? {
            let (key, before) = entry?;
            self.used.operations += 1;
            if before.reason == Reason::SwapGuard && !before.has_ended() {
                self.used.operations += MOVE_OPERATIONS;
                let after = State {
                    due: Due::Time(0),
                    ..before.clone()
                };
                agenda::record(&key, Some(&before), &after)?;
            }
        }
        Ok(())
    }

    async fn insert(
        &mut self,
        owner: Address,
        params: ConditionalOrderParams,
        leaf: Option<Leaf>,
        log: &Log,
    ) -> Result {
        let key = (owner, if leaf.is_some() { LEAF } else { SINGLE }, id(&params));
        let position = leaf.as_ref().map(|leaf| leaf.position);
        let Leaf { proof, root, .. } = leaf.unwrap_or_default();
        let order = Order {
            handler: params.handler,
            salt: params.salt,
            input: params.staticInput,
            proof,
            root,
            transaction: log.transaction_hash,
            block: log.block_number,
        };
        self.used.operations += STORE_OPERATIONS;
        let mut before = STATES.get(&key)?;
        let mut known = OWNERS.get(&owner)?;
        let is_live = before.as_ref().is_some_and(|state| !state.has_ended());
        if let Some(reason) = self.refusal(&key, &order, known.as_ref(), is_live).await {
            return self.skip(reason, owner, key.2, source(log));
        }
        if !is_live && !self.has_room(order.bytes()) {
            let mut grown = known.unwrap_or_default();
            grown.bytes += order.bytes();
            if !self.make_room(grown.class(), order.bytes())? {
                return self.skip(Skip::StoreFull, owner, key.2, source(log));
            }
            (before, known) = (STATES.get(&key)?, OWNERS.get(&owner)?);
        }
        self.store(&key, &order, position, (before, known))
    }

    /// Stores an order, which may have a state and whose owner may have a record.
    fn store(
        &mut self,
        key: &Key,
        order: &Order,
        position: Option<(u64, u32)>,
        (before, known): (Option<State>, Option<Owner>),
    ) -> Result {
        let earlier = match before.is_some() {
            true => ORDERS.get(key)?.map(|order| order.bytes()),
            false => None,
        };
        let resize = |bytes: u64| (bytes + order.bytes()).saturating_sub(earlier.unwrap_or_default());
        let mut owner = known.clone().unwrap_or_default();
        owner.bytes = resize(owner.bytes);
        self.totals.bytes = resize(self.totals.bytes);
        self.used.bytes += order.bytes();
        if earlier.is_none() {
            owner.stored = owner.stored.saturating_add(1);
            self.totals.orders += 1;
        }
        if before.as_ref().is_none_or(State::has_ended) {
            owner.count_live(order.handler(), true);
            self.totals.count_live(order.handler(), true);
        }
        if let Some(position) = position {
            owner.root = order.root;
            owner.root_position = position;
            owner.location = Some(Location::Emitted);
        }
        owners::write(&key.0, known.as_ref(), &owner)?;
        let mut after = State::new(Due::Time(first_due(order.handler(), &order.input, 0)), 0);
        if let Some(before) = &before {
            after.finished.clone_from(&before.finished);
            after.part = before.part;
            after.posted = before.posted;
        }
        ORDERS.set(key, order)?;
        agenda::record(key, before.as_ref(), &after)
    }

    fn skip(&mut self, reason: Skip, owner: Address, id: B256, source: Source) -> Result {
        self.note(reason, None, (owner, id), source)
    }

    fn skip_root(&mut self, location: Location, set: &MerkleRootSet, log: &Log) -> Result {
        let (owner, root) = (set.owner, set.root);
        self.note(Skip::LeavesElsewhere, Some(location), (owner, root), source(log))
    }

    fn note(
        &mut self,
        reason: Skip,
        location: Option<Location>,
        (owner, id): (Address, B256),
        (transaction, block): Source,
    ) -> Result {
        /// The bytes and operations of a record of a skipped event.
        const SKIPPED_BYTES: u64 = 300;
        const SKIPPED_OPERATIONS: u32 = 3;

        self.used.bytes += SKIPPED_BYTES;
        self.used.operations += SKIPPED_OPERATIONS;
        let number = self.totals.skipped.values().sum();
        *self.totals.skipped.entry(reason).or_default() += 1;
        skipped::note(&Skipped {
            number,
            owner,
            id,
            transaction,
            block,
            reason,
            location,
        })
    }
}

/// The place of an order in a tree.
#[derive(Default)]
struct Leaf {
    proof: Vec<B256>,
    root: B256,
    /// The block of the root's event, and the position of the event in the block.
    position: (u64, u32),
}

/// The proof and the order of a leaf.
fn decode(leaf: &[u8]) -> Option<(Vec<B256>, ConditionalOrderParams)> {
    <(Vec<B256>, ConditionalOrderParams)>::abi_decode_params(leaf).ok()
}

fn source(log: &Log) -> Source {
    (log.transaction_hash, log.block_number)
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
