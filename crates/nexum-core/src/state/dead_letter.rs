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

/// The attempts that a dead letter keeps: the first ones, which show the failure, and the last ones,
/// which show whether retries changed it. An attempt has about 20 KB at most.
const FIRST_ATTEMPTS_MAX: usize = 4;
const LAST_ATTEMPTS_MAX: usize = 12;

/// Adds an attempt. Drops the oldest one between the first and the last ones if there are too many.
pub(crate) fn add(attempts: &mut Vec<Attempt>, attempt: Attempt) {
    attempts.push(attempt);
    if attempts.len() > FIRST_ATTEMPTS_MAX + LAST_ATTEMPTS_MAX {
        attempts.remove(FIRST_ATTEMPTS_MAX);
    }
}

/// The dead letters of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters {
    pub(crate) count: u64,
    /// Bytes of their rows, which count towards `state_bytes`.
    pub(crate) bytes: u64,
}

impl Letters {
    /// After a letter came, went or became another. Each is given as its bytes, if it is there.
    pub(super) fn after(self, old: Option<usize>, new: Option<usize>) -> Self {
        let number = |bytes: Option<usize>| bytes.unwrap_or(0) as u64;
        Self {
            count: (self.count + u64::from(new.is_some())).saturating_sub(u64::from(old.is_some())),
            bytes: (self.bytes + number(new)).saturating_sub(number(old)),
        }
    }
}

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
    /// The attempts, in order: the first four and the last twelve.
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
    /// How many bytes its row has.
    pub fn bytes(&self) -> usize {
        self.encode().len()
    }

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

/// The dead letter of a module with this event id, as text. Decodes no other letter.
pub(crate) fn find_dead_letter(view: &dyn View, id: ModuleId, event: &str) -> Result<Option<DeadLetter>, StoreError> {
    let mut found = Ok(None);
    rows::scan(view, &rows::dead_letters(id), &mut |_, row| {
        // The event id is the first field of the row.
        match postcard::take_from_bytes::<EventId>(row) {
            Ok((id, _)) if id.to_string() == event => found = DeadLetter::decode(row).map(Some),
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    })?;
    found
}

/// How many dead letters a module has, and how large they are.
pub(super) fn count_dead_letters(view: &dyn View, id: ModuleId) -> Result<Letters, StoreError> {
    let mut letters = Letters::default();
    rows::scan(view, &rows::dead_letters(id), &mut |_, row| {
        letters = letters.after(None, Some(row.len()));
        ControlFlow::Continue(())
    })?;
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_keeps_the_first_and_the_last_attempts() {
        let mut attempts = Vec::new();
        for at_ms in 0..300 {
            let attempt = Attempt {
                at_ms,
                reason: "no".to_owned(),
                trip: None,
                records: Vec::new(),
            };
            add(&mut attempts, attempt);
        }
        let kept: Vec<u64> = attempts.iter().map(|attempt| attempt.at_ms).collect();
        let expected: Vec<u64> = (0..4).chain(288..300).collect();
        assert_eq!(kept, expected);
    }
}
