//! Whether a chain's header blooms can be believed.
//!
//! A bloom that lacks a log of its block costs that log, because the block is not asked for.
//! Several networks have such headers: some leave the bloom empty, some have logs that no bloom
//! covers. So a bloom is a hint that has to prove itself first, and again now and then.

use std::sync::Arc;

use alloy_primitives::Bloom;
use parking_lot::Mutex;

use super::ChainSource;
use super::ask::is_too_much;
use super::filters::{self, Filters};
use super::header::Header;
use crate::config::VerifyLogs;
use crate::error::{RequestError, Retry};
use crate::rpc::endpoint::Endpoint;

/// How many blocks that their blooms rule out have to show true blooms before one is skipped. Logs
/// that no bloom covers may come at intervals: Polygon's state sync writes one block in 16.
const LOOKS_FIRST: u32 = 16;

/// One of so many blocks that have transactions and that their blooms rule out is looked at. A look
/// costs all logs of a block, so that this adds less than a hundredth to the requests. It is a
/// prime: looks do not miss for ever what comes at intervals.
const BLOCKS_PER_LOOK: u32 = 127;

/// What a chain's blooms have shown of themselves since the process began.
#[derive(Debug, Default)]
pub(super) struct Blooms {
    state: Mutex<State>,
    /// Held while one block is decided on, a look included, so that no block is skipped while a
    /// look may find blooms untrue.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// A log was seen that its header's bloom lacks.
    are_untrue: bool,
    /// How many looks have found true blooms, up to [`LOOKS_FIRST`].
    proven: u32,
    /// How many blocks with transactions were ruled out since the last look.
    since_look: u32,
    /// An endpoint does not answer for all logs of a block.
    only_wanted: bool,
    skipped: Skipped,
}

/// The blocks whose logs were not asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Skipped {
    count: u64,
    /// The lowest and the highest of their numbers.
    range: Option<(u64, u64)>,
}

/// What to do about a block whose bloom rules out every wanted log.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Skip,
    /// Ask for its logs as if the bloom did not rule them out.
    Ask,
    /// Ask for all its logs, and compare them with the bloom.
    Look,
}

impl Blooms {
    /// Whether a bloom of this chain was found to lack a log of its block.
    pub(super) fn are_untrue(&self) -> bool {
        self.with(|state| state.are_untrue)
    }

    fn decide(&self, header: &Header) -> Decision {
        self.with(|state| {
            if state.are_untrue {
                return Decision::Ask;
            }
            if header.may_have_transactions() {
                state.since_look += 1;
                if state.proven < LOOKS_FIRST || state.since_look >= BLOCKS_PER_LOOK {
                    state.since_look = 0;
                    return state.look();
                }
            }
            state.skipped.add(header.position.number);
            Decision::Skip
        })
    }

    /// A look has found a true bloom.
    fn prove(&self) {
        self.with(State::prove);
    }

    /// No more looks for all logs: an endpoint does not give as much.
    fn look_for_wanted_only(&self) {
        self.with(|state| state.only_wanted = true);
    }

    /// Believes no bloom any more. Returns the blocks that were skipped; none if that was known
    /// before.
    fn found_untrue(&self) -> Option<Skipped> {
        self.with(|state| {
            let is_new = !std::mem::replace(&mut state.are_untrue, true);
            is_new.then_some(state.skipped)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }
}

impl State {
    fn look(&mut self) -> Decision {
        if !self.only_wanted {
            return Decision::Look;
        }
        // What the answer shows is found out where it is read.
        self.prove();
        Decision::Ask
    }

    fn prove(&mut self) {
        self.proven = LOOKS_FIRST.min(self.proven + 1);
    }
}

impl Skipped {
    fn add(&mut self, number: u64) {
        self.count += 1;
        let (first, last) = self.range.unwrap_or((number, number));
        self.range = Some((first.min(number), last.max(number)));
    }
}

impl ChainSource {
    /// Whether the header's bloom rules out every wanted log and is believed; or all logs of the
    /// block were looked at, and it is true.
    pub(super) async fn is_ruled_out(&self, endpoint: &Arc<Endpoint>, header: &Header, filters: &Filters) -> bool {
        let Some(bloom) = header.bloom.as_deref() else {
            return false;
        };
        if self.config.verify_logs != VerifyLogs::Bloom || filters.may_be_in(bloom) {
            return false;
        }
        if self.blooms.are_untrue() {
            return false;
        }
        let _turn = self.blooms.turn.lock().await;
        match self.blooms.decide(header) {
            Decision::Ask => false,
            Decision::Skip => {
                self.metrics.log_fetches_saved.increment(1);
                true
            }
            Decision::Look => self.is_true(endpoint, header, bloom).await,
        }
    }

    /// Looks at all logs of a block, and returns whether its bloom has them.
    async fn is_true(&self, endpoint: &Arc<Endpoint>, header: &Header, bloom: &Bloom) -> bool {
        let everything = Filters::everything();
        let logs = match self.logs_in(endpoint, header, &everything).await {
            Ok(logs) => logs,
            Err(error) => {
                if error.request().is_some_and(refuses_everything) {
                    self.blooms.look_for_wanted_only();
                }
                return false;
            }
        };
        if filters::are_in(bloom, &logs) {
            // No logs and a bloom that has some: one of the two is wrong, and nothing is proven.
            if !logs.is_empty() || *bloom == Bloom::ZERO {
                self.blooms.prove();
            }
            return true;
        }
        let other = self.other_than(endpoint);
        let second = other.as_ref().unwrap_or(endpoint);
        if let Ok(again) = self.logs_in(second, header, &everything).await
            && !filters::are_in(bloom, &again)
        {
            self.note_untrue(endpoint, header);
        }
        false
    }

    /// A log of this block is not in the header's bloom. Warns of it once.
    pub(super) fn note_untrue(&self, endpoint: &Endpoint, header: &Header) {
        self.metrics.untrue_blooms.increment(1);
        let Some(skipped) = self.blooms.found_untrue() else {
            return;
        };
        let skipped = match skipped.range {
            None => "no block was skipped before".to_owned(),
            Some((first, last)) => format!(
                "{} blocks from {first} to {last} were skipped before, and modules may have missed their logs",
                skipped.count
            ),
        };
        tracing::warn!(
            chain = self.chain_id,
            endpoint = endpoint.label(),
            block = header.position.number,
            "the header's bloom lacks a log of its block: nexum asks for the logs of every block of this chain from now on; \
             {skipped}; set verify_logs = \"off\" or \"receipts\" for this chain"
        );
    }
}

/// Whether an endpoint does not give all logs of a block, and would not the next time.
fn refuses_everything(error: &RequestError) -> bool {
    is_too_much(error) || error.retry() != Retry::Anywhere
}
