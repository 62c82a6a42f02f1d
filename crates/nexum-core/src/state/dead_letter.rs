//! Events that a module could not handle, kept until an operator decides about them.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{ModuleId, rows};
use crate::event::{Event, EventId};
use crate::store::{StoreError, View};

/// How many dead letters a module may have. A module that fails so often needs its author: it is stopped, so that no event is
/// lost.
pub const DEAD_LETTERS_MAX: u64 = 10_000;

/// An event that a module could not handle, and passed over.
///
/// It is part of the module's state: a reorganisation that takes the event's block back takes it back as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Which event.
    pub id: EventId,
    /// The event itself, as the module got it.
    pub event: Event,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
}

/// A failed attempt at an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Why it failed: the module's error, the limit that tripped, or the trap with its backtrace.
    pub reason: String,
    /// The limit that tripped, if that was it.
    pub trip: Option<Tripped>,
    /// The last of what the module logged in it.
    pub records: Vec<String>,
}

/// A limit that tripped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// Its name, with its unit.
    pub limit: String,
    /// Its value.
    pub bound: u64,
    /// How much was used, with what was asked for in the call that tripped it.
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

/// Shows a module's dead letters to `visit`, oldest block first, until it breaks off.
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

/// A dead letter of a module, if it has it.
pub(crate) fn dead_letter(view: &dyn View, id: ModuleId, event: &EventId) -> Result<Option<DeadLetter>, StoreError> {
    let row = view.get(&rows::dead_letter(id, event))?;
    row.map(|row| DeadLetter::decode(&row)).transpose()
}

/// How many dead letters a module has.
pub(super) fn count_dead_letters(view: &dyn View, id: ModuleId) -> Result<u64, StoreError> {
    let mut count = 0;
    rows::scan(view, &rows::dead_letters(id), None, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
