//! The number of blocks in one query, for each endpoint.

use std::ops::RangeInclusive;

use super::per_endpoint::PerEndpoint;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

/// The blocks of the first query, unless the operator configures a width: nearly every provider
/// allows as many.
const WIDTH_FIRST: u64 = 1_000;

/// The most blocks of a query, unless the operator configures a width: no known provider allows
/// more for a wide filter.
const WIDTH_MAX: u64 = 10_000;

/// The queries in a row that must succeed at the current limit before nexum tries a wider one. The
/// number is large enough that refusals cost little at a provider with a fixed limit. It is small
/// enough that a part of the chain with many logs, where the width shrinks, does not slow down
/// later parts.
const CALM_MIN: u32 = 16;

/// The state of an endpoint's width, in blocks.
#[derive(Clone, Copy, Debug)]
struct Width {
    /// The width of the next query.
    now: u64,
    /// The current limit: below the last width that was too much.
    max: u64,
    /// The upper bound of `max`.
    ceiling: u64,
    /// The queries in a row that succeeded at `max`.
    calm: u32,
    /// The greatest width with an answer that proved to be true.
    proven: u64,
    /// Whether the log has reported that the endpoint refuses a range.
    is_refusal_logged: bool,
}

/// The widths of a chain's endpoints: halved after a query that is too much, and increased slowly
/// while none is.
#[derive(Debug)]
pub(super) struct Ranges(PerEndpoint<Width>);

impl Ranges {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        Self(PerEndpoint::new(endpoints, |endpoint| {
            let said = endpoint.max_log_range_blocks();
            let max = said.unwrap_or(WIDTH_MAX);
            Width {
                now: said.unwrap_or(WIDTH_FIRST),
                max,
                ceiling: max,
                calm: 0,
                proven: 1,
                is_refusal_logged: false,
            }
        }))
    }

    /// The first part of `numbers` to query now.
    pub(super) fn narrow(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) -> RangeInclusive<u64> {
        let width = self.0.with(endpoint, |width| width.now);
        let end = numbers.start().saturating_add(width.max(1) - 1);
        *numbers.start()..=end.min(*numbers.end())
    }

    /// Records an answer: the next query is slightly wider.
    pub(super) fn answered(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) {
        self.0.with(endpoint, |width| {
            if span(numbers) < width.now {
                return;
            }
            if width.now < width.max {
                width.now = (width.now + width.now / 4 + 1).min(width.max);
                return;
            }
            width.calm += 1;
            if width.calm >= CALM_MIN {
                width.calm = 0;
                width.max = width.max.saturating_mul(2).min(width.ceiling);
            }
        });
    }

    /// Records that the query was too much: the next one is half as wide.
    pub(super) fn too_much(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) {
        let span = span(numbers);
        self.0.with(endpoint, |width| {
            width.now = width.now.min(span / 2).max(1);
            // The width grows again, but not at once to the width that failed.
            let below = span - (span / 8).max(1);
            width.max = width.max.min(below).max(1);
            width.calm = 0;
        });
    }

    /// Whether the log has not yet reported that the endpoint refuses a range.
    pub(super) fn is_first_refusal(&self, endpoint: &Endpoint) -> bool {
        self.0
            .with(endpoint, |width| !std::mem::replace(&mut width.is_refusal_logged, true))
    }

    /// Whether nexum accepts an empty answer for this many blocks.
    pub(super) fn is_proven(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) -> bool {
        let proven = self.0.with(endpoint, |width| width.proven);
        span(numbers) <= proven
    }

    /// Records that the endpoint found logs in this many blocks at once.
    pub(super) fn prove(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) {
        self.0
            .with(endpoint, |width| width.proven = width.proven.max(span(numbers)));
    }
}

/// The number of blocks in a range.
fn span(numbers: &RangeInclusive<u64>) -> u64 {
    numbers.end().saturating_sub(*numbers.start()).saturating_add(1)
}
