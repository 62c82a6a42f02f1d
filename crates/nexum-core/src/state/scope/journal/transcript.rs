//! The host calls of a handler whose answers another attempt could get otherwise, in their order. An attempt first
//! gets the answers of an earlier one again, and then writes its own.

use std::borrow::Cow;

use nexum_config::names::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::super::transcript::{Entry, Part, Stored};
use crate::event::EventId;

/// The most bytes of an event's transcript. An attempt with more answers goes on without one. It has room for the
/// answers of a handler that reads some values, and not for one that reads the logs of many blocks.
pub(crate) const TRANSCRIPT_BYTES_MAX: usize = 1 << 20;

/// The bytes of an entry besides its answer, about.
const ENTRY_BYTES: usize = 64;

/// The kind of an effect among host calls.
const EFFECT: &str = "effect";

/// The arguments of a call without any, and of an effect that is not known yet.
const NOTHING: [u8; 32] = [0; 32];

/// The transcript of the current handler call.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// `None` if the handler call has no transcript.
    event: Option<EventId>,
    entries: Vec<Entry>,
    /// The number of entries that the attempt has reached. The following ones are of an earlier attempt.
    at: usize,
    /// The number of entries that the store has.
    stored: usize,
    /// The number of the next part in the store.
    next_part: u32,
    bytes: usize,
    pub(super) divergence: Option<Divergence>,
}

/// The first host call of an attempt that an earlier attempt made otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    /// The number of the host call, from 1.
    pub(crate) number: usize,
    /// The kind of the call of the earlier attempt.
    pub(crate) earlier: Cow<'static, str>,
    /// The kind of the call of this attempt.
    pub(crate) now: &'static str,
}

impl Transcript {
    pub(super) fn new(stored: Stored) -> Self {
        let Stored { event, entries, next } = stored;
        let bytes = |entry: &Entry| ENTRY_BYTES + entry.answer.as_ref().map_or(0, |answer| answer.len());
        Self {
            event: Some(event),
            stored: entries.len(),
            bytes: entries.iter().map(bytes).sum(),
            entries,
            next_part: next,
            ..Self::default()
        }
    }

    /// Notes a host call. Returns the answer of the earlier attempt, or the place for the answer. Without a
    /// transcript, there is neither.
    pub(super) fn ask<T: DeserializeOwned>(
        &mut self,
        kind: &'static str,
        arguments: &[&[u8]],
    ) -> Result<T, Option<usize>> {
        if self.event.is_none() {
            return Err(None);
        }
        let place = self.enter(kind, content_of(arguments));
        let answer = place.and_then(|place| self.entries.get(place)?.answer.as_ref());
        match answer.map(|answer| postcard::from_bytes(answer)) {
            None => Err(place),
            Some(Ok(answer)) => Ok(answer),
            Some(Err(_)) => {
                // Another version of nexum wrote it.
                self.at -= 1;
                self.diverge(kind);
                Err(self.enter(kind, content_of(arguments)))
            }
        }
    }

    /// The answer of the host call that the attempt has reached last.
    pub(super) fn last_answer(&self) -> Option<&[u8]> {
        let last = self.entries.get(self.at.checked_sub(1)?)?;
        last.answer.as_ref().map(|answer| answer.as_slice())
    }

    /// Sets the answer of a host call.
    pub(super) fn answer(&mut self, place: usize, answer: &impl Serialize) {
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        if let Ok(bytes) = postcard::to_allocvec(answer) {
            self.bytes += bytes.len();
            entry.answer = Some(bytes.into());
            self.bound();
        }
    }

    /// Notes an effect. Returns its place.
    pub(super) fn begin_effect(&mut self) -> Option<usize> {
        self.event.and_then(|_| self.enter(EFFECT, NOTHING))
    }

    /// Sets the digest of an effect.
    pub(super) fn name_effect(&mut self, place: usize, digest: [u8; 32]) {
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        let earlier = std::mem::replace(&mut entry.content, digest);
        if earlier != NOTHING && earlier != digest {
            self.stored = self.stored.min(place);
            let number = place + 1;
            let earlier = Cow::Borrowed(EFFECT);
            self.divergence.get_or_insert(Divergence {
                number,
                earlier,
                now: "another effect",
            });
            self.entries.truncate(self.at);
        }
    }

    /// All entries that the attempt has reached. `None` without a transcript.
    pub(super) fn so_far(&self) -> Option<Stored> {
        Some(Stored {
            entries: self.entries.get(..self.at)?.to_vec(),
            ..Stored::none(self.event?)
        })
    }

    /// The part that the store does not have, which becomes durable now, or the handler call ends.
    pub(super) fn take_part(&mut self) -> Option<Part> {
        let event = self.event?;
        let entries = self
            .entries
            .get(self.stored..)
            .filter(|entries| !entries.is_empty())?
            .to_vec();
        let part = Part {
            event,
            number: self.next_part,
            start: u32::try_from(self.stored).unwrap_or(u32::MAX),
            entries,
        };
        (self.stored, self.next_part) = (self.entries.len(), self.next_part.saturating_add(1));
        Some(part)
    }

    /// Goes on to the next entry, which is that of an earlier attempt or a new one. Returns its place.
    fn enter(&mut self, kind: &'static str, content: [u8; 32]) -> Option<usize> {
        if let Some(entry) = self.entries.get(self.at) {
            let is_same = entry.kind == kind && (entry.content == content || kind == EFFECT);
            if !is_same {
                self.diverge(kind);
            }
        }
        if self.at == self.entries.len() {
            self.bytes += ENTRY_BYTES;
            self.entries.push(Entry {
                kind: Cow::Borrowed(kind),
                content,
                answer: None,
            });
            self.bound();
        }
        self.at += 1;
        self.event.map(|_| self.at - 1)
    }

    /// Forgets the rest of the earlier attempt, which went another way.
    fn diverge(&mut self, now: &'static str) {
        let earlier = self
            .entries
            .get(self.at)
            .map_or(Cow::Borrowed(now), |entry| entry.kind.clone());
        let number = self.at + 1;
        self.divergence.get_or_insert(Divergence { number, earlier, now });
        self.entries.truncate(self.at);
        self.stored = self.stored.min(self.at);
    }

    /// Gives the transcript up if it is too large. The store keeps the parts that it has.
    fn bound(&mut self) {
        if self.bytes > TRANSCRIPT_BYTES_MAX && self.at >= self.entries.len().saturating_sub(1) {
            let divergence = self.divergence.take();
            *self = Self {
                divergence,
                ..Self::default()
            };
        }
    }
}

/// The arguments of a call in an entry: as they are, with their length, or their digest.
pub(super) fn content_of(arguments: &[&[u8]]) -> [u8; 32] {
    let mut content = NOTHING;
    match arguments {
        [] => {}
        [short] if short.len() < content.len() => {
            content[..short.len()].copy_from_slice(short);
            content[31] = short.len() as u8;
        }
        long => {
            let mut bytes = Vec::with_capacity(long.iter().map(|argument| size_of::<u64>() + argument.len()).sum());
            for argument in long {
                bytes.extend_from_slice(&(argument.len() as u64).to_be_bytes());
                bytes.extend_from_slice(argument);
            }
            content = *Digest::of(&bytes).as_bytes();
        }
    }
    content
}

#[cfg(test)]
mod tests;
