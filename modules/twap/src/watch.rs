//! The work at a block: finds what is due, polls it, and notes the time of the next look.

use std::collections::BTreeMap;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::cow::Domain;
use nexum_sdk::sol_types::{SolCall, SolValue};
use nexum_sdk::{Address, B256, Block, Bytes, Result, store};

use crate::agenda;
use crate::contracts::{Handler, cabinetCall, getTradeableOrderWithSignatureCall};
use crate::index::{Indexer, Written};
use crate::offer::Offer;
use crate::policy::{Action, Settings};
use crate::poll::{Poller, Question, received};
use crate::schedule::{Twap, first_due, last_second};
use crate::state::{self, Due, Key, LEAF, ORDERS, OWNERS, Order, Reason, STATES, State, Totals};
use crate::verdict::{Answer, Verdict, Wait, start_of_cabinet, verdict};

/// The orders that one block polls: six requests.
const POLLS_MAX: usize = 1_000;

/// The operations of the store that one event uses, a little less than nexum's default of 10,000.
const OPERATIONS_MAX: u32 = 9_500;

/// The most operations of the store for a poll, with the move in the index.
const POLL_OPERATIONS: u32 = 9;

/// The bytes that one event may write, a little less than nexum's default of 1 MiB.
const WRITTEN_BYTES_MAX: u64 = 1_000_000;

/// The bytes that the state of an order takes with its moves in the index, at most.
const STATE_BYTES_MAX: u64 = 1_000;

/// The ended orders that one block deletes.
const PRUNED_MAX: usize = 50;

/// The waits after polls without a hint, in seconds.
const NO_HINT_SECONDS: [u64; 3] = [60, 600, 3_600];

/// How long an order is polled without a hint, in seconds.
const NO_HINT_SECONDS_MAX: u64 = 86_400;

/// The polls of an unknown handler without an order before their waits grow.
const POLLS_WITHOUT_ORDER_MAX: u32 = 8;

/// The time of a block in a wait that grows, in seconds.
const BLOCK_SECONDS: u64 = 12;

/// The seconds until the next look at an order that the policy skips, or that `retry` keeps alive.
const HOUR_SECONDS: u64 = 3_600;

/// The ids of `retry` that were handled.
const RETRIED: store::Cell<Vec<B256>> = store::Cell::new("retried");

/// An order that is due.
pub struct Watched {
    pub key: Key,
    pub order: Order,
    pub handler: Handler,
    pub state: State,
    before: State,
}

/// The next step for an order that is due.
enum Stage {
    Done,
    Poll,
    Quote,
}

/// The work of one block.
pub struct Round<'a> {
    pub settings: &'a Settings,
    pub block: Block,
    /// The time of the block in seconds.
    pub now: u64,
    pub domain: Domain,
    pub poller: Poller,
    pub totals: Totals,
    /// The requests to the order book.
    pub requests: u32,
    roots: BTreeMap<Address, B256>,
}

/// Handles a block.
pub async fn block(settings: &Settings, domain: Domain, block: Block) -> Result {
    let now = block.timestamp / 1_000;
    let written = match Indexer::has_backlog()? {
        true => Indexer::new(settings)?.backlog().await?,
        false => Written::default(),
    };
    if !settings.retry.is_empty() {
        revive(settings)?;
    }
    let totals = state::totals()?;
    // Four fifths: room for the orders of some blocks.
    let is_nearly_full = totals.bytes > settings.stored_bytes_max / 5 * 4;
    agenda::prune(now, is_nearly_full, PRUNED_MAX)?;
    let bytes = WRITTEN_BYTES_MAX.saturating_sub(written.bytes) / STATE_BYTES_MAX;
    let operations = OPERATIONS_MAX.saturating_sub(written.operations) / POLL_OPERATIONS;
    let room = u64::from(operations).min(bytes);
    let count = usize::try_from(room).map_or(POLLS_MAX, |room| room.min(POLLS_MAX));
    let keys = agenda::due(block.number, now, count)?;
    if keys.is_empty() {
        return Ok(());
    }
    let round = Round {
        settings,
        block,
        now,
        domain,
        poller: Poller::new(block.chain()),
        totals: state::totals()?,
        requests: 0,
        roots: BTreeMap::new(),
    };
    round.run(keys).await
}

/// Makes ended orders due that the operator has added to `retry`.
fn revive(settings: &Settings) -> Result {
    let handled = RETRIED.get()?.unwrap_or_default();
    if handled == settings.retry {
        return Ok(());
    }
    let mut totals = state::totals()?;
    for key in STATES.keys()? {
        if !settings.retry.contains(&key.2) || handled.contains(&key.2) {
            continue;
        }
        if let (Some(order), Some(before)) = (ORDERS.get(&key)?, STATES.get(&key)?) {
            let after = State {
                due: Due::Time(0),
                ..before.clone()
            };
            agenda::write(&key, order.handler(), Some(&before), &after, &mut totals)?;
        }
    }
    state::TOTALS.set(&totals)?;
    RETRIED.set(&settings.retry)
}

