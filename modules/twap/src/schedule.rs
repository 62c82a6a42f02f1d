//! The times that follow from the static input of a conditional order, without a request.

use nexum_sdk::{Address, B256, U256};

use crate::contracts::Handler;

/// The times of a TWAP, in seconds. All sums saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twap {
    /// The start of the first part. 0: the contract's cabinet has the start. The contract refuses a
    /// start of more than 32 bits.
    pub start: u64,
    /// The number of parts.
    pub parts: u64,
    /// The time from the start of one part to the start of the next.
    pub interval: u64,
    /// How long a part is valid. 0: for the whole interval.
    pub span: u64,
}

impl Twap {
    pub fn read(input: &[u8]) -> Option<Self> {
        let number = |at| word(input, at).map(|word| saturate(word.into()));
        // Words 0 to 4 are the tokens, the receiver and the amounts, and word 9 is the app data.
        word(input, 9)?;
        Some(Self {
            start: number(5)?,
            parts: number(6)?,
            interval: number(7)?,
            span: number(8)?,
        })
    }

    /// The first second after the last part, for a TWAP with this start.
    pub fn end(&self, start: u64) -> u64 {
        start.saturating_add(self.parts.saturating_mul(self.interval))
    }

    /// The start of the next part after `now`, for a TWAP with this start.
    pub fn next_part(&self, start: u64, now: u64) -> u64 {
        let Some(elapsed) = now.checked_sub(start) else {
            return start;
        };
        let part = elapsed.checked_div(self.interval).unwrap_or(u64::MAX);
        start.saturating_add(part.saturating_add(1).saturating_mul(self.interval))
    }

    /// The start of the part after the one that is valid to this second.
    pub fn after(&self, valid_to: u64) -> u64 {
        let length = if self.span == 0 { self.interval } else { self.span };
        let start = valid_to.saturating_add(1).saturating_sub(length);
        start.saturating_add(self.interval)
    }

    /// The first time from `now` on at which a part is valid.
    fn first(&self, now: u64) -> u64 {
        let Some(elapsed) = now.checked_sub(self.start) else {
            return self.start;
        };
        let in_part = elapsed.checked_rem(self.interval).unwrap_or(0);
        let is_between = self.span != 0 && in_part >= self.span && now < self.end(self.start);
        match is_between {
            true => self.next_part(self.start, now),
            false => now,
        }
    }
}

/// The first time from `now` on, in seconds, at which a poll can give an order.
pub fn first_due(handler: Handler, input: &[u8], now: u64) -> u64 {
    let due = match handler {
        Handler::Twap => Twap::read(input)
            .filter(|twap| twap.start != 0 && u32::try_from(twap.start).is_ok())
            .map(|twap| twap.first(now)),
        Handler::GoodAfterTime => start_time(input),
        _ => None,
    };
    due.unwrap_or(now).max(now)
}

/// The last second of a conditional order, if its static input tells it.
pub fn last_second(handler: Handler, input: &[u8]) -> Option<u64> {
    match handler {
        Handler::Twap => {
            let twap = Twap::read(input).filter(|twap| twap.start != 0)?;
            twap.end(twap.start).checked_sub(1)
        }
        Handler::GoodAfterTime => Some(GoodAfterTime::read(input)?.end),
        Handler::StopLoss => Some(saturate(word(input, STOP_LOSS_VALID_TO)?.into())),
        _ => None,
    }
}

/// The first second of a GoodAfterTime order.
pub fn start_time(input: &[u8]) -> Option<u64> {
    Some(GoodAfterTime::read(input)?.start)
}

/// The word of the end in the static input of a StopLoss order.
const STOP_LOSS_VALID_TO: usize = 8;

/// The parts of a GoodAfterTime order that the module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoodAfterTime {
    pub sell_token: Address,
    pub buy_token: Address,
    pub sell_amount: U256,
    /// Seconds since the Unix epoch.
    pub start: u64,
    /// The last second.
    pub end: u64,
    pub app_data: B256,
}

impl GoodAfterTime {
    pub fn read(input: &[u8]) -> Option<Self> {
        // Word 0 is the offset of the others. Words 3, 5 and 8 are the receiver, the least balance and
        // whether the order may be filled in parts, and word 9 is the offset of the price checker's data.
        let word = |at| word(input, at);
        Some(Self {
            sell_token: Address::from_word(word(1)?),
            buy_token: Address::from_word(word(2)?),
            sell_amount: word(4)?.into(),
            start: saturate(word(6)?.into()),
            end: saturate(word(7)?.into()),
            app_data: word(10)?,
        })
    }
}

/// A word of the static input. The module reads words by hand, because decoders for whole structs are a
/// tenth of a component.
fn word(input: &[u8], at: usize) -> Option<B256> {
    let (words, _) = input.as_chunks::<32>();
    words.get(at).map(|word| B256::from(*word))
}

/// The number, or the largest one of 64 bits.
pub fn saturate(number: U256) -> u64 {
    number.saturating_to()
}
