//! The meaning of the answer to a poll.

use nexum_sdk::sol_types::{SolCall, SolInterface};
use nexum_sdk::{Bytes, U256};

use crate::contracts::Poll::PollErrors;
use crate::contracts::{Handler, OrderData, getTradeableOrderWithSignatureCall as PollCall};
use crate::schedule::{Twap, saturate, start_time};
use crate::state::Reason;

/// The seconds until the next poll of an order whose owner has too little: balances change rarely.
const BALANCE_SECONDS: u64 = 600;

/// The seconds until the next poll after a price that an oracle gives once a minute or less often.
const PRICE_SECONDS: u64 = 60;

/// The seconds until the next poll of an order that a swap guard restricts, without an event of the guard.
const GUARD_SECONDS: u64 = 600;

/// The seconds until the next poll of a Safe without the fallback handler: the Safe needs a transaction.
const FALLBACK_SECONDS: u64 = 3_600;

/// The answer of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call returned.
    Returned(Bytes),
    /// The call reverted with this data.
    Reverted(Bytes),
    /// The node answers that it cannot run the call.
    Failed(String),
    /// No node answers.
    Unreachable(String),
}

/// The action after a poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Post the order with its signature.
    Order(Box<OrderData>, Bytes),
    /// Poll again at a later time.
    Wait(Wait, Reason, String),
    /// The start of the TWAP is in the cabinet: read it, and wait for the next part.
    AskStart(Reason, String),
    /// No hint: poll again after growing waits, and give up after a day.
    NoHint(Reason, String),
    /// The conditional order never gives an order again.
    End(Reason, String),
}

/// The time of the next poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    NextBlock,
    Block(u64),
    /// Seconds since the Unix epoch.
    Time(u64),
    /// From the block on.
    Seconds(u64),
    /// No number of 64 bits.
    Forever,
}

/// Reads the answer to a poll of an order with this handler and static input, at a block of this time in
/// seconds.
pub fn verdict(handler: Handler, input: &[u8], answer: &Answer, now: u64) -> Verdict {
    let data = match answer {
        Answer::Returned(data) => return order(data),
        Answer::Reverted(data) => data,
        Answer::Failed(text) => return Verdict::NoHint(Reason::NoHint, text.clone()),
        Answer::Unreachable(text) => return Verdict::Wait(Wait::NextBlock, Reason::NodeUnreachable, text.clone()),
    };
    let Ok(error) = PollErrors::abi_decode(data) else {
        return Verdict::NoHint(Reason::NoHint, unknown(data));
    };
    match error {
        PollErrors::OrderNotValid(error) => not_valid(handler, input, error.reason, now),
        // GoodAfterTime asks for a new quote before each poll.
        PollErrors::PollTryNextBlock(error) => match handler {
            Handler::GoodAfterTime => wait(Wait::Seconds(PRICE_SECONDS), Reason::TryNextBlock, error.reason),
            _ => wait(Wait::NextBlock, Reason::TryNextBlock, error.reason),
        },
        PollErrors::PollTryAtBlock(error) => {
            wait(until(error.blockNumber, Wait::Block), Reason::TryAtBlock, error.reason)
        }
        PollErrors::PollTryAtEpoch(error) => wait(until(error.timestamp, Wait::Time), Reason::TryAtEpoch, error.reason),
        PollErrors::PollNever(error) => Verdict::End(Reason::Never, error.reason),
        PollErrors::SingleOrderNotAuthed(_) => Verdict::End(Reason::NotAuthorised, "SingleOrderNotAuthed".into()),
        PollErrors::ProofNotAuthed(_) => Verdict::End(Reason::NotAuthorised, "ProofNotAuthed".into()),
        PollErrors::SwapGuardRestricted(_) => wait(Wait::Seconds(GUARD_SECONDS), Reason::SwapGuard, String::new()),
        PollErrors::InvalidFallbackHandler(_) => {
            wait(Wait::Seconds(FALLBACK_SECONDS), Reason::FallbackHandler, String::new())
        }
        PollErrors::InterfaceNotSupported(_) => Verdict::End(Reason::NoInterface, String::new()),
    }
}

fn wait(wait: Wait, reason: Reason, text: String) -> Verdict {
    Verdict::Wait(wait, reason, text)
}

fn until(number: U256, wait: impl Fn(u64) -> Wait) -> Wait {
    u64::try_from(number).map_or(Wait::Forever, wait)
}

fn order(data: &[u8]) -> Verdict {
    match PollCall::abi_decode_returns(data) {
        Ok(returned) => Verdict::Order(Box::new(returned.order), returned.signature),
        Err(error) => Verdict::NoHint(Reason::NoHint, format!("the poll returns no order: {error}")),
    }
}

/// `OrderNotValid` is final by the contract's documentation. The handlers also use it for states that pass.
fn not_valid(handler: Handler, input: &[u8], reason: String, now: u64) -> Verdict {
    let passes = |time| wait(time, Reason::NotValid, reason.clone());
    match (handler, reason.as_str()) {
        (Handler::Twap, "before twap start" | "not within span") => match Twap::read(input) {
            Some(twap) if twap.start != 0 => passes(Wait::Time(twap.next_part(twap.start, now))),
            Some(_) => Verdict::AskStart(Reason::NotValid, reason),
            None => Verdict::End(Reason::NotValid, reason),
        },
        (Handler::GoodAfterTime, "too early") => match start_time(input) {
            Some(start) => passes(Wait::Time(start)),
            None => Verdict::End(Reason::NotValid, reason),
        },
        (Handler::GoodAfterTime, "balance insufficient") | (Handler::PerpetualStableSwap, "not funded") => {
            passes(Wait::Seconds(BALANCE_SECONDS))
        }
        (Handler::StopLoss, "oracle invalid price") => passes(Wait::Seconds(PRICE_SECONDS)),
        (Handler::StopLoss, "strike not reached" | "oracle stale price")
        | (Handler::TradeAboveThreshold, "balance insufficient") => passes(Wait::NextBlock),
        _ => Verdict::End(Reason::NotValid, reason),
    }
}

/// A text for revert data that is no error of a poll.
fn unknown(data: &[u8]) -> String {
    /// The bytes of the data that the text shows: the selector and two words.
    const SHOWN_BYTES_MAX: usize = 68;

    if data.is_empty() {
        return "reverts without data".into();
    }
    if let Ok(error) = nexum_sdk::sol_types::Revert::abi_decode(data) {
        return error.reason;
    }
    let shown = data.get(..SHOWN_BYTES_MAX).unwrap_or(data);
    format!("reverts with {}", nexum_sdk::hex::encode_prefixed(shown))
}

use nexum_sdk::sol_types::SolError as _;

/// The start of a TWAP, as its cabinet has it: a word.
pub fn start_of_cabinet(word: &[u8]) -> Option<u64> {
    let word: [u8; 32] = word.try_into().ok()?;
    Some(saturate(U256::from_be_bytes(word)))
}
