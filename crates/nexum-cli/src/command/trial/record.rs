//! The recorded events of a range of blocks, from the ledger.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use nexum_core::ledger::{AttemptEntry, CallInputs, Entry, InputContent, Inputs, Lost, Outcome, Reverted, StartInputs};
use nexum_core::source::EventId;
use nexum_ledger::{Filter, Forward, LedgerError, Reader, Row};
use serde::Serialize;

/// The recorded events of a module on a range of blocks, and its other events between them.
pub(super) struct Record {
    reader: Reader,
    module: String,
    /// The numbers of the first and the last row about the range.
    rows: RangeInclusive<u64>,
    /// The rows of the attempts that count: the last one at each event that no reorganisation has reverted.
    attempts: BTreeSet<u64>,
    /// The events that cannot be repeated exactly, in their order.
    pub(super) gaps: Vec<Gap>,
    /// The number of events that can.
    pub(super) whole: u64,
    /// The blocks of the range that have an event.
    blocks: BTreeSet<u64>,
}

/// Events that cannot be repeated exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    /// The first of the events that follow each other.
    pub(super) first: String,
    pub(super) last: String,
    pub(super) events: u64,
    pub(super) reason: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first, last, reason, ..
        } = self;
        match first == last {
            true => write!(f, "{first}: {reason}"),
            false => write!(f, "{first} to {last}: {reason}"),
        }
    }
}

/// A recorded attempt.
pub(super) struct Recorded {
    pub(super) attempt: AttemptEntry,
    pub(super) content: InputContent,
    /// The start of its instance. `None` if it was not recorded.
    pub(super) start: Option<Arc<StartInputs>>,
}

/// The last attempt at an event.
struct Known {
    row: u64,
    event: EventId,
    /// The reason why it cannot be repeated exactly.
    fault: Option<String>,
}

impl Record {
    /// Reads which events of a module the ledger has on these blocks of a chain. `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(super) fn read(
        reader: Reader,
        module: &str,
        chain_id: u64,
        blocks: &RangeInclusive<u64>,
    ) -> Result<Option<Self>, LedgerError> {
        let of_module = Filter {
            module: Some(module.to_owned()),
            ..Filter::default()
        };
        let on_blocks = Filter {
            numbers: Some(blocks.clone()),
            ..of_module.clone()
        };
        let is_in_range =
            |event: &EventId| event.topic.chain_id() == Some(chain_id) && blocks.contains(&event.position.number);
        let mut rows: Option<RangeInclusive<u64>> = None;
        for row in reader.forward(on_blocks)? {
            let Row { number, entry, .. } = row?;
            let event = match &entry {
                Entry::Attempt(attempt) => &attempt.event,
                Entry::Inputs(inputs) => &inputs.event,
                _ => continue,
            };
            if is_in_range(event) {
                rows = Some(rows.map_or(number..=number, |known| *known.start()..=number));
            }
        }
        let Some(rows) = rows else { return Ok(None) };
        let later = Filter {
            since: Some(*rows.start()),
            ..of_module
        };
        let mut found = Found::default();
        for row in reader.forward(later)? {
            let row = row?;
            let is_within = rows.contains(&row.number);
            found.add(row, is_within);
        }
        let of_range = found.known.iter().map(|known| known.event).filter(is_in_range);
        let blocks = of_range.map(|event| event.position.number).collect();
        let (attempts, gaps) = found.conclude();
        Ok(Some(Self {
            reader,
            module: module.to_owned(),
            rows,
            whole: attempts.len() as u64,
            attempts,
            gaps,
            blocks,
        }))
    }

    /// The attempts that can be repeated exactly, in their order.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(super) fn attempts(&self) -> Result<Attempts<'_>, LedgerError> {
        let filter = Filter {
            module: Some(self.module.clone()),
            since: Some(*self.rows.start()),
            ..Filter::default()
        };
        Ok(Attempts {
            record: self,
            rows: self.reader.forward(filter)?,
            inputs: None,
            start: (0, None),
        })
    }

    /// The start of the instance that began at this time, from before the range.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    fn start_of(&self, instance_ms: u64) -> Result<Option<StartInputs>, LedgerError> {
        let filter = Filter {
            module: Some(self.module.clone()),
            before: Some(*self.rows.start()),
            ..Filter::default()
        };
        let mut start = None;
        let visit = |row: Row| match row.entry {
            Entry::Inputs(inputs) => match inputs.content.map(|content| *content) {
                Some(content) if content.instance_ms == instance_ms && content.start.is_some() => {
                    start = content.start;
                    ControlFlow::Break(())
                }
                Some(content) if content.instance_ms < instance_ms => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        };
        self.reader.rows(&filter, visit)?;
        Ok(start)
    }

    /// Adds gaps for the blocks of the range that the module handles, whatever their logs are, and that the ledger does
    /// not have.
    pub(super) fn note_absent(&mut self, range: &RangeInclusive<u64>, handles: impl Fn(u64) -> bool) {
        let is_absent = |number: &u64| handles(*number) && !self.blocks.contains(number);
        let absent: Vec<_> = range.clone().filter(is_absent).collect();
        let gaps = absent.chunk_by(|a, b| a + 1 == *b).filter_map(|run| {
            Some(Gap {
                first: format!("block {}", run.first()?),
                last: format!("block {}", run.last()?),
                events: run.len() as u64,
                reason: "the ledger has no entry of it".to_owned(),
            })
        });
        self.gaps.extend(gaps);
    }
}

