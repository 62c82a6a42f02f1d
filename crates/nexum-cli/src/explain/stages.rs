//! The waits for a module that did not run: stopped, dead, in backoff, or without its chain.

use std::ops::ControlFlow;

use nexum_core::Stage;
use nexum_core::ledger::{Entry, StageEntry};
use nexum_ledger::{Filter, LedgerError, Reader, Row};

use super::fold::NEXUM;
use crate::protocol::explain::{Explained, Wait};

/// The shortest wait for which the stages are read, in milliseconds.
const WAIT_MS_MIN: u64 = 1_000;

/// The most rows to read for one wait.
const ROWS_MAX: usize = 10_000;

/// Adds to the waits of a handling the stages of its module meanwhile, in place of an unknown cause.
pub(super) fn add(reader: &Reader, one: &mut Explained) -> Result<(), LedgerError> {
    let (Some(seen_ms), begun_ms) = (one.handling.seen_ms, one.handling.begun_ms) else {
        return Ok(());
    };
    if begun_ms.saturating_sub(seen_ms) < WAIT_MS_MIN {
        return Ok(());
    }
    let filter = Filter {
        module: Some(one.handling.module.clone()),
        before: Some(one.handling.number),
        ..Filter::default()
    };
    let (mut waits, mut until_ms, mut rows) = (Vec::new(), begun_ms, 0);
    let visit = |row: Row| {
        rows += 1;
        if let Entry::Stage(StageEntry { stage, reason, .. }) = row.entry {
            let from_ms = row.at_ms.clamp(seen_ms, until_ms);
            if is_still(&stage) && from_ms < until_ms {
                let cause = format!("the module, which was {stage}: {reason}");
                let took_us = (until_ms - from_ms).saturating_mul(1_000);
                waits.push(Wait { cause, took_us });
            }
            until_ms = from_ms;
        }
        match row.at_ms < seen_ms && until_ms == seen_ms || rows > ROWS_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    reader.rows(&filter, visit)?;
    let known: u64 = waits.iter().map(|wait| wait.took_us).sum();
    for wait in one.waits.iter_mut().filter(|wait| wait.cause == NEXUM) {
        wait.took_us = wait.took_us.saturating_sub(known);
    }
    one.waits.extend(waits);
    one.waits.retain(|wait| wait.took_us > 0);
    one.waits.sort_by_key(|wait| std::cmp::Reverse(wait.took_us));
    Ok(())
}

/// Whether a module in this stage handles no events.
fn is_still(stage: &str) -> bool {
    ![Stage::Running, Stage::Behind, Stage::Replaying]
        .iter()
        .any(|running| running.to_string() == stage)
}
