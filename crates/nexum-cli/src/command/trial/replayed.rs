//! Two versions of a module on a range of blocks, or one version and the state that the module has.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_config::names::ModuleName;
use nexum_core::source::Advance;
use nexum_core::state::admin;
use nexum_core::store::StateStore;
use nexum_core::trial::{Trial, TrialError, Tried, has_handled};
use serde::Serialize;

use super::difference::{Difference, Line, write};
use super::report::{EventReport, Write};
use super::start::{Start, Unknown};
use crate::report::{Refusal, Refusals};

/// The most differences, failures and keys that a replay keeps and shows. It counts all of them.
const SHOWN_MAX: usize = 200;

/// The outcome of `nexum replay`.
#[derive(Debug, Serialize)]
pub(super) struct ReplayReport {
    pub(super) module: String,
    /// The digest of the module's own component.
    pub(super) digest: String,
    /// The digest of the other component. `null` without `--with`.
    pub(super) with_digest: Option<String>,
    pub(super) chain_id: u64,
    pub(super) first_block: u64,
    pub(super) last_block: u64,
    /// The state before the first block, in words.
    pub(super) start: String,
    /// The number of events.
    pub(super) events: u64,
    /// The number of events at which the two versions did something else.
    pub(super) differ: u64,
    /// The first of these events.
    pub(super) differences: Vec<Difference>,
    /// The number of events that failed; with `--with`, of the new version.
    pub(super) failed: u64,
    /// The first of these events, without `--with`.
    pub(super) failures: Vec<Failed>,
    /// The number of effects that nexum did not send; with `--with`, of the new version.
    pub(super) effects: u64,
    /// The number of reads with answers of today; with `--with`, without those that both versions made.
    pub(super) not_pinned: u64,
    /// The comparison with the state that the module has. `null` with `--with`.
    pub(super) history: Option<History>,
}

/// An event that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) event: String,
    pub(super) failure: String,
}

/// The comparison of the state after the last block with the state that the module had then.
#[derive(Debug, Serialize)]
#[serde(tag = "compared", rename_all = "snake_case")]
pub(super) enum History {
    /// Both states are known.
    Yes {
        /// The number of keys after the last block.
        keys: u64,
        /// The number of keys with another value.
        differ: u64,
        /// The first of these keys: `old` is the state of the module.
        lines: Vec<Line>,
    },
    /// The module's state before the first block or after the last one is not known.
    No {
        /// The reason.
        reason: String,
    },
}

impl ReplayReport {
    /// Whether nothing differs. Without another version, no event may fail.
    pub(super) fn is_equal(&self) -> bool {
        let is_like_history = match &self.history {
            Some(History::Yes { differ, .. }) => *differ == 0,
            _ => true,
        };
        self.differ == 0 && is_like_history && (self.with_digest.is_some() || self.failed == 0)
    }
}

/// The trials of a replay, and what they did so far.
pub(super) struct Comparison {
    old: Trial,
    new: Option<Trial>,
    filters: Arc<[LogFilter]>,
    store: Arc<dyn StateStore>,
    events: u64,
    differ: u64,
    differences: Vec<Difference>,
    failed: u64,
    failures: Vec<Failed>,
    effects: u64,
    not_pinned: u64,
}

impl Comparison {
    pub(super) fn new(old: Trial, new: Option<Trial>, start: &Start) -> Self {
        let mut filters = old.filters().to_vec();
        filters.extend(new.iter().flat_map(|new| new.filters().to_vec()));
        filters.sort_unstable();
        filters.dedup();
        Self {
            old,
            new,
            filters: filters.into(),
            store: start.store.clone(),
            events: 0,
            differ: 0,
            differences: Vec::new(),
            failed: 0,
            failures: Vec::new(),
            effects: 0,
            not_pinned: 0,
        }
    }

    pub(super) fn module(&self) -> &ModuleName {
        &self.old.module().meta.name
    }

    /// The logs that the blocks need.
    pub(super) fn filters(&self) -> Arc<[LogFilter]> {
        self.filters.clone()
    }

