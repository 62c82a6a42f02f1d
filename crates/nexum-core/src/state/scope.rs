//! One event, one transaction: the uncommitted changes of a handler call, over the committed state.

pub(crate) mod journal;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{Limit, LimitUsage, Limits};
use nexum_config::names::ModuleName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::journal::Journal;
use self::journal::tape::Tape;
use super::{CapabilityRows, Changes, EffectChanges, ModuleId, Usage};
use crate::event::Handler;
use crate::store::{StateStore, StoreError, View};

/// The most time that a waiting host function leaves to the guest. Handlers compute far less.
const GUEST_TIME_MAX: Duration = Duration::from_millis(250);

/// The guest's part of a short remaining time: one in ten.
const GUEST_TIME_PART: u32 = 10;

/// The transaction of the current handler call.
///
/// Capabilities reach it through their view. Reads return the handler's own changes first, then the
/// committed state. nexum commits the changes when the handler returns ok, and otherwise discards
/// them.
#[derive(Debug)]
pub struct EventScope {
    /// The module whose rows the handler reads. `None` if the store does not have it.
    rows_of: Option<ModuleId>,
    store: Arc<dyn StateStore>,
    limits: Limits,
    is_read_only: bool,
    /// The name of another module, if a query reads its rows.
    reads: Option<ModuleName>,
    handler: Handler,
    attempt: u32,
    began: Instant,
    /// The duration of the handler call. `None` while it runs.
    took: Option<Duration>,
    /// Cancelled at the end of the handler call. `None` until a capability asks for it.
    ended: Option<CancellationToken>,
    view: Option<Box<dyn View>>,
    /// The changes of earlier events that are not yet in the store.
    pending: Option<Arc<Pending>>,
    changes: Changes,
    journal: Journal,
    /// Whether the ledger gets what the handler call sees.
    is_recorded: bool,
    /// Bytes of `state_bytes` that the module's dead letters take.
    reserved: u64,
    used: LimitUsage,
}

/// The changes of events that are not yet in the store: each key's new value, or `None` if it was
/// deleted.
pub(crate) type Pending = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A handler call has used up a budget. A host function returns this as its trap, which ends the
/// event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has used up its {}", .0.name())]
pub struct BudgetExhausted(pub Limit);

