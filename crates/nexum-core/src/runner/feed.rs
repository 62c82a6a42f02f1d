//! A runner's place in one chain's log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Advance, ChainId, Position};
use crate::log::{Entry, EventLog, Read, Resume};
use crate::source::{EventSource, SourceError};

/// How many blocks a runner asks a source for at a time while it catches up: two requests' worth of a common batch limit,
/// and a few kilobytes.
const REPLAY_BLOCKS_MAX: u64 = 64;

/// Reads one chain, from the log while it is there and from the source where it no longer is.
#[derive(Debug)]
pub(crate) struct Feed {
    log: Arc<EventLog>,
    source: Arc<dyn EventSource>,
    place: Place,
    /// Blocks that were replayed and not yet handed out.
    replayed: VecDeque<Arc<Advance>>,
}

#[derive(Debug)]
enum Place {
    /// The log's next sequence number to read.
    At(u64),
    /// After the cursor, wherever that is.
    AfterCursor,
}

/// What a feed has for its runner.
pub(super) enum Next {
    Entry(Entry),
    /// Nothing yet: the log wakes the runner.
    Pending,
    /// The cursor's block is not on the chain that the log goes on with.
    Diverged(Position),
    /// The source cannot replay now.
    Failed(SourceError),
}

impl Feed {
    /// A feed that begins after the cursor, or with the log's next entry where there is none.
    pub(crate) fn new(log: Arc<EventLog>, source: Arc<dyn EventSource>, cursor: Option<Position>) -> Self {
        let place = if cursor.is_some() {
            Place::AfterCursor
        } else {
            Place::At(log.next_sequence())
        };
        Self {
            log,
            source,
            place,
            replayed: VecDeque::new(),
        }
    }

    pub(super) fn chain_id(&self) -> ChainId {
        self.log.chain_id()
    }

    /// Goes back to what comes after the cursor.
    pub(super) fn resume(&mut self) {
        self.replayed.clear();
        self.place = Place::AfterCursor;
    }

    pub(super) async fn next(&mut self, cursor: Option<Position>) -> Next {
        loop {
            if let Some(advance) = self.replayed.pop_front() {
                return match cursor {
                    Some(last) if advance.parent_hash != last.hash => Next::Diverged(last),
                    _ => Next::Entry(Entry::Advance(advance)),
                };
            }
            let numbers = match (&self.place, cursor) {
                (Place::At(sequence), _) => match self.log.read(*sequence) {
                    Read::Entry(entry) => {
                        self.place = Place::At(sequence + 1);
                        return Next::Entry(entry);
                    }
                    Read::Pending => return Next::Pending,
                    Read::Gone => {
                        self.place = Place::AfterCursor;
                        continue;
                    }
                },
                // A module that has never finished an event has no place to lose: it begins with what there is.
                (Place::AfterCursor, None) => {
                    self.place = Place::At(self.log.first_sequence());
                    continue;
                }
                (Place::AfterCursor, Some(last)) => match self.log.resume(last) {
                    Resume::At(sequence) => {
                        self.place = Place::At(sequence);
                        continue;
                    }
                    Resume::Pending => return Next::Pending,
                    Resume::Diverged => return Next::Diverged(last),
                    Resume::Replay(numbers) => numbers,
                },
            };
            let end = (*numbers.end()).min(numbers.start().saturating_add(REPLAY_BLOCKS_MAX - 1));
            match self.source.replay(*numbers.start()..=end).await {
                Ok(blocks) if blocks.is_empty() => {
                    return Next::Failed(SourceError::new(self.chain_id(), "the source replayed nothing"));
                }
                Ok(blocks) => self.replayed = blocks.into(),
                Err(error) => return Next::Failed(error),
            }
        }
    }
}
