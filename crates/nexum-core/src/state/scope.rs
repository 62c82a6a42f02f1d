//! One event, one transaction: what a handler has written so far, over what was committed before it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{Limit, LimitUsage, Limits};
use tokio::time::Instant;

use super::{Change, Changes, ModuleId, Usage, rows};
use crate::event::Handler;
use crate::store::{StateStore, StoreError, View};

/// How much of an event's time is left to the guest at most by a host function that waits: far more than a handler computes.
const GUEST_TIME_MAX: Duration = Duration::from_millis(250);

/// Of an event with little time left, so much of it is the guest's: one part in ten.
const GUEST_TIME_PART: u32 = 10;

/// The transaction of the handler that is running.
///
/// Capabilities reach it through their view. Reads see the handler's own writes, then what was committed before. What was
/// written is committed when the handler returns ok, and gone otherwise.
#[derive(Debug)]
pub struct EventScope {
    module: ModuleId,
    store: Arc<dyn StateStore>,
    limits: Limits,
    is_read_only: bool,
    handler: Handler,
    attempt: u32,
    began: Instant,
    /// How long the handler took; none while it runs.
    took: Option<Duration>,
    view: Option<Box<dyn View>>,
    /// What earlier events wrote that is not in the store yet.
    pending: Option<Arc<Pending>>,
    changes: Changes,
    /// Bytes of `state_bytes` that the module's dead letters take.
    reserved: u64,
    used: LimitUsage,
}

/// What events wrote that is not in the store yet: each key's new value, or none where it was deleted.
pub(crate) type Pending = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A handler used up one of its budgets. A host function returns it as its trap: it ends the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has used up its {}", .0.name())]
pub struct BudgetExhausted(pub Limit);

