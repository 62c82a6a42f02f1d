//! How many blocks an endpoint answers for at once.

use std::ops::RangeInclusive;

use super::per_endpoint::PerEndpoint;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

/// How many blocks the first question spans, where the operator does not say: what nearly every provider allows.
const WIDTH_FIRST: u64 = 1_000;

/// How many blocks a question spans at most, where the operator does not say: no known provider allows more for a wide filter.
const WIDTH_MAX: u64 = 10_000;

/// How many questions have to be answered in a row at the width that was found to do, before a wider one is tried again: so
/// many that the refusals cost next to nothing where a provider has a fixed limit, and so few that a part of the chain with
/// many logs, where the width shrinks, does not slow down what comes after it.
const CALM_MIN: u32 = 16;

/// What an endpoint has shown of itself.
#[derive(Clone, Copy, Debug)]
struct Width {
    /// How many blocks the next question spans.
    now: u64,
    /// What is below the last width that was too much.
    max: u64,
    /// What `max` never exceeds.
    ceiling: u64,
    /// How many questions have been answered in a row at `max`.
    calm: u32,
    /// So many blocks have been answered for, and the answer was true.
    proven: u64,
    /// The log says that a range was refused.
    is_refusal_logged: bool,
}

/// The widths of a chain's endpoints: halved when a question is too much, and slowly grown while none is.
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

    /// The part of `numbers`, from their start, to ask the endpoint for now.
    pub(super) fn narrow(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) -> RangeInclusive<u64> {
        let width = self.0.with(endpoint, |width| width.now);
        let end = numbers.start().saturating_add(width.max(1) - 1);
        *numbers.start()..=end.min(*numbers.end())
    }

    /// The endpoint has answered: the next question is a little wider.
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

    /// The question was too much: the next one is half as wide.
    pub(super) fn too_much(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) {
        let span = span(numbers);
        self.0.with(endpoint, |width| {
            width.now = width.now.min(span / 2).max(1);
            // It grows again, but not at once to where it failed.
            let below = span - (span / 8).max(1);
            width.max = width.max.min(below).max(1);
            width.calm = 0;
        });
    }

    /// Whether the log does not say yet that the endpoint refuses a range.
    pub(super) fn is_first_refusal(&self, endpoint: &Endpoint) -> bool {
        self.0
            .with(endpoint, |width| !std::mem::replace(&mut width.is_refusal_logged, true))
    }

    /// Whether an empty answer for so many blocks is believed.
    pub(super) fn is_proven(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) -> bool {
        let proven = self.0.with(endpoint, |width| width.proven);
        span(numbers) <= proven
    }

    /// The endpoint has found logs in so many blocks at once.
    pub(super) fn prove(&self, endpoint: &Endpoint, numbers: &RangeInclusive<u64>) {
        self.0
            .with(endpoint, |width| width.proven = width.proven.max(span(numbers)));
    }
}

/// How many blocks these are.
fn span(numbers: &RangeInclusive<u64>) -> u64 {
    numbers.end().saturating_sub(*numbers.start()).saturating_add(1)
}