    /// Handles a block with each version.
    ///
    /// # Errors
    ///
    /// If the state of the trial cannot be used.
    pub(super) async fn handle(&mut self, block: &Arc<Advance>) -> Result<(), TrialError> {
        let tried = self.old.handle(block, &BTreeMap::new()).await?;
        let old: Vec<_> = tried.iter().map(EventReport::of).collect();
        let Some(trial) = &mut self.new else {
            self.count(&old);
            for event in old {
                if let (Some(failure), true) = (event.failure, self.failures.len() < SHOWN_MAX) {
                    let event = event.event;
                    self.failures.push(Failed { event, failure });
                }
            }
            return Ok(());
        };
        // The new version gets the answers of the old one, as far as it makes the same calls.
        let answers = tried.into_iter().filter_map(|Tried { handler, calls, .. }| {
            let event = handler.event()?.to_string();
            Some((event, calls.answers?))
        });
        let answers = answers.collect();
        let new = trial.handle(block, &answers).await?;
        let new: Vec<_> = new.iter().map(EventReport::of).collect();
        self.count(&new);
        let others = new.iter().filter(|new| old.iter().all(|old| old.event != new.event));
        let pairs = old
            .iter()
            .map(|old| (Some(old), new.iter().find(|new| new.event == old.event)));
        for (old, new) in pairs.chain(others.map(|new| (None, Some(new)))) {
            if let Some(difference) = Difference::of(old, new).filter(|_| !is_restart(old, new)) {
                let is_counted = new.is_some_and(|new| !is_init(new) || !new.is_ok());
                self.events += u64::from(!is_counted);
                self.differ += 1;
                if self.differences.len() < SHOWN_MAX {
                    self.differences.push(difference);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, events: &[EventReport]) {
        for event in events {
            // An `init` counts only if there is something to say about it.
            self.events += u64::from(!is_init(event) || !event.is_ok());
            self.failed += u64::from(!event.is_ok());
            self.effects += event.effects.len() as u64;
            self.not_pinned += event.not_pinned.iter().map(|calls| calls.count).sum::<u64>();
        }
    }

    /// The outcome, after the last block.
    ///
    /// # Errors
    ///
    /// If a copy of the state cannot be read.
    pub(super) fn end(
        self,
        chain_id: u64,
        blocks: &RangeInclusive<u64>,
        start: &Start,
    ) -> Result<ReplayReport, Refusals> {
        let history = match self.new {
            Some(_) => None,
            None => Some(self.history(chain_id, *blocks.end(), start)?),
        };
        let digest = |trial: &Trial| trial.module().meta.digest.to_string();
        Ok(ReplayReport {
            module: self.module().to_string(),
            digest: digest(&self.old),
            with_digest: self.new.as_ref().map(digest),
            chain_id,
            first_block: *blocks.start(),
            last_block: *blocks.end(),
            start: start.text.clone(),
            events: self.events,
            differ: self.differ,
            differences: self.differences,
            failed: self.failed,
            failures: self.failures,
            effects: self.effects,
            not_pinned: self.not_pinned,
            history,
        })
    }

    /// Compares the state with the one that the module had after the last block.
    fn history(&self, chain_id: u64, last: u64, start: &Start) -> Result<History, Refusal> {
        let no = |reason: String| Ok(History::No { reason });
        let Some(now) = &start.now else {
            return no(format!("the module {} has no state", self.module()));
        };
        if !start.is_own {
            return no("the replay did not start with the module's own state".to_owned());
        }
        if !has_handled(self.old.module(), chain_id, &now.cursors, last) {
            return no(format!("the module has not handled block {last} yet"));
        }
        let own = match now.before(last + 1) {
            Ok(own) => own,
            Err(Unknown::TooDeep(reason)) => return no(reason),
            Err(Unknown::Failed(refusal)) => return Err(refusal),
        };
        let (own, replayed) = (self.keys(&*own)?, self.keys(&*self.store)?);
        let (mut differ, mut lines) = (0, Vec::new());
        let mut keys: Vec<_> = own.keys().chain(replayed.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let [old, new] = [&own, &replayed].map(|state| state.get(key));
            if old == new {
                continue;
            }
            differ += 1;
            if lines.len() < SHOWN_MAX {
                let text = |value: Option<&Vec<u8>>| value.map(|value| write(&Write::of((key, &Some(value.clone())))));
                lines.extend(text(old).map(Line::Old));
                lines.extend(text(new).map(Line::New));
            }
        }
        let keys = own.len() as u64;
        Ok(History::Yes { keys, differ, lines })
    }

    fn keys(&self, store: &dyn StateStore) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Refusal> {
        let mut keys = BTreeMap::new();
        let view = store.view().map_err(|error| Refusal::of(&error))?;
        let scanned = admin::scan(&*view, self.module(), &[], &mut |key, value| {
            keys.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        });
        scanned.map_err(|error| Refusal::of(&error))?;
        Ok(keys)
    }
}

fn is_init(event: &EventReport) -> bool {
    event.event.starts_with("init")
}

/// Whether only one version called `init`, because its instance failed before, and `init` did nothing.
fn is_restart(old: Option<&EventReport>, new: Option<&EventReport>) -> bool {
    let ((Some(alone), None) | (None, Some(alone))) = (old, new) else {
        return false;
    };
    is_init(alone) && alone.is_ok() && alone.writes.is_empty() && alone.effects.is_empty()
}
