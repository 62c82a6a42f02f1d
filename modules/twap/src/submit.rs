//! Places discrete orders: checks them on the chain, posts them, and notes what the order book says.

use std::collections::BTreeMap;
use std::time::Duration;

use nexum_cow_errors::{Class, Conditional, classify, classify_part};
use nexum_sdk::chain::CallRequest;
use nexum_sdk::cow::{self, OrderBook};
use nexum_sdk::{Address, Error, Result, clock, info, store, warn};
use serde::{Deserialize, Serialize};

use crate::contracts::Handler;
use crate::offer::{Check, Offer};
use crate::poll::received;
use crate::schedule::Twap;
use crate::state::{Due, Part, Reason};
use crate::verdict::Answer;
use crate::watch::{Round, Watched};

/// The requests that one event sends to the order book: fewer than nexum's default of 100. A refused
/// order takes two, because nexum looks it up.
const REQUESTS_MAX: u32 = 90;

/// The requests that a post can take.
const REQUESTS_OF_POST: u32 = 2;

/// How long one event posts, in nanoseconds: half of nexum's default deadline of 10 seconds.
const POST_NS_MAX: u64 = 5_000_000_000;

/// The offers of one owner that come before those of other owners.
const OWNER_TURN: usize = 8;

/// The first wait after a refusal that depends on the block, such as a fee that is too low, in seconds.
const NEXT_BLOCK_SECONDS: u64 = 15;

/// The wait after a refusal of an order that has no other part, and of an order that nexum refuses, in
/// seconds.
const ONLY_PART_SECONDS: u64 = 3_600;

/// The seconds until the next poll of an unknown handler whose order needs no post. It may make another
/// one at any time.
const PLACED_SECONDS: u64 = 60;

/// The longest pause of an order book that does not answer, in seconds. Parts of TWAPs take minutes.
pub const DOWN_SECONDS_MAX: u64 = 60;

pub const BOOK: store::Cell<Book> = store::Cell::new("order-book");

/// The order book, as far as it does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    failures: u32,
    /// Seconds since the Unix epoch.
    pub down_until: u64,
}