/// An error of setting or deleting a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The module's state would exceed its limit.
    #[error("the module's state may have {quota} bytes of keys and values, and this change would make it {wanted}")]
    Quota {
        /// The limit, in bytes.
        quota: u64,
        /// The size of the state with this change, in bytes.
        wanted: u64,
    },
    /// The module's state would have more keys than its limit.
    #[error("the module's state may have {keys_max} keys, and this change would make it {wanted}")]
    Keys {
        /// The limit.
        keys_max: u64,
        /// The number of keys with this change.
        wanted: u64,
    },
    /// A query cannot write.
    #[error("a query may not write")]
    ReadOnly,
    /// The store is not readable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EventScope {
    pub(crate) fn new(module: ModuleId, store: Arc<dyn StateStore>, limits: Limits) -> Self {
        Self {
            journal: Journal::without_runner(store.clone()),
            rows_of: Some(module),
            store,
            limits,
            is_read_only: false,
            reads: None,
            handler: Handler::Init,
            attempt: 1,
            began: Instant::now(),
            took: None,
            ended: None,
            view: None,
            pending: None,
            changes: Changes::default(),
            is_recorded: false,
            reserved: 0,
            used: LimitUsage::default(),
        }
    }

    /// Gives the transaction a journal, so that its handlers may have effects.
    pub(crate) fn with_effects(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// Makes the transaction read-only. With `reads`, it reads the rows of the module of this name.
    pub(crate) fn read_only(self, reads: Option<ModuleName>) -> Self {
        Self {
            is_read_only: true,
            reads,
            ..self
        }
    }

    /// Opens the transaction of a handler call that starts now, over `pending`. `usage` is the size
    /// of the module's state, including `pending`.
    pub(crate) fn open(
        &mut self,
        handler: Handler,
        now: Instant,
        attempt: u32,
        usage: Usage,
        pending: Option<Arc<Pending>>,
    ) {
        self.handler = handler;
        self.attempt = attempt;
        self.began = now;
        self.took = None;
        self.view = None;
        self.pending = pending;
        self.is_recorded = false;
        self.used = LimitUsage::default();
        self.changes = Changes {
            usage,
            ..Changes::default()
        };
    }

    /// Takes this many bytes from the module's allowance for state.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved = bytes;
    }

    /// Records for the ledger what the handler call sees. Called after the call has begun and its bytes are reserved.
    pub(crate) fn record(&mut self) {
        self.is_recorded = true;
        self.journal.record(Tape::new(self.changes.usage, self.reserved));
    }

    /// Closes the transaction, and returns its changes.
    pub(crate) fn close(&mut self) -> Changes {
        self.view = None;
        self.pending = None;
        // The size stays, for the record of the use.
        let after = Changes {
            usage: self.changes.usage,
            ..Changes::default()
        };
        let mut changes = std::mem::replace(&mut self.changes, after);
        if !changes.keys.is_empty() {
            changes.keys.retain(|_, change| change.old != change.new);
        }
        changes.effects = self.journal.close(true);
        changes
    }

    /// Ends a failed transaction, and returns what remains of it: the changes of the records of its effects.
    pub(crate) fn close_failed(&mut self) -> Option<Box<EffectChanges>> {
        self.journal.close(false)
    }

    /// The committed rows of a capability.
    pub(crate) fn capability_rows(&self, name: &'static str) -> CapabilityRows {
        CapabilityRows::new(self.store.clone(), name)
    }

    /// The effects of the current handler call.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The current handler, with its event.
    pub fn handler(&self) -> Handler {
        self.handler
    }

    /// The number of this attempt at the event, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The time at which nexum ends the handler call, even if it waits. A capability that gives up
    /// earlier can tell the guest the reason.
    pub fn deadline(&self) -> Instant {
        self.began + Duration::from_millis(self.limits[Limit::Deadline])
    }

    /// The time by which a waiting host function has to return, a little before the
    /// [`deadline`](Self::deadline). So the guest receives the reason of a missing answer, and can
    /// save its work.
    pub fn answer_by(&self) -> Instant {
        let end = self.deadline();
        let left = end.saturating_duration_since(Instant::now());
        end - (left / GUEST_TIME_PART).min(GUEST_TIME_MAX)
    }

    /// A token that nexum cancels at the end of the handler call. A capability that works for the
    /// guest outside a host call stops the work then.
    pub fn ended(&mut self) -> CancellationToken {
        self.ended.get_or_insert_default().clone()
    }

    /// The start of the handler call.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Records the end of the handler call, and cancels the work that capabilities still do for it.
    pub(crate) fn end(&mut self, at: Instant) {
        self.took = Some(at.duration_since(self.began));
        if let Some(ended) = self.ended.take() {
            ended.cancel();
        }
    }

    /// The duration of the handler call so far, including waits in host calls.
    pub(crate) fn elapsed(&self) -> Duration {
        self.took.unwrap_or_else(|| self.began.elapsed())
    }

    /// Subtracts `amount` from the handler's budget for the host's work.
    ///
    /// # Errors
    ///
    /// Fails if less than `amount` is left. The calling host function returns the error as its
    /// trap.
    pub fn spend(&mut self, limit: Limit, amount: u64) -> Result<(), BudgetExhausted> {
        match self.used.add(limit, amount) <= self.limits[limit] {
            true => Ok(()),
            false => Err(BudgetExhausted(limit)),
        }
    }

    /// Whether one item of this size is within its limit. Records the largest item that is.
    pub fn fits(&mut self, limit: Limit, size: u64) -> bool {
        let fits = size <= self.limits[limit];
        if fits {
            self.used.set(limit, self.used[limit].max(size));
        }
        fits
    }

    /// The rest of a budget. A host function stops collecting when its answer exceeds the rest, and
    /// then [spends](Self::spend) the size of the answer, which ends the event.
    pub fn left(&self, limit: Limit) -> u64 {
        self.limits[limit].saturating_sub(self.used[limit])
    }

    /// The size of the module's state, including the handler's changes.
    pub(crate) fn usage(&self) -> Usage {
        self.changes.usage
    }

    /// The handler's use of its budgets.
    pub(crate) fn used(&self) -> &LimitUsage {
        &self.used
    }
}

#[cfg(test)]
mod tests;