impl Round<'_> {
    /// Known handlers come first, because others can use up what an event may receive. Quotes come last,
    /// because they can use up its time.
    async fn run(mut self, keys: Vec<Key>) -> Result {
        let before = self.totals.clone();
        let mut stages: [Vec<Watched>; 4] = Default::default();
        let [done, known, unknown, to_quote] = &mut stages;
        for key in keys {
            let Some(mut order) = load(key)? else { continue };
            match self.stage(&mut order)? {
                Stage::Done => done.push(order),
                Stage::Quote => to_quote.push(order),
                Stage::Poll if order.handler.is_known() => known.push(order),
                Stage::Poll => unknown.push(order),
            }
        }
        // An event polls only some of them. Handlers that give no order come last.
        unknown.sort_by_key(|order| order.state.polls);
        for (orders, bytes_max) in [(known, received::KNOWN_POLLS), (unknown, received::UNKNOWN_POLLS)] {
            let offers = self.poll(orders, bytes_max).await;
            self.place(orders, offers).await?;
        }
        self.quotes(to_quote)?;
        for order in stages.iter().flatten() {
            agenda::write(
                &order.key,
                order.handler,
                Some(&order.before),
                &order.state,
                &mut self.totals,
            )?;
        }
        match self.totals == before {
            true => Ok(()),
            false => state::TOTALS.set(&self.totals),
        }
    }

    /// The next stage of an order. [`Stage::Done`]: the time of its next look is set.
    fn stage(&mut self, order: &mut Watched) -> Result<Stage> {
        let now = self.now;
        let input = &order.order.input;
        let end = last_second(order.handler, input);
        let first = first_due(order.handler, input, now);
        if self.settings.action(&order.key, &order.order) != Action::Accept {
            order.state.set(Reason::Policy, "", now);
            order.state.due = Due::Time(now + HOUR_SECONDS);
        } else if order.key.1 == LEAF && self.root(order.key.0)? != order.order.root {
            self.end(order, Reason::RootReplaced, "");
        } else if end.is_some_and(|end| end < now) {
            self.end(order, Reason::Finished, "");
        } else if first > now {
            order.state.due = Due::Time(first);
        } else if order.handler == Handler::GoodAfterTime && order.state.quote.is_none() && end.is_some() {
            return Ok(Stage::Quote);
        } else {
            return Ok(Stage::Poll);
        }
        Ok(Stage::Done)
    }

    fn root(&mut self, owner: Address) -> Result<B256> {
        if let Some(root) = self.roots.get(&owner) {
            return Ok(*root);
        }
        let root = OWNERS.get(&owner)?.unwrap_or_default().root;
        self.roots.insert(owner, root);
        Ok(root)
    }

    /// Polls orders. Returns the offered discrete orders, with the indices of their conditional orders.
    async fn poll(&mut self, orders: &mut [Watched], bytes_max: usize) -> Vec<(usize, Offer)> {
        let questions: Vec<Question> = orders.iter().map(|order| self.question(order)).collect();
        let replies = self.poller.ask(&questions, bytes_max).await;
        let mut offers = Vec::new();
        let mut starts = Vec::new();
        for (at, (order, reply)) in orders.iter_mut().zip(replies).enumerate() {
            order.state.is_alone |= reply.was_isolated;
            // Without an answer, the order stays due.
            let Some(answer) = reply.answer else { continue };
            match verdict(order.handler, &order.order.input, &answer, self.now) {
                Verdict::Order(data, signature) => {
                    offers.extend(Offer::new(*data, signature, order.key.0, &self.domain).map(|offer| (at, offer)));
                    if offers.last().is_none_or(|(last, _)| *last != at) {
                        self.no_hint(order, Reason::NoHint, "the order has unknown words");
                    }
                }
                Verdict::AskStart(reason, text) => starts.push((at, reason, text)),
                other => self.apply(order, other, is_silent(&answer)),
            }
        }
        self.starts(orders, starts).await;
        offers
    }

    fn question(&self, order: &Watched) -> Question {
        let quote = order.state.quote.map(|amount| Bytes::from(amount.abi_encode()));
        let call = getTradeableOrderWithSignatureCall {
            owner: order.key.0,
            params: order.order.params(),
            offchainInput: quote.unwrap_or_default(),
            proof: order.order.proof.clone(),
        };
        Question {
            request: CallRequest {
                to: self.settings.composable_cow,
                data: call.abi_encode().into(),
                ..CallRequest::default()
            },
            is_shared: order.handler.is_known() && !order.state.is_alone,
        }
    }

    /// Reads the starts of TWAPs from their cabinets, and sets their next parts.
    async fn starts(&mut self, orders: &mut [Watched], starts: Vec<(usize, Reason, String)>) {
        let questions: Vec<Question> = starts
            .iter()
            .filter_map(|(at, ..)| orders.get(*at))
            .map(|order| Question {
                request: CallRequest {
                    to: self.settings.composable_cow,
                    data: cabinet_of(&order.key).abi_encode().into(),
                    ..CallRequest::default()
                },
                is_shared: true,
            })
            .collect();
        let replies = self.poller.ask(&questions, received::CHECKS).await;
        for ((at, reason, text), reply) in starts.into_iter().zip(replies) {
            let Some(order) = orders.get_mut(at) else { continue };
            let start = match &reply.answer {
                Some(Answer::Returned(word)) => start_of_cabinet(word),
                _ => None,
            };
            let wait = match (start, Twap::read(&order.order.input)) {
                (Some(start), Some(twap)) => Wait::Time(twap.next_part(start, self.now)),
                _ => Wait::NextBlock,
            };
            self.apply(order, Verdict::Wait(wait, reason, text), false);
        }
    }

    /// Notes the answer to a poll. `is_silent`: it has no data.
    fn apply(&mut self, order: &mut Watched, verdict: Verdict, is_silent: bool) {
        if order.handler == Handler::GoodAfterTime {
            order.state.quote = None;
        }
        match verdict {
            Verdict::End(reason, text) if self.settings.retry.contains(&order.key.2) => {
                order.state.set(reason, &text, self.now);
                order.state.due = Due::Time(self.now + HOUR_SECONDS);
            }
            Verdict::End(reason, text) => self.end(order, reason, &text),
            Verdict::NoHint(reason, text) => {
                self.no_hint(order, reason, &text);
                order.state.is_alone |= is_silent;
            }
            // The order stays due.
            Verdict::Wait(_, Reason::NodeUnreachable, text) => {
                order.state.set(Reason::NodeUnreachable, &text, self.now);
            }
            Verdict::Wait(wait, reason, text) => {
                order.state.set(reason, &text, self.now);
                self.wait(order, wait);
            }
            Verdict::Order(..) | Verdict::AskStart(..) => {}
        }
    }

    fn wait(&self, order: &mut Watched, wait: Wait) {
        let blocks = self.grown_blocks(order);
        let number = self.block.number.saturating_add(blocks);
        let time = self.now.saturating_add((blocks - 1).saturating_mul(BLOCK_SECONDS));
        order.state.due = match wait {
            Wait::Block(block) if block > self.block.number => Due::Block(block.max(number)),
            Wait::Time(due) if due > self.now => Due::Time(due.max(time)),
            Wait::NextBlock | Wait::Block(_) | Wait::Time(_) if order.handler.is_known() => Due::EveryBlock,
            Wait::NextBlock | Wait::Block(_) | Wait::Time(_) => Due::Block(number),
            Wait::Seconds(seconds) => Due::Time(self.now + seconds),
            Wait::Forever if order.state.repeats > 0 => return self.end(order, Reason::GaveUp, "it waits for ever"),
            Wait::Forever => {
                order.state.repeats = 1;
                Due::Time(self.settings.keep_until(self.now))
            }
        };
    }

    /// The least number of blocks until the next poll. It grows for an unknown handler that gives no order.
    fn grown_blocks(&self, order: &mut Watched) -> u64 {
        if order.handler.is_known() {
            return 1;
        }
        order.state.polls = order.state.polls.saturating_add(1);
        let doublings = order.state.polls.saturating_sub(POLLS_WITHOUT_ORDER_MAX);
        let blocks = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        blocks.min(self.settings.poll_blocks_max).max(1)
    }

    pub fn no_hint(&self, order: &mut Watched, reason: Reason, text: &str) {
        let is_new = order.state.reason != reason;
        order.state.set(reason, text, self.now);
        if !is_new && self.now.saturating_sub(order.state.since) >= NO_HINT_SECONDS_MAX {
            return self.end(order, Reason::GaveUp, text);
        }
        let longest = NO_HINT_SECONDS.len() - 1;
        let index = usize::try_from(order.state.repeats).map_or(longest, |repeats| repeats.min(longest));
        order.state.repeats = order.state.repeats.saturating_add(1);
        let seconds = NO_HINT_SECONDS.get(index).copied().unwrap_or(HOUR_SECONDS);
        order.state.due = Due::Time(self.now + seconds);
    }

    pub fn end(&self, order: &mut Watched, reason: Reason, text: &str) {
        let until = self.settings.keep_until(self.now);
        order.state.end(reason, text, self.now, until);
    }
}

fn load(key: Key) -> Result<Option<Watched>> {
    let (Some(order), Some(state)) = (ORDERS.get(&key)?, STATES.get(&key)?) else {
        return Ok(None);
    };
    Ok(Some(Watched {
        key,
        handler: order.handler(),
        order,
        before: state.clone(),
        state,
    }))
}

/// The cabinet of an order. All leaves of an owner share one.
fn cabinet_of((owner, kind, id): &Key) -> cabinetCall {
    cabinetCall {
        owner: *owner,
        context: if *kind == LEAF { B256::ZERO } else { *id },
    }
}

/// Whether an answer may come from a call that uses up its gas.
fn is_silent(answer: &Answer) -> bool {
    match answer {
        Answer::Failed(_) => true,
        Answer::Reverted(data) => data.is_empty(),
        _ => false,
    }
}
