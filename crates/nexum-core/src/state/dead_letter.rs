//! Dead letters: events that a module failed to handle, which nexum keeps until an operator retries
//! or skips them.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{ModuleId, rows};
use crate::event::{Event, EventId};
use crate::store::{StoreError, View};

/// The most dead letters of a module. A module with more failures needs its author, so nexum stops
/// it, and no event is lost.
pub const DEAD_LETTERS_MAX: u64 = 10_000;

/// An event that a module failed to handle, and skipped.
///
/// A dead letter is part of the module's state: a reorganisation that reverts the event's block
/// also reverts its dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event's id.
    pub id: EventId,
    /// The event, as the module received it.
    pub event: Event,
    /// All attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// A failed attempt at an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The end of the attempt, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The reason of the failure: the module's error, the exceeded limit, or the trap with its
    /// backtrace.
    pub reason: String,
    /// The exceeded limit, if a limit ended the attempt.
    pub trip: Option<Tripped>,
    /// The module's last log records in the attempt.
    pub records: Vec<String>,
}

/// An exceeded limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// The limit's name, with its unit.
    pub limit: String,
    /// The limit's value.
    pub bound: u64,
    /// The use of the resource, including the request that exceeded the limit.
    pub used: u64,
}

impl DeadLetter {
    pub(crate) fn encode(&self) -> Vec<u8> {
        rows::encode(self)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        rows::decode(row, "a dead letter")
    }
}

/// Passes a module's dead letters to `visit`, oldest block first, until it breaks off.
pub(crate) fn dead_letters(
    view: &dyn View,
    id: ModuleId,
    visit: &mut dyn FnMut(DeadLetter) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut damaged = None;
    rows::scan(
        view,
        &rows::dead_letters(id),
        None,
        &mut |_, row| match DeadLetter::decode(row) {
            Ok(letter) => visit(letter),
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(()), Err)
}

/// Returns a dead letter of a module, if it exists.
pub(crate) fn dead_letter(view: &dyn View, id: ModuleId, event: &EventId) -> Result<Option<DeadLetter>, StoreError> {
    let row = view.get(&rows::dead_letter(id, event))?;
    row.map(|row| DeadLetter::decode(&row)).transpose()
}

/// The number of a module's dead letters.
pub(super) fn count_dead_letters(view: &dyn View, id: ModuleId) -> Result<u64, StoreError> {
    let mut count = 0;
    rows::scan(view, &rows::dead_letters(id), None, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
