//! The one place that every answer passes which another attempt at an event could get otherwise: of a chain, of a
//! server, of the clock. An attempt gets the answers again that led an earlier one to its effects.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::View;
use crate::state::scope::journal::Journal;

/// The answer to a host call, or the place for it.
#[derive(Debug)]
pub enum Asked<T> {
    /// An earlier attempt at the event got this answer at this place. The host function returns it.
    Earlier(T),
    /// The host function finds the answer, and then calls [`AnswerPlace::answered`].
    Now(AnswerPlace),
}

/// The place of an answer in the transcript of the event. If it is dropped, another attempt asks again.
#[derive(Debug)]
#[must_use = "another attempt at the event gets no answer without it"]
pub struct AnswerPlace {
    journal: Journal,
    /// The number of the handler call.
    call: u64,
    /// `None` if the handler call has no transcript.
    place: Option<usize>,
}

impl AnswerPlace {
    /// Notes the answer, as the guest gets it. Also serves a task that continues beside the guest.
    pub fn answered<T: Serialize>(self, answer: &T) {
        if let Some(place) = self.place {
            self.journal.answer(self.call, place, answer);
        }
    }
}

impl<S> View<'_, S> {
    /// Notes a host call whose answer can be another one at the next attempt, in the order in which the guest makes
    /// the calls. `kind` is a word of the capability, and the arguments are those that the answer depends on.
    ///
    /// An effect does not pass here: its answer is in its record.
    pub fn ask<T: DeserializeOwned>(&self, kind: &'static str, arguments: &[&[u8]]) -> Asked<T> {
        let journal = self.scope.journal();
        match journal.ask(kind, arguments) {
            Ok(answer) => Asked::Earlier(answer),
            Err((call, place)) => Asked::Now(AnswerPlace {
                journal: journal.clone(),
                call,
                place,
            }),
        }
    }
}
