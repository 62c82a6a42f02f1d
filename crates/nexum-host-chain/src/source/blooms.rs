//! Whether nexum can trust the blooms in a chain's headers.
//!
//! If a bloom lacks a log of its block, nexum misses that log, because it skips the block. Several
//! networks have such headers: some leave the bloom empty, some have logs that no bloom covers. So
//! nexum trusts blooms only after checks, and repeats the check from time to time.

use std::sync::Arc;

use alloy_primitives::Bloom;
use parking_lot::Mutex;

use super::Reader;
use super::ask::is_too_much;
use super::filters::{self, Filters};
use super::header::Header;
use crate::config::VerifyLogs;
use crate::error::{RequestError, Retry};
use crate::rpc::endpoint::Endpoint;

/// The blocks without a wanted log whose blooms must prove to be true before nexum skips one. Logs
/// that no bloom covers may come at intervals: Polygon's state sync writes one block in 16.
const LOOKS_FIRST: u32 = 16;

/// nexum checks one of this many blocks that have transactions and that their blooms rule out. A
/// check requests all logs of a block, so it adds less than a hundredth to the requests. The number
/// is prime, so that checks do not always miss events at regular intervals.
const BLOCKS_PER_LOOK: u32 = 127;

/// The state of the checks of a chain's blooms, since the process started.
#[derive(Debug, Default)]
pub(super) struct Blooms {
    state: Mutex<State>,
    /// Held during the decision about one block, with its check, so that nexum skips no block while
    /// a check may find an untrue bloom.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// A header's bloom lacked a log of its block.
    are_untrue: bool,
    /// The checks that found true blooms, up to [`LOOKS_FIRST`].
    proven: u32,
    /// The blocks with transactions that were ruled out since the last check.
    since_look: u32,
    /// An endpoint does not return all logs of a block.
    only_wanted: bool,
    skipped: Skipped,
}

/// The blocks whose logs were not requested.
#[derive(Clone, Copy, Debug, Default)]
struct Skipped {
    count: u64,
    /// The lowest and the highest block number.
    range: Option<(u64, u64)>,
}

/// The handling of a block whose bloom rules out every wanted log.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Skip,
    /// Request its logs as if the bloom did not rule them out.
    Ask,
    /// Request all its logs, and compare them with the bloom.
    Look,
}

impl Blooms {
    /// Whether a bloom of this chain lacked a log of its block.
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

    /// Records that a check found a true bloom.
    fn prove(&self) {
        self.with(State::prove);
    }

    /// Stops the requests for all logs of a block, because an endpoint does not return as many.
    fn look_for_wanted_only(&self) {
        self.with(|state| state.only_wanted = true);
    }

    /// Stops trusting blooms. Returns the skipped blocks. None if blooms were untrusted before.
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
        // The check happens where the answer is read.
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

impl Reader {
    /// Whether a trusted bloom rules out every wanted log, or a check of all logs showed that the
    /// bloom is true.
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

    /// Requests all logs of a block. Returns whether its bloom contains them.
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
            // Without logs, a non-empty bloom proves nothing: one of the two is wrong.
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

    /// Records that a log of this block is not in the header's bloom. Logs one warning per chain.
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

/// Whether an endpoint does not return all logs of a block, and a retry would not either.
fn refuses_everything(error: &RequestError) -> bool {
    is_too_much(error) || error.retry() != Retry::Anywhere
}
