//! Reads a folder, newest or oldest rows first.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use nexum_config::topic::Topic;
use nexum_core::ledger::{Act, Entry, Reverted};

use crate::error::LedgerError;
use crate::files::{self, Frames, SEALED, Segment};
use crate::frame::{Head, Row};

/// Which rows to read. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only rows of this module, and those that say what is missing.
    pub module: Option<String>,
    /// Only rows about this topic.
    pub topic: Option<Topic>,
    /// Only rows about these numbers: blocks, or times of a schedule.
    pub numbers: Option<RangeInclusive<u64>>,
    /// Only rows before the one with this number, and later ones that change what they mean.
    pub before: Option<u64>,
    /// Only rows from the one with this number on.
    pub since: Option<u64>,
}

/// The extent of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The time of the oldest row, in milliseconds since the Unix epoch. `None` without rows.
    pub begins_ms: Option<u64>,
    /// The number of segments that end in something else than a whole frame. The one that is being written
    /// does so for an instant.
    pub torn: u64,
}

/// Reads a folder, also while a daemon writes it.
#[derive(Clone)]
pub struct Reader {
    folder: PathBuf,
}

/// `Debug` omits the folder, because the content of a variable can be a part of it.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The extent of the ledger.
    ///
    /// # Errors
    ///
    /// If there is no ledger, or if it cannot be read.
    pub fn extent(&self) -> Result<Extent, LedgerError> {
        let mut extent = Extent::default();
        for segment in self.segments()? {
            let Some(frames) = open(&segment)? else { continue };
            extent.torn += u64::from(frames.is_torn);
            if extent.begins_ms.is_none() {
                extent.begins_ms = frames.places.first().map(|place| place.head.from_ms);
            }
        }
        Ok(extent)
    }

    /// Passes the rows that match to `visit`, newest first, until it breaks. Leaves out frames that are
    /// damaged.
    ///
    /// # Errors
    ///
    /// If there is no ledger, or if it cannot be read.
    pub fn rows(&self, filter: &Filter, mut visit: impl FnMut(Row) -> ControlFlow<()>) -> Result<(), LedgerError> {
        for segment in self.segments()?.iter().rev() {
            let Some(frames) = open(segment)? else { continue };
            for place in frames.places.iter().rev().filter(|place| filter.may_match(&place.head)) {
                let rows = frames.rows(place).map_err(LedgerError::file(&segment.path))?;
                let matching = rows.into_iter().flatten().rev().filter(|row| filter.matches(row));
                for row in matching {
                    if visit(row).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The rows that match, oldest first. One frame of them is in memory at a time. Leaves out frames that are damaged.
    ///
    /// # Errors
    ///
    /// If there is no ledger.
    pub fn forward(&self, filter: Filter) -> Result<Forward, LedgerError> {
        Ok(Forward {
            filter,
            segments: self.segments()?.into(),
            frames: None,
            rows: Vec::new().into_iter(),
        })
    }

    /// The lowest number of a topic that the ledger has of a module: a block, or a time of a schedule.
    ///
    /// # Errors
    ///
    /// If there is no ledger, or if it cannot be read.
    pub fn first_of(&self, module: &str, topic: Topic) -> Result<Option<u64>, LedgerError> {
        let mut first = None;
        for segment in self.segments()? {
            let Some(frames) = open(&segment)? else { continue };
            let ranges = frames
                .places
                .iter()
                .filter_map(|place| place.head.modules.get(module)?.get(&topic));
            first = ranges.map(|(from, _)| *from).chain(first).min();
        }
        Ok(first)
    }

    fn segments(&self) -> Result<Vec<Segment>, LedgerError> {
        match self.folder.is_dir() {
            true => files::segments(&self.folder),
            false => Err(LedgerError::Missing(self.folder.clone())),
        }
    }
}

/// Rows, oldest first.
pub struct Forward {
    filter: Filter,
    segments: VecDeque<Segment>,
    /// The open segment, and the index of its next frame.
    frames: Option<(Frames, usize)>,
    /// The rest of the open frame.
    rows: std::vec::IntoIter<Row>,
}

/// `Debug` omits the folder, because the content of a variable can be a part of it.
impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Forward {
    /// Opens the next frame. Returns false after the last one.
    fn advance(&mut self) -> Result<bool, LedgerError> {
        let Some((frames, next)) = &mut self.frames else {
            let Some(segment) = self.segments.pop_front() else {
                return Ok(false);
            };
            self.frames = open(&segment)?.map(|frames| (frames, 0));
            return Ok(true);
        };
        match frames.places.get(*next) {
            None => self.frames = None,
            Some(place) => {
                *next += 1;
                if self.filter.may_match(&place.head) {
                    let rows = frames.rows(place).map_err(LedgerError::file(frames.path()))?;
                    self.rows = rows.unwrap_or_default().into_iter();
                }
            }
        }
        Ok(true)
    }
}

impl Iterator for Forward {
    type Item = Result<Row, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.find(|row| self.filter.matches(row)) {
                return Some(Ok(row));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Opens a segment, which the writer may seal or remove meanwhile.
fn open(segment: &Segment) -> Result<Option<Frames>, LedgerError> {
    match Frames::open(&segment.path)? {
        None if !segment.is_sealed => Frames::open(&sealed(&segment.path)),
        frames => Ok(frames),
    }
}

fn sealed(path: &Path) -> PathBuf {
    path.with_extension(SEALED)
}

impl Filter {
    fn may_match(&self, head: &Head) -> bool {
        let is_before = self.before.is_none_or(|before| head.first < before);
        let after = head.first.saturating_add(head.rows.into());
        let is_since = self.since.is_none_or(|since| after > since);
        let is_about = |ranges: &std::collections::BTreeMap<Topic, (u64, u64)>| match (self.topic, &self.numbers) {
            (None, None) => true,
            (topic, numbers) => ranges.iter().any(|(of, (from, to))| {
                let overlaps = |numbers: &RangeInclusive<u64>| from <= numbers.end() && to >= numbers.start();
                topic.is_none_or(|topic| topic == *of) && numbers.as_ref().is_none_or(overlaps)
            }),
        };
        let is_of = match &self.module {
            Some(module) => head.modules.get(module).is_some_and(is_about),
            None => head.modules.values().any(is_about),
        };
        is_since && (head.has_lost || (is_of && (is_before || head.has_later)))
    }

    fn matches(&self, row: &Row) -> bool {
        let is_at = |topic: Topic, number: u64| {
            let numbers = self.numbers.as_ref();
            self.topic.is_none_or(|wanted| wanted == topic) && numbers.is_none_or(|wanted| wanted.contains(&number))
        };
        let is_about = match &row.entry {
            Entry::Attempt(attempt) => is_at(attempt.event.topic, attempt.event.position.number),
            Entry::Inputs(inputs) => is_at(inputs.event.topic, inputs.event.position.number),
            Entry::Dropped(Act { event, .. }) => is_at(event.topic, event.position.number),
            Entry::Reverted(Reverted { topic, to, .. }) => {
                let to = to.map_or(0, |to| to.number);
                let numbers = self.numbers.as_ref();
                self.topic.is_none_or(|wanted| wanted == *topic) && numbers.is_none_or(|wanted| *wanted.end() > to)
            }
            Entry::Stage(_) => self.topic.is_none() && self.numbers.is_none(),
            Entry::Lost(_) => true,
        };
        let is_of = match (&self.module, row.entry.module()) {
            (Some(wanted), Some(module)) => wanted == module,
            _ => true,
        };
        let is_later = matches!(row.entry, Entry::Reverted(_) | Entry::Dropped(_) | Entry::Lost(_));
        let is_since = self.since.is_none_or(|since| row.number >= since);
        is_about && is_of && is_since && (is_later || self.before.is_none_or(|before| row.number < before))
    }
}
