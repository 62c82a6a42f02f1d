//! The one place that every answer passes which another attempt at an event could get otherwise: of a chain, of a
//! server, of the clock. An attempt gets the answers again that led an earlier one to its effects.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::View;
use crate::state::scope::journal::trial::NotRecorded;
use crate::state::scope::journal::{Journal, Place};

/// The answer to a host call, or the place for it.
#[derive(Debug)]
pub enum Asked<T> {
    /// An earlier attempt at the event got this answer at this place, or the replayed one did. The host function
    /// returns it.
    Earlier(T),
    /// The host function finds the answer, and then calls [`AnswerPlace::answered`].
    Now(AnswerPlace),
}

/// The place of an answer in the transcript of the event, and in the ledger. If it is dropped, another attempt asks
/// again.
#[derive(Debug)]
#[must_use = "another attempt at the event gets no answer without it"]
pub struct AnswerPlace {
    journal: Journal,
    place: Place,
}

impl AnswerPlace {
    /// Notes the answer, as the guest gets it. Also serves a task that continues beside the guest.
    pub fn answered<T: Serialize>(self, answer: &T) {
        self.journal.answer(self.place, answer, None);
    }

    /// [`answered`](Self::answered) for an answer that can have secrets. `without_secrets` makes the answer for the ledger, or
    /// returns `None` if there are none. It runs only if the ledger gets answers.
    pub fn answered_with<T: Serialize>(self, answer: &T, without_secrets: impl FnOnce() -> Option<T>) {
        let recorded = match self.place.is_taped() {
            true => without_secrets(),
            false => None,
        };
        self.journal.answer(self.place, answer, recorded.as_ref());
    }
}

impl<S> View<'_, S> {
    /// Notes a host call whose answer can be another one at the next attempt, in the order in which the guest makes
    /// the calls. `kind` is a word of the capability, and the arguments are those that the answer depends on.
    ///
    /// An effect does not pass here: its answer is in its record.
    ///
    /// # Errors
    ///
    /// If a replay may not ask, and its record has no answer. The host function returns the error as its trap.
    pub fn ask<T: DeserializeOwned>(&self, kind: &'static str, arguments: &[&[u8]]) -> Result<Asked<T>, NotRecorded> {
        let journal = self.scope.journal();
        Ok(match journal.ask(kind, arguments)? {
            Ok(answer) => Asked::Earlier(answer),
            Err(place) => Asked::Now(AnswerPlace {
                journal: journal.clone(),
                place,
            }),
        })
    }
}
