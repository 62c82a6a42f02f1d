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

use super::difference::{Line, write};
use super::record::Gap;
use super::report::{EventReport, Write};
use super::start::{Start, Unknown};
use super::tally::{SHOWN_MAX, Tally};
use crate::args::Inputs;
use crate::report::{Refusal, Refusals};

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
    /// The origin of the blocks, the logs and the answers.
    pub(super) inputs: Inputs,
    /// Why nexum read the inputs again, if the operator has not asked for it.
    pub(super) reread_because: Option<String>,
    /// The state before the first event, in words.
    pub(super) start: String,
    #[serde(flatten)]
    pub(super) tally: Tally,
    /// The events that the ledger does not have whole. Empty for inputs that nexum read again.
    pub(super) gaps: Vec<Gap>,
    /// The number of recorded events that another component or configuration of the module handled.
    pub(super) other_versions: u64,
    /// The comparison with the state that the module has. `null` with `--with`, and for recorded inputs, where each
    /// event is compared with what the module did.
    pub(super) history: Option<History>,
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
    /// Whether each event is compared with something: another version, or the record.
    pub(super) fn is_comparison(&self) -> bool {
        self.with_digest.is_some() || self.inputs == Inputs::Recorded
    }

    /// Whether nothing differs. Without a comparison, no event may fail.
    pub(super) fn is_equal(&self) -> bool {
        let is_like_history = match &self.history {
            Some(History::Yes { differ, .. }) => *differ == 0,
            _ => true,
        };
        let Tally { differ, failed, .. } = self.tally;
        differ == 0 && is_like_history && self.gaps.is_empty() && (self.is_comparison() || failed == 0)
    }
}

/// The trials of a replay, and what they did so far.
pub(super) struct Comparison {
    old: Trial,
    new: Option<Trial>,
    filters: Arc<[LogFilter]>,
    store: Arc<dyn StateStore>,
    tally: Tally,
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
            tally: Tally::default(),
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
            self.tally.add(old);
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
        self.tally.compare(&old, &new);
        Ok(())
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
            inputs: Inputs::Reread,
            reread_because: None,
            start: start.text.clone(),
            tally: self.tally,
            gaps: Vec::new(),
            other_versions: 0,
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
        let (own, replayed) = (keys_of(&*own, self.module())?, keys_of(&*self.store, self.module())?);
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
                let text = |value: Option<&Vec<u8>>| value.map(|value| write(&Write::of((key, Some(value)))));
                lines.extend(text(old).map(Line::Old));
                lines.extend(text(new).map(Line::New));
            }
        }
        let keys = own.len() as u64;
        Ok(History::Yes { keys, differ, lines })
    }
}

/// The keys of a module, with their values.
///
/// # Errors
///
/// If the state cannot be read.
pub(super) fn keys_of(store: &dyn StateStore, module: &ModuleName) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Refusal> {
    let mut keys = BTreeMap::new();
    let view = store.view().map_err(|error| Refusal::of(&error))?;
    let scanned = admin::scan(&*view, module, &[], &mut |key, value| {
        keys.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| Refusal::of(&error))?;
    Ok(keys)
}