impl Round<'_> {
    /// Places the orders that polls offer.
    pub async fn place(&mut self, orders: &mut [Watched], offers: Vec<(usize, Offer)>) -> Result {
        let mut candidates = Vec::new();
        for (at, offer) in offers {
            if let Some(order) = orders.get_mut(at)
                && self.is_candidate(order, &offer)
            {
                candidates.push((at, offer));
            }
        }
        if candidates.is_empty() {
            return Ok(());
        }
        sort(orders, &mut candidates);
        let mut book = BOOK.get()?.unwrap_or_default();
        let before = book;
        if self.now >= book.down_until {
            candidates = self.check(orders, candidates).await;
            self.post(orders, &candidates, &mut book);
        } else {
            self.postpone(orders, &candidates, &book);
        }
        if book == before { Ok(()) } else { BOOK.set(&book) }
    }

    /// Whether an offer may be posted now. Otherwise, sets the next look at its order.
    fn is_candidate(&self, order: &mut Watched, offer: &Offer) -> bool {
        let end = u64::from(offer.valid_to);
        if order.state.finished.iter().any(|(digest, _)| *digest == offer.digest) {
            // The reason stays: it says why the part needs no post.
            if !matches!(order.state.reason, Reason::Posted | Reason::Filled | Reason::Refused) {
                order.state.set(Reason::Posted, "", self.now);
            }
        } else if end < self.now.saturating_add(self.settings.valid_seconds_min) {
            let text = format!("the part ends at {end}");
            order.state.set(Reason::TooLate, &text, self.now);
        } else {
            match part_of(order, offer).filter(|part| part.not_before > self.now) {
                Some(part) => order.state.due = self.retry_at(order, offer, part.not_before),
                None => return true,
            }
            return false;
        }
        order.state.due = self.after(order, offer);
        false
    }

    /// The next look at an order after a part that needs no post.
    fn after(&self, order: &Watched, offer: &Offer) -> Due {
        let end = u64::from(offer.valid_to);
        match order.handler {
            Handler::Twap => {
                let next = Twap::read(&order.order.input).map_or(end, |twap| twap.after(end));
                Due::Time(next.max(self.now + 1))
            }
            Handler::GoodAfterTime | Handler::StopLoss => Due::Time(end.max(self.now) + 1),
            Handler::TradeAboveThreshold | Handler::PerpetualStableSwap => Due::EveryBlock,
            Handler::Unknown => Due::Time(end.clamp(self.now, self.now + PLACED_SECONDS) + 1),
        }
    }

    /// The time of a retry, or of the next part if that comes first.
    fn retry_at(&self, order: &Watched, offer: &Offer, time: u64) -> Due {
        match self.is_before_end(offer, time) {
            true => Due::Time(time),
            false => self.after(order, offer),
        }
    }

    /// Whether an offer can be posted at a time.
    fn is_before_end(&self, offer: &Offer, time: u64) -> bool {
        time.saturating_add(self.settings.valid_seconds_min) <= u64::from(offer.valid_to)
    }

    /// Asks the owners and the settlement. Returns the offers to post.
    async fn check(&mut self, orders: &mut [Watched], offers: Vec<(usize, Offer)>) -> Vec<(usize, Offer)> {
        let mut offers = offers.into_iter();
        let settlement = self.settings.settlement;
        // The rest cannot be posted in this event.
        let checked: Vec<_> = offers.by_ref().take(REQUESTS_MAX as usize).collect();
        for (at, _) in offers {
            self.stay(orders, at, Reason::Queued, "more orders end sooner");
        }
        let requests: Vec<CallRequest> = checked
            .iter()
            .flat_map(|(_, offer)| offer.questions(settlement))
            .collect();
        let requests: Vec<&CallRequest> = requests.iter().collect();
        let answers = self.poller.ask_alone(&requests, received::CHECKS).await;
        let mut to_post = Vec::new();
        for ((at, offer), answers) in checked.into_iter().zip(answers.chunks(2)) {
            let Some(order) = orders.get_mut(at) else { continue };
            let check = match answers {
                [Some(signature), Some(filled)] => offer.check(signature, filled),
                _ => None,
            };
            let first_wait = classify(400, Some("InvalidEip1271Signature"))
                .wait(1)
                .unwrap_or_default();
            // A short part has no time for a wait.
            let is_patient =
                failures(order, &offer) == 0 && self.is_before_end(&offer, self.now + first_wait.as_secs());
            match check {
                None => {
                    let text = answers.iter().flatten().find_map(|answer| match answer {
                        Answer::Unreachable(text) => Some(text.as_str()),
                        _ => None,
                    });
                    order
                        .state
                        .set(Reason::NodeUnreachable, text.unwrap_or_default(), self.now);
                }
                Some(Check::Filled) => {
                    order.state.finish(offer.digest, offer.valid_to, self.now);
                    order.state.set(Reason::Filled, "", self.now);
                    order.state.due = self.after(order, &offer);
                }
                // Hooks of the order book may make the signature valid, so that later attempts ask it.
                Some(Check::InvalidSignature) if is_patient => {
                    self.back_off(order, &offer, first_wait);
                    order
                        .state
                        .set(Reason::InvalidSignature, "the owner does not confirm it", self.now);
                }
                Some(Check::Valid | Check::InvalidSignature) => to_post.push((at, offer)),
            }
        }
        to_post
    }

    /// Keeps an order due, with a reason.
    fn stay(&self, orders: &mut [Watched], at: usize, reason: Reason, text: &str) {
        if let Some(order) = orders.get_mut(at) {
            order.state.set(reason, text, self.now);
        }
    }

    /// Posts offers until the budget of the event is used, or the order book does not answer.
    fn post(&mut self, orders: &mut [Watched], offers: &[(usize, Offer)], book: &mut Book) {
        let order_book = OrderBook::new(self.block.chain_id);
        let start = clock::monotonic_ns();
        let mut offers = offers.iter();
        while self.requests + REQUESTS_OF_POST <= REQUESTS_MAX
            && clock::monotonic_ns().saturating_sub(start) < POST_NS_MAX
            && let Some((at, offer)) = offers.next()
        {
            let Some(order) = orders.get_mut(*at) else { continue };
            let result = order_book.submit(&offer.body);
            self.requests += if result.is_ok() { 1 } else { REQUESTS_OF_POST };
            if self.note(order, offer, result, book) {
                let rest = offers.as_slice();
                return self.postpone(orders, rest, book);
            }
        }
        for (at, _) in offers {
            self.stay(orders, *at, Reason::Queued, "the order book takes other orders first");
        }
    }

    /// Notes the result of a post. Returns whether the order book is down.
    fn note(&mut self, order: &mut Watched, offer: &Offer, result: Result<cow::Uid>, book: &mut Book) -> bool {
        let error = match result {
            Ok(_) => {
                *book = Book::default();
                self.posted(order, offer);
                return false;
            }
            Err(error) => error,
        };
        let refusal = cow::refusal(&error);
        let word = refusal.as_ref().map(|refusal| refusal.error_type.as_str());
        if error.is_retryable() && word.is_none() {
            book.failures = book.failures.saturating_add(1);
            let wait = classify(503, None).wait(book.failures).unwrap_or_default();
            book.down_until = self.now + wait.as_secs().min(DOWN_SECONDS_MAX);
            order.state.set(Reason::OrderBookDown, &error.to_string(), self.now);
            // The order itself may be the cause.
            let wait = classify(503, None).wait(failures(order, offer) + 1);
            self.back_off(order, offer, wait.unwrap_or_default());
            return true;
        }
        self.refused(order, offer, &error, word);
        error.is_retryable()
    }

    fn posted(&mut self, order: &mut Watched, offer: &Offer) {
        info!(owner = order.key.0, id = order.key.2, "posted {}", offer.uid);
        order.state.finish(offer.digest, offer.valid_to, self.now);
        order.state.posted = order.state.posted.saturating_add(1);
        self.totals.posted = self.totals.posted.saturating_add(1);
        order.state.set(Reason::Posted, "", self.now);
        order.state.due = self.after(order, offer);
    }

    fn refused(&mut self, order: &mut Watched, offer: &Offer, error: &Error, word: Option<&str>) {
        let text = match cow::refusal(error) {
            Some(refusal) => format!("{}: {}", refusal.error_type, refusal.description),
            None => error.to_string(),
        };
        // Without a status, nexum has refused the order itself: no later attempt passes.
        let status = u16::try_from(error.code()).unwrap_or_default();
        let (class, part) = match status {
            0 => (Class::OurBug, Conditional::NextPart),
            status => (classify(status, word), classify_part(status, word)),
        };
        warn!(
            owner = order.key.0,
            id = order.key.2,
            "the order book refuses {}: {text}",
            offer.uid
        );
        order.state.set(Reason::Refused, &text, self.now);
        let has_one_part = matches!(order.handler, Handler::GoodAfterTime | Handler::StopLoss);
        let has_equal_parts = has_one_part || order.handler == Handler::Twap;
        match part {
            Conditional::Placed => self.posted(order, offer),
            Conditional::Stop if has_equal_parts => self.end(order, Reason::Refused, &text),
            Conditional::Retry => {
                let class = match class {
                    Class::NextBlock => Class::BackOff(Duration::from_secs(NEXT_BLOCK_SECONDS)),
                    class => class,
                };
                let wait = class.wait(failures(order, offer) + 1);
                self.back_off(order, offer, wait.unwrap_or_default());
            }
            // The cause may pass while the order is valid.
            _ if has_one_part || status == 0 => self.back_off(order, offer, Duration::from_secs(ONLY_PART_SECONDS)),
            _ => {
                order.state.finish(offer.digest, offer.valid_to, self.now);
                order.state.due = self.after(order, offer);
            }
        }
    }

    fn back_off(&self, order: &mut Watched, offer: &Offer, wait: Duration) {
        let not_before = self.now.saturating_add(wait.as_secs());
        order.state.part = Some(Part {
            digest: offer.digest,
            failures: failures(order, offer).saturating_add(1),
            not_before,
        });
        order.state.due = self.retry_at(order, offer, not_before);
    }

    /// Notes that the order book is down.
    fn postpone(&self, orders: &mut [Watched], offers: &[(usize, Offer)], book: &Book) {
        for (at, offer) in offers {
            if let Some(order) = orders.get_mut(*at) {
                order.state.set(Reason::OrderBookDown, "", self.now);
                order.state.due = self.retry_at(order, offer, book.down_until.max(self.now + 1));
            }
        }
    }
}

/// Known handlers first, then orders without failures, then some of each owner, then the soonest end.
fn sort(orders: &[Watched], offers: &mut [(usize, Offer)]) {
    offers.sort_by_key(|(_, offer)| offer.valid_to);
    let mut turns = BTreeMap::<Address, usize>::new();
    offers.sort_by_cached_key(|(at, offer)| {
        let order = orders.get(*at);
        let turn = turns.entry(offer.body.from.unwrap_or_default()).or_default();
        *turn += 1;
        (
            order.is_some_and(|order| !order.handler.is_known()),
            order.is_some_and(|order| failures(order, offer) > 0),
            *turn / OWNER_TURN,
            offer.valid_to,
        )
    });
}

/// The failed part of an order, if it is this offer. An unknown handler may make another order at each
/// block, so that its failures count for all of them.
fn part_of(order: &Watched, offer: &Offer) -> Option<Part> {
    let part = order.state.part?;
    (part.digest == offer.digest || !order.handler.is_known()).then_some(part)
}

/// The failed attempts at an offer.
fn failures(order: &Watched, offer: &Offer) -> u32 {
    part_of(order, offer).map_or(0, |part| part.failures)
}
