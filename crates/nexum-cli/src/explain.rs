//! The explanation of an event: from the entries of the ledger, for the daemon and for a command
//! without one.
//!
//! [`question`] reads the question. [`fold`] makes handlings of the ledger's rows. [`absence`] says why there
//! is none, from the state of the module and the logs of the block. [`stages`] adds the waits for a module that
//! did not run, and [`hints`] finds known causes.

pub(crate) mod absence;
mod fold;
mod hints;
pub(crate) mod question;
mod stages;

use std::ops::ControlFlow;

use nexum_core::ledger::{Entry, Lost};
use nexum_ledger::{Filter, LedgerError, Reader, Row};

use self::fold::Folding;
use self::question::Question;
use crate::protocol::explain::{Answer, Explained, Explanation, Handling, History, Missing, Outcome};
use crate::report::{count, span, time};

/// The most handlings of an answer about one event: those of all modules, and of a few reorganisations.
const HANDLINGS_MAX: usize = 64;

/// The most rows of a module that a question without a block reads: a module whose last event failed that
/// often is dead.
const ROWS_MAX: usize = 10_000;

/// The recent handlings of a module, newest first.
///
/// # Errors
///
/// If the ledger cannot be read.
pub(crate) fn history(
    reader: &Reader,
    module: &str,
    before: Option<u64>,
    limit: usize,
) -> Result<History, LedgerError> {
    let filter = Filter {
        module: Some(module.to_owned()),
        before,
        ..Filter::default()
    };
    let folding = read(reader, &filter, limit, false)?;
    Ok(History {
        begins_ms: reader.extent()?.begins_ms,
        handlings: folding
            .explained()
            .iter()
            .map(|one| one.handling.clone())
            .collect::<Vec<Handling>>(),
    })
}

/// Reads rows until `limit` handlings are whole.
fn read(reader: &Reader, filter: &Filter, limit: usize, has_values: bool) -> Result<Folding, LedgerError> {
    let (mut folding, mut rows) = (Folding::new(has_values), 0);
    let visit = |row: Row| {
        rows += 1;
        folding.add(row);
        match folding.has_whole(limit) || rows > ROWS_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    reader.rows(filter, visit)?;
    folding.cut(limit);
    Ok(folding)
}

/// The answer of the ledger alone. Without handlings, it is [`Answer::NotInLedger`], which the caller may
/// improve. `has_values` tells whether it has the recorded values of changed keys.
///
/// # Errors
///
/// If the ledger cannot be read.
pub(crate) fn explain(reader: &Reader, question: &Question, has_values: bool) -> Result<Explanation, LedgerError> {
    let limit = if question.is_about_last() { 1 } else { HANDLINGS_MAX };
    let mut folding = read(reader, &question.filter(), limit, has_values)?;
    folding.retain(question);
    let missing = missing(reader)?;
    let mut handlings: Vec<Explained> = folding.explained().into_iter().rev().collect();
    for one in &mut handlings {
        stages::add(reader, one)?;
    }
    let hints = hints::hints(reader, &handlings)?;
    let (answer, summary) = match handlings.last() {
        Some(last) => (Answer::Attempted, summary(last)),
        None => (Answer::NotInLedger, format!("the ledger has no attempt at {question}")),
    };
    Ok(Explanation {
        of: question.to_string(),
        answer,
        summary,
        handlings,
        nearest_miss: None,
        hints,
        begins_ms: reader.extent()?.begins_ms,
        missing,
    })
}

/// The entries that the ledger lacks, oldest first.
fn missing(reader: &Reader) -> Result<Vec<Missing>, LedgerError> {
    // No module has this name, so that only rows about missing entries match.
    let filter = Filter {
        module: Some(String::new()),
        ..Filter::default()
    };
    let mut missing = Vec::new();
    let visit = |row: Row| {
        if let Entry::Lost(Lost {
            entries,
            from_ms,
            to_ms,
        }) = row.entry
        {
            missing.push(Missing {
                from_ms,
                to_ms,
                entries,
            });
        }
        ControlFlow::Continue(())
    };
    reader.rows(&filter, visit)?;
    missing.reverse();
    Ok(missing)
}

/// The state of an event in one sentence.
fn summary(one: &Explained) -> String {
    let Explained { handling, runs, .. } = one;
    let Handling { module, event, .. } = handling;
    let attempts = match handling.attempts {
        1 => String::new(),
        attempts => format!(" at attempt {attempts}"),
    };
    let took = us(handling.took_us);
    match handling.outcome {
        Outcome::Handled => format!("{module} handled {event}{attempts} in {took}"),
        Outcome::Retrying => {
            let pause = runs.last().and_then(|run| run.pause_ms).map(span).unwrap_or_default();
            format!("{module} failed at {event}{attempts}, and nexum retries it {pause} after that")
        }
        Outcome::DeadLetter => {
            let attempts = count(handling.attempts, "attempt");
            format!("{event} is a dead letter of {module} after {attempts}: `nexum dead-letter show {module} {event}`")
        }
        Outcome::Dropped => format!("{event} was a dead letter of {module}, and the operator dropped it"),
        Outcome::Died => format!("{module} failed at {event}{attempts}, and died: `nexum status {module}`"),
        Outcome::StoreFailed => {
            format!("the state store failed while {module} handled {event}, and nexum handles it again")
        }
        Outcome::Reverted => {
            let at = one.reverted_ms.map(time).unwrap_or_default();
            format!("{module} handled {event}, and a reorganisation reverted it at {at}")
        }
    }
}

/// A duration in words, from microseconds.
pub(crate) fn us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", us / 1_000),
        _ => span(us / 1_000),
    }
}
