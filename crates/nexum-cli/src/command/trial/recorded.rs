//! Repeats recorded events, and compares each with the module's recorded acts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use nexum_core::capability::Handler;
use nexum_core::ledger::{CallInputs, KnownKey};
use nexum_core::trial::{StateOf, Trial, Tried, handles_block};
use nexum_ledger::Reader;

use super::record::{Record, Recorded};
use super::replayed::keys_of;
use super::report::{EventReport, Write};
use super::start::Start;
use super::tally::Tally;
use super::{Subject, refusal};
use crate::configure::LEDGER_DIR;
use crate::report::bars::Progress;
use crate::report::{Refusal, Refusals};

/// The record of a range, or the reason why the ledger has none.
///
/// # Errors
///
/// If the ledger cannot be read.
pub(super) fn find(
    subject: &Subject,
    chain_id: u64,
    blocks: &RangeInclusive<u64>,
) -> Result<Result<Record, Option<String>>, Refusal> {
    let Subject { module, config, .. } = subject;
    let name = &module.meta.name;
    let folder = config.state_dir.join(LEDGER_DIR);
    let record = match folder.is_dir() {
        true => Record::read(Reader::new(folder.to_path_buf()), name.as_str(), chain_id, blocks),
        false => Ok(None),
    };
    let record = record.map_err(|error| Refusal::with_hint_of(&error))?;
    Ok(match record {
        Some(mut record) => {
            record.note_absent(blocks, |number| handles_block(module, chain_id, number));
            Ok(record)
        }
        None => {
            let (first, last) = (blocks.start(), blocks.end());
            Err(Some(format!(
                "the event ledger has no event of {name} on the blocks {first} to {last}"
            )))
        }
    })
}

/// A replay of recorded events.
pub(super) struct Repetition {
    trial: Trial,
    /// The state of another version. `None` for the module's own, which sees the recorded state.
    other: Option<OtherState>,
    tally: Tally,
    /// The number of events that another component or configuration handled.
    other_versions: u64,
}

/// The state of another version beside the module's own.
struct OtherState {
    /// The keys of the module's own state, as far as the record shows them. `None` for an absent key.
    own: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The keys that the other version has written.
    written: BTreeSet<Vec<u8>>,
    /// Whether `own` was the whole state at the beginning.
    is_whole: bool,
}

impl Repetition {
    /// Repeats events with the module's own component.
    pub(super) fn exact(trial: Trial) -> Self {
        Self::new(trial, None)
    }

    /// Repeats events with another component, which starts with this state.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    pub(super) fn with_other(trial: Trial, start: &Start) -> Result<Self, Refusal> {
        let name = &trial.module().meta.name;
        let own = match start.is_own {
            true => keys_of(&*start.store, name)?,
            false => BTreeMap::new(),
        };
        let other = OtherState {
            own: own.into_iter().map(|(key, value)| (key, Some(value))).collect(),
            written: BTreeSet::new(),
            is_whole: start.is_own,
        };
        Ok(Self::new(trial, Some(other)))
    }

    fn new(trial: Trial, other: Option<OtherState>) -> Self {
        Self {
            trial,
            other,
            tally: Tally::default(),
            other_versions: 0,
        }
    }

    /// Repeats all events of a record.
    ///
    /// # Errors
    ///
    /// If the ledger or the state of the trial cannot be read.
    pub(super) async fn run(&mut self, record: &Record) -> Result<(), Refusals> {
        let failed = |error: nexum_ledger::LedgerError| Refusal::with_hint_of(&error);
        let progress = Progress::new(format!("replaying {}", self.trial.module().meta.name), "events");
        let mut attempts = record.attempts().map_err(failed)?;
        let mut done = 0;
        while let Some(recorded) = attempts.next().map_err(failed)? {
            self.repeat(&recorded).await?;
            done += 1;
            progress.reached(done, record.whole);
        }
        Ok(())
    }

    async fn repeat(&mut self, recorded: &Recorded) -> Result<(), Refusals> {
        let Recorded {
            attempt,
            content,
            start,
        } = recorded;
        let meta = &self.trial.module().meta;
        let is_of_present = attempt.module.digest == *meta.digest.as_bytes()
            && attempt.module.revision.is_none_or(|revision| revision == meta.revision);
        self.other_versions += u64::from(!is_of_present);
        let state = match &mut self.other {
            None => StateOf::TheRecord,
            Some(other) => {
                let of_start = start.iter().flat_map(|start| &start.call.keys);
                for (key, known) in of_start.chain(&content.call.keys) {
                    other.correct(&mut self.trial, key, known)?;
                }
                StateOf::TheTrial
            }
        };
        let tried = self.trial.repeat(attempt.event, content, start.as_deref(), state).await;
        let tried = tried.map_err(refusal)?;
        let mut old = Vec::new();
        if tried.iter().any(|tried| tried.handler == Handler::Init)
            && let Some(start) = start
        {
            old.push(EventReport::of_start(attempt, &start.call));
        }
        old.push(EventReport::of_attempt(attempt, &content.call));
        if let Some(other) = &mut self.other {
            if let Some(start) = start.as_deref().filter(|_| old.len() > 1) {
                other.wrote(&start.call);
            }
            other.wrote(&content.call);
        }
        let new: Vec<_> = tried.iter().map(|tried| self.reported(tried)).collect();
        self.tally.compare(&old, &new);
        Ok(())
    }

    fn reported(&mut self, tried: &Tried) -> EventReport {
        let mut report = EventReport::of(tried);
        if let Some(other) = &mut self.other {
            let unknown = tried
                .absent
                .iter()
                .filter(|key| !other.is_whole && !other.own.contains_key(*key));
            let unknown = unknown.map(|key| format!("the key {}", Write::of((key, None)).key));
            report.not_recorded.extend(unknown);
            other.written.extend(tried.writes.keys().cloned());
        }
        report
    }

    /// The counts of the replay, and the number of events that another component or configuration handled.
    pub(super) fn end(self) -> (Tally, u64) {
        (self.tally, self.other_versions)
    }
}

impl OtherState {
    /// Takes over the value of a key in the record, unless the other version has its own value of it.
    fn correct(&mut self, trial: &mut Trial, key: &[u8], known: &KnownKey) -> Result<(), Refusal> {
        let value = match known {
            KnownKey::Absent | KnownKey::Deleted => None,
            KnownKey::Value(value) => Some(value.to_vec()),
            KnownKey::Listed if !matches!(self.own.get(key), Some(Some(_))) => Some(Vec::new()),
            KnownKey::Listed | KnownKey::LeftOut => return Ok(()),
        };
        if self.own.get(key) != Some(&value) {
            if !self.written.contains(key) {
                trial.correct(key, value.as_deref()).map_err(refusal)?;
            }
            self.own.insert(key.to_vec(), value);
        }
        Ok(())
    }

    /// Adds the recorded writes of a handler call.
    fn wrote(&mut self, call: &CallInputs) {
        for (key, value) in &call.writes {
            let value = value.as_ref().map(|value| value.to_vec());
            self.own.insert(key.to_vec(), value);
        }
    }
}