/// Why a key was not set, or not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The module would keep more than it may.
    #[error("the module may keep {quota} bytes of keys and values, and this would make it {wanted}")]
    Quota {
        /// Bytes that it may keep.
        quota: u64,
        /// Bytes that it would keep.
        wanted: u64,
    },
    /// A query may read and nothing else.
    #[error("a query may not write")]
    ReadOnly,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EventScope {
    pub(crate) fn new(module: ModuleId, store: Arc<dyn StateStore>, limits: Limits) -> Self {
        Self {
            module,
            store,
            limits,
            is_read_only: false,
            handler: Handler::Init,
            attempt: 1,
            began: Instant::now(),
            took: None,
            view: None,
            pending: None,
            changes: Changes::default(),
            reserved: 0,
            used: LimitUsage::default(),
        }
    }

    /// The same, but nothing can be changed in it.
    pub(crate) fn read_only(self) -> Self {
        Self {
            is_read_only: true,
            ..self
        }
    }

    /// Opens the transaction of a handler that begins now, over what was written before it. `usage` is what the module keeps with
    /// that.
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
        self.used = LimitUsage::default();
        self.changes = Changes {
            usage,
            ..Changes::default()
        };
    }

    /// Takes so many bytes from what the module may keep.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved = bytes;
    }

    /// Closes the transaction and returns what it changed.
    pub(crate) fn close(&mut self) -> Changes {
        self.view = None;
        self.pending = None;
        let mut changes = std::mem::take(&mut self.changes);
        if !changes.keys.is_empty() {
            changes.keys.retain(|_, change| change.old != change.new);
        }
        changes
    }

    /// The handler that is running, with its event.
    pub fn handler(&self) -> Handler {
        self.handler
    }

    /// Which attempt at the event this is; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the handler is ended, whatever it waits for. A capability that gives up before can tell the guest why.
    pub fn deadline(&self) -> Instant {
        self.began + Duration::from_millis(self.limits[Limit::Deadline])
    }

    /// When a host function that waits has to answer, so that the guest hears why there is no answer and can keep what it learned:
    /// a little before the [`deadline`](Self::deadline).
    pub fn answer_by(&self) -> Instant {
        let end = self.deadline();
        let left = end.saturating_duration_since(Instant::now());
        end - (left / GUEST_TIME_PART).min(GUEST_TIME_MAX)
    }

    /// When the handler began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The handler ran until then.
    pub(crate) fn end(&mut self, at: Instant) {
        self.took = Some(at.duration_since(self.began));
    }

    /// How long the handler has run, waiting in host calls included.
    pub(crate) fn elapsed(&self) -> Duration {
        self.took.unwrap_or_else(|| self.began.elapsed())
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.keys.get(key) {
            Some(change) => Ok(change.new.clone()),
            None => self.before(key),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// When that would make the module keep more than it may, or when this is a query; then nothing has happened, and the handler
    /// can go on. And when the store cannot be read.
    pub fn set(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), SetError> {
        self.check_writable()?;
        let (size, old) = self.current(&key)?;
        let (before, after) = (size.unwrap_or(0), (key.len() + value.len()) as u64);
        let usage = self.changes.usage;
        let wanted = usage.bytes.saturating_sub(before).saturating_add(after);
        let quota = self.limits[Limit::StateBytes].saturating_sub(self.reserved);
        if wanted > quota && after > before {
            return Err(SetError::Quota { quota, wanted });
        }
        self.changes.usage = Usage {
            keys: usage.keys + u64::from(size.is_none()),
            bytes: wanted,
        };
        self.change(key, old, Some(value));
        Ok(())
    }

    /// Deletes a key, if it is there.
    ///
    /// # Errors
    ///
    /// When this is a query; then nothing has happened, and the handler can go on. And when the store cannot be read.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), SetError> {
        self.check_writable()?;
        let (Some(size), old) = self.current(key)? else {
            return Ok(());
        };
        let usage = self.changes.usage;
        self.changes.usage = Usage {
            keys: usage.keys.saturating_sub(1),
            bytes: usage.bytes.saturating_sub(size),
        };
        self.change(key.to_vec(), old, None);
        Ok(())
    }

    /// Shows the keys that start with `prefix` to `visit`, in order, until it breaks off.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn keys(&mut self, prefix: &[u8], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
        if self.view.is_none() {
            self.view = Some(self.store.view()?);
        }
        let Some(view) = &self.view else { return Ok(()) };
        let from = prefix.to_vec();
        let pending = self.pending.iter().flat_map(|pending| pending.range(from.clone()..));
        let pending = pending.map(|(key, value)| (&key[..], value.is_some()));
        let changed = self.changes.keys.range(from.clone()..);
        let changed = changed.map(|(key, change)| (&key[..], change.new.is_some()));
        let begins = |(key, _): &(&[u8], bool)| key.starts_with(prefix);
        // The handler's own changes come last: they stand.
        let written: BTreeMap<&[u8], bool> = pending.take_while(begins).chain(changed.take_while(begins)).collect();
        let mut written = written.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        rows::scan(&**view, &rows::state(self.module, prefix), None, &mut |row, _| {
            let stored = rows::guest_key(row);
            while flow.is_continue()
                && let Some((key, present)) = written.next_if(|(key, _)| *key < stored)
            {
                flow = if present { visit(key) } else { flow };
            }
            if flow.is_continue() {
                flow = match written.next_if(|(key, _)| *key == stored) {
                    Some((_, false)) => flow,
                    Some((_, true)) | None => visit(stored),
                };
            }
            flow
        })?;
        for (key, present) in written {
            if flow.is_break() {
                break;
            }
            flow = if present { visit(key) } else { flow };
        }
        Ok(())
    }

    /// Says that the handler did something outside that must not be forgotten: the event's cursor is made durable before the
    /// module's next event, even if it wrote nothing.
    pub fn mark_effect(&mut self) {
        self.changes.effect = true;
    }

    /// Takes `amount` off the handler's budget for the host's work.
    ///
    /// # Errors
    ///
    /// When the budget does not have so much: the host function that asked returns the error as its trap.
    pub fn spend(&mut self, limit: Limit, amount: u64) -> Result<(), BudgetExhausted> {
        match self.used.add(limit, amount) <= self.limits[limit] {
            true => Ok(()),
            false => Err(BudgetExhausted(limit)),
        }
    }

    /// How much of a budget the handler has left. A host function stops collecting where its answer passes that, and then
    /// [spends](Self::spend) what the answer took, which ends the event.
    pub fn left(&self, limit: Limit) -> u64 {
        self.limits[limit].saturating_sub(self.used[limit])
    }

    /// What the module keeps with what the handler has written.
    pub(crate) fn usage(&self) -> Usage {
        self.changes.usage
    }

    /// What the handler has used of its budgets.
    pub(crate) fn used(&self) -> &LimitUsage {
        &self.used
    }

    fn check_writable(&self) -> Result<(), SetError> {
        match self.is_read_only {
            true => Err(SetError::ReadOnly),
            false => Ok(()),
        }
    }

    /// The value of a key before the handler changed it.
    fn before(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.pending.as_ref().and_then(|pending| pending.get(key)) {
            return Ok(value.clone());
        }
        let row = rows::state(self.module, key);
        match &self.view {
            Some(view) => view.get(&row),
            None => self.view.insert(self.store.view()?).get(&row),
        }
    }

    /// How many bytes a key takes now with its value, none if it is not there; and the value before the handler, if that has
    /// not changed it yet.
    fn current(&mut self, key: &[u8]) -> Result<(Option<u64>, Option<Vec<u8>>), StoreError> {
        let size = |value: &Vec<u8>| (key.len() + value.len()) as u64;
        if let Some(change) = self.changes.keys.get(key) {
            return Ok((change.new.as_ref().map(size), None));
        }
        let old = self.before(key)?;
        Ok((old.as_ref().map(size), old))
    }

    /// Changes a key that had the value `old` before, if this is the first change of it.
    fn change(&mut self, key: Vec<u8>, old: Option<Vec<u8>>, new: Option<Vec<u8>>) {
        match self.changes.keys.entry(key) {
            Entry::Occupied(mut changed) => changed.get_mut().new = new,
            Entry::Vacant(unchanged) => drop(unchanged.insert(Change { old, new })),
        }
    }
}
