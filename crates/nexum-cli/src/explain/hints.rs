//! Known causes that show in a handling.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use nexum_core::ledger::Entry;
use nexum_ledger::{Filter, LedgerError, Reader, Row};

use super::us;
use crate::protocol::explain::{Call, Explained, Run};

/// The part of a limit above which a hint names it, in percent.
const LIMIT_PERCENT: u128 = 70;

/// How many times slower than the median a call has to be, and how slow at least.
const SLOWER_TIMES: u64 = 3;
const SLOW_US_MIN: u64 = 50_000;

/// The time before a handling whose calls count for the median, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The most rows that count for the median.
const ROWS_MAX: usize = 5_000;

/// The fewest calls of an endpoint for a median.
const CALLS_MIN: usize = 5;

/// The hints for these handlings. Only the newest one counts: the operator asks about what lasts.
pub(super) fn hints(reader: &Reader, handlings: &[Explained]) -> Result<Vec<String>, LedgerError> {
    let Some(newest) = handlings.last() else {
        return Ok(Vec::new());
    };
    let Some(run) = newest.runs.last() else {
        return Ok(Vec::new());
    };
    let mut hints = over_limits(run);
    if run
        .calls
        .iter()
        .any(|call| each(call) >= SLOW_US_MIN && call.endpoint.is_some())
    {
        hints.extend(slow_endpoints(newest, run, &medians(reader, newest)?));
    }
    Ok(hints)
}

/// The limits of which the attempt used more than 70 %.
fn over_limits(run: &Run) -> Vec<String> {
    let over = run.limits.iter().filter_map(|limit| {
        let bound = limit.bound.filter(|bound| *bound > 0)?;
        let percent = u128::from(limit.used) * 100 / u128::from(bound);
        let name = &limit.limit;
        (percent > LIMIT_PERCENT).then(|| {
            format!(
                "the attempt used {percent} % of {name} ({} of {bound}): raise it in [engine.limits]",
                limit.used
            )
        })
    });
    over.collect()
}

/// The endpoints of the attempt that were slower than usual.
fn slow_endpoints(newest: &Explained, run: &Run, medians: &BTreeMap<String, u64>) -> Vec<String> {
    let mut slowest: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &run.calls {
        if let Some(endpoint) = &call.endpoint {
            let known = slowest.entry(endpoint).or_default();
            *known = (*known).max(each(call));
        }
    }
    let slow = slowest.into_iter().filter_map(|(endpoint, took)| {
        let median = *medians.get(endpoint)?;
        let is_slow = took >= SLOW_US_MIN && took >= median.saturating_mul(SLOWER_TIMES);
        is_slow.then(|| {
            let module = &newest.handling.module;
            let (took, median) = (us(took), us(median));
            format!(
                "{endpoint} took {took} for a call, and its median of the day for {module} is {median}: `nexum chains`"
            )
        })
    });
    slow.collect()
}

/// The median duration of the calls of each endpoint, of the module and the day before the handling.
fn medians(reader: &Reader, newest: &Explained) -> Result<BTreeMap<String, u64>, LedgerError> {
    let mut durations: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let filter = Filter {
        module: Some(newest.handling.module.clone()),
        before: Some(newest.handling.number),
        ..Filter::default()
    };
    let oldest_ms = newest.handling.begun_ms.saturating_sub(DAY_MS);
    let mut rows = 0;
    let visit = |row: Row| {
        rows += 1;
        if row.at_ms < oldest_ms || rows > ROWS_MAX {
            return ControlFlow::Break(());
        }
        if let Entry::Attempt(attempt) = row.entry {
            for call in attempt.calls {
                let each = call.took_us / u64::from(call.count.max(1));
                durations
                    .entry(call.endpoint.unwrap_or_default())
                    .or_default()
                    .push(each);
            }
        }
        ControlFlow::Continue(())
    };
    reader.rows(&filter, visit)?;
    durations.retain(|_, durations| durations.len() >= CALLS_MIN);
    let median = |(endpoint, mut durations): (String, Vec<u64>)| {
        durations.sort_unstable();
        let middle = durations.get(durations.len() / 2).copied().unwrap_or_default();
        (endpoint, middle)
    };
    Ok(durations.into_iter().map(median).collect())
}

/// The duration of one of the calls.
fn each(call: &Call) -> u64 {
    call.took_us / u64::from(call.count.max(1))
}
