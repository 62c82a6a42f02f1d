//! The times that follow from the static input of a conditional order, without a request.

use nexum_sdk::U256;
use nexum_sdk::sol_types::SolValue;

use crate::contracts::{GoodAfterTimeData, Handler, StopLossData, TwapData};

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
        let data = TwapData::abi_decode(input).ok()?;
        Some(Self {
            start: saturate(data.t0),
            parts: saturate(data.n),
            interval: saturate(data.t),
            span: saturate(data.span),
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
        Handler::GoodAfterTime => Some(saturate(good_after_time(input)?.endTime)),
        Handler::StopLoss => Some(StopLossData::abi_decode(input).ok()?.validTo.into()),
        _ => None,
    }
}

/// The first second of a GoodAfterTime order.
pub fn start_time(input: &[u8]) -> Option<u64> {
    Some(saturate(good_after_time(input)?.startTime))
}

/// The static input of a GoodAfterTime order.
pub fn good_after_time(input: &[u8]) -> Option<GoodAfterTimeData> {
    GoodAfterTimeData::abi_decode(input).ok()
}

/// The number, or the largest one of 64 bits.
pub fn saturate(number: U256) -> u64 {
    number.saturating_to()
}