/// The attempts of a record, in their order.
pub(super) struct Attempts<'a> {
    record: &'a Record,
    rows: Forward,
    /// The inputs of the attempt whose row comes next.
    inputs: Option<Box<Inputs>>,
    /// The instance of the last inputs, and its start.
    start: (u64, Option<Arc<StartInputs>>),
}

impl Attempts<'_> {
    /// The next attempt. `None` after the last one.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Recorded>, LedgerError> {
        for row in self.rows.by_ref() {
            let Row { number, entry, .. } = row?;
            if number > *self.record.rows.end() {
                break;
            }
            match entry {
                Entry::Inputs(mut inputs) => {
                    let content = inputs.content.as_deref_mut();
                    if let Some((start, content)) = content.and_then(|content| Some((content.start.take()?, content))) {
                        self.start = (content.instance_ms, Some(Arc::new(start)));
                    }
                    self.inputs = Some(inputs);
                }
                Entry::Attempt(attempt) => {
                    let content = self.inputs.take().and_then(|inputs| content_of(&attempt, *inputs));
                    if let (Some(content), true) = (content, self.record.attempts.contains(&number)) {
                        if self.start.0 != content.instance_ms {
                            let start = self.record.start_of(content.instance_ms)?;
                            self.start = (content.instance_ms, start.map(Arc::new));
                        }
                        return Ok(Some(Recorded {
                            attempt: *attempt,
                            content,
                            start: self.start.1.clone(),
                        }));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The content of inputs that are those of an attempt.
fn content_of(attempt: &AttemptEntry, inputs: Inputs) -> Option<InputContent> {
    let is_of = (inputs.event, inputs.attempt) == (attempt.event, attempt.attempt);
    inputs.content.filter(|_| is_of).map(|content| *content)
}

/// The events of the rows so far.
#[derive(Default)]
struct Found {
    inputs: Option<Box<Inputs>>,
    known: Vec<Known>,
    /// The missing entries, each with the number of events before it.
    lost: Vec<(usize, Lost)>,
}

impl Found {
    fn add(&mut self, row: Row, is_within: bool) {
        match row.entry {
            Entry::Inputs(inputs) => self.inputs = Some(inputs),
            Entry::Attempt(attempt) if is_within => {
                let inputs = self.inputs.take();
                self.known.retain(|known| known.event != attempt.event);
                self.known.push(Known {
                    row: row.number,
                    event: attempt.event,
                    fault: fault(&attempt, inputs),
                });
            }
            // A later retry of a dead letter happened after the range.
            Entry::Attempt(_) => self.inputs = None,
            Entry::Reverted(Reverted { topic, to, .. }) => {
                let stays =
                    |event: &EventId| event.topic != topic || to.is_some_and(|to| event.position.number <= to.number);
                self.known.retain(|known| stays(&known.event));
            }
            Entry::Lost(lost) if is_within => self.lost.push((self.known.len(), lost)),
            Entry::Lost(_) | Entry::Stage(_) | Entry::Dropped(_) => {}
        }
    }

    /// The rows of the attempts that can be repeated, and the gaps.
    fn conclude(self) -> (BTreeSet<u64>, Vec<Gap>) {
        let mut gaps: Vec<Gap> = Vec::new();
        let mut attempts = BTreeSet::new();
        let mut previous = None;
        for (index, known) in self.known.iter().enumerate() {
            let Some(reason) = &known.fault else {
                attempts.insert(known.row);
                continue;
            };
            let event = known.event.to_string();
            match gaps.last_mut() {
                Some(gap) if gap.reason == *reason && previous == index.checked_sub(1) => {
                    gap.last = event;
                    gap.events += 1;
                }
                _ => gaps.push(Gap {
                    first: event.clone(),
                    last: event,
                    events: 1,
                    reason: reason.clone(),
                }),
            }
            previous = Some(index);
        }
        let name = |index: Option<usize>| {
            let known = index.and_then(|index| self.known.get(index));
            known.map_or_else(|| "the end of the range".to_owned(), |known| known.event.to_string())
        };
        for (before, lost) in self.lost {
            gaps.push(Gap {
                first: name(before.checked_sub(1)),
                last: name(Some(before)),
                events: 0,
                reason: format!("the ledger lacks {} entries between them", lost.entries),
            });
        }
        (attempts, gaps)
    }
}

/// The reason why an attempt cannot be repeated exactly.
fn fault(attempt: &AttemptEntry, inputs: Option<Box<Inputs>>) -> Option<String> {
    if let Outcome::Retried { .. } | Outcome::StoreFailed { .. } = attempt.outcome {
        return Some("nexum has not finished it".to_owned());
    }
    let inputs = inputs.filter(|inputs| (inputs.event, inputs.attempt) == (attempt.event, attempt.attempt));
    let Some(inputs) = inputs else {
        return Some("its arguments and answers were not recorded".to_owned());
    };
    let Some(content) = inputs.content else {
        return Some("there was no room for its arguments and answers".to_owned());
    };
    let calls = || content.start.iter().map(|start| &start.call).chain([&content.call]);
    let has_no_answer = |call: &CallInputs| {
        let mut effects = call.effects.iter();
        call.calls.iter().any(|call| call.answer.is_none()) || effects.any(|effect| effect.answer.is_none())
    };
    match calls().map(|call| call.left_out).sum() {
        0 if calls().any(has_no_answer) => Some("a host call of it had no answer that the ledger keeps".to_owned()),
        0 => None,
        1 => Some("a value of it was too large or secret".to_owned()),
        _ => Some("some values of it were too large or secret".to_owned()),
    }
}
