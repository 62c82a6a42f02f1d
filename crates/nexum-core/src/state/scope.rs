//! One event, one transaction: the uncommitted changes of a handler call, over the committed state.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{Limit, LimitUsage, Limits};
use nexum_config::names::ModuleName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admin::find;
use super::{Change, Changes, ModuleId, Usage, rows};
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
            reserved: 0,
            used: LimitUsage::default(),
        }
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
        changes
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

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
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
    /// Fails if the module's state would exceed its limit of bytes or keys, or if this is a query.
    /// Then nothing has changed, and the handler can continue. Also fails if the store is not
    /// readable.
    pub fn set(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), SetError> {
        self.check_writable()?;
        let (size, old) = self.current(&key)?;
        let after = self.changes.usage.after(size, Some((key.len() + value.len()) as u64));
        self.check_quota(after)?;
        self.changes.usage = after;
        self.change(key, old, Some(value));
        Ok(())
    }

    /// Sets each key that has a value here, and deletes the others. The last one of several writes to
    /// one key holds.
    ///
    /// # Errors
    ///
    /// Fails in the cases of [`Self::set`], for the module's state after all writes. Then nothing has
    /// changed.
    pub fn apply(&mut self, writes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<(), SetError> {
        self.check_writable()?;
        let writes: BTreeMap<_, _> = writes.into_iter().collect();
        let mut after = self.changes.usage;
        let mut olds = Vec::with_capacity(writes.len());
        for (key, value) in &writes {
            let (size, old) = self.current(key)?;
            after = after.after(size, value.as_ref().map(|value| (key.len() + value.len()) as u64));
            olds.push((size.is_some(), old));
        }
        self.check_quota(after)?;
        self.changes.usage = after;
        for ((key, value), (exists, old)) in writes.into_iter().zip(olds) {
            if exists || value.is_some() {
                self.change(key, old, value);
            }
        }
        Ok(())
    }

    /// Deletes a key, if it exists.
    ///
    /// # Errors
    ///
    /// Fails if this is a query. Then nothing has changed, and the handler can continue. Also fails
    /// if the store is not readable.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), SetError> {
        self.check_writable()?;
        let (Some(size), old) = self.current(key)? else {
            return Ok(());
        };
        self.changes.usage = self.changes.usage.after(Some(size), None);
        self.change(key.to_vec(), old, None);
        Ok(())
    }

    /// Passes the keys that start with `prefix` to `visit`, in order, until it breaks off.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub fn keys(&mut self, prefix: &[u8], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.entries(prefix, None, &mut |key, value| match value {
            Some(_) => visit(key),
            None => ControlFlow::Continue(()),
        })
    }

    /// Passes the keys that start with `prefix`, and their values, to `visit`, in order, until it
    /// breaks off. With `after`, starts after that key. Passes a key without a value if the handler or a
    /// recent event has deleted it, so that the caller can bound these looks too.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub fn entries(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<(), StoreError> {
        self.open_view()?;
        let (Some(view), Some(module)) = (&self.view, self.rows_of) else {
            return Ok(());
        };
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = (from, Bound::Unbounded);
        let pending = self.pending.iter().flat_map(|pending| pending.range::<[u8], _>(range));
        let pending = pending.map(|(key, value)| (&key[..], value.as_deref()));
        let changed = self.changes.keys.range::<[u8], _>(range);
        let changed = changed.map(|(key, change)| (&key[..], change.new.as_deref()));
        let begins = |(key, _): &Written<'_>| key.starts_with(prefix);
        let mut written = overlaid(pending.take_while(begins), changed.take_while(begins)).peekable();
        let mut flow = ControlFlow::Continue(());
        let rows_after = after.map(|after| rows::state(module, after));
        rows::scan(
            &**view,
            &rows::state(module, prefix),
            rows_after.as_deref(),
            &mut |row, stored_value| {
                let stored = rows::guest_key(row);
                while flow.is_continue()
                    && let Some((key, value)) = written.next_if(|(key, _)| *key < stored)
                {
                    flow = visit(key, value);
                }
                if flow.is_continue() {
                    let value = match written.next_if(|(key, _)| *key == stored) {
                        Some((_, value)) => value,
                        None => Some(stored_value),
                    };
                    flow = visit(stored, value);
                }
                flow
            },
        )?;
        for (key, value) in written {
            if flow.is_break() {
                break;
            }
            flow = visit(key, value);
        }
        Ok(())
    }

    /// Records that the handler has had an external effect. nexum then makes the event's cursor
    /// durable before the module's next event, even if the event changed no key.
    pub fn mark_effect(&mut self) {
        self.changes.effect = true;
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

    fn check_writable(&self) -> Result<(), SetError> {
        match self.is_read_only {
            true => Err(SetError::ReadOnly),
            false => Ok(()),
        }
    }

    /// Fails if the module's state exceeds a limit with `after`, and is smaller in this respect now.
    fn check_quota(&self, after: Usage) -> Result<(), SetError> {
        let before = self.changes.usage;
        let quota = self.limits[Limit::StateBytes].saturating_sub(self.reserved);
        if after.bytes > quota && after.bytes > before.bytes {
            let wanted = after.bytes;
            return Err(SetError::Quota { quota, wanted });
        }
        let keys_max = self.limits[Limit::StateKeys];
        if after.keys > keys_max && after.keys > before.keys {
            let wanted = after.keys;
            return Err(SetError::Keys { keys_max, wanted });
        }
        Ok(())
    }

    /// The value of a key before the handler call.
    fn before(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.pending.as_ref().and_then(|pending| pending.get(key)) {
            return Ok(value.clone());
        }
        self.open_view()?;
        match (&self.view, self.rows_of) {
            (Some(view), Some(module)) => view.get(&rows::state(module, key)),
            _ => Ok(None),
        }
    }

    /// Opens the view of the committed state at the first read of the handler call. Events may
    /// change the rows during a query, so a query reads a snapshot.
    fn open_view(&mut self) -> Result<(), StoreError> {
        if self.view.is_some() {
            return Ok(());
        }
        let view = match self.is_read_only {
            true => self.store.frozen()?,
            false => self.store.view()?,
        };
        if let Some(name) = &self.reads {
            self.rows_of = find(&*view, name)?;
        }
        self.view = Some(view);
        Ok(())
    }

    /// The current size of a key with its value in bytes, or `None` if the key does not exist. And
    /// the value before the handler call, if the handler has not changed the key yet.
    fn current(&mut self, key: &[u8]) -> Result<(Option<u64>, Option<Vec<u8>>), StoreError> {
        let size = |value: &Vec<u8>| (key.len() + value.len()) as u64;
        if let Some(change) = self.changes.keys.get(key) {
            return Ok((change.new.as_ref().map(size), None));
        }
        let old = self.before(key)?;
        Ok((old.as_ref().map(size), old))
    }

    /// Changes a key. `old` is its value before the first change, and later changes ignore it.
    fn change(&mut self, key: Vec<u8>, old: Option<Vec<u8>>, new: Option<Vec<u8>>) {
        match self.changes.keys.entry(key) {
            Entry::Occupied(mut changed) => changed.get_mut().new = new,
            Entry::Vacant(unchanged) => drop(unchanged.insert(Change { old, new })),
        }
    }
}

/// Takes a key with its value, or `None` if it was deleted.
pub(crate) type VisitEntry<'a> = dyn FnMut(&[u8], Option<&[u8]>) -> ControlFlow<()> + 'a;

/// A key that a handler wrote, with its value, or `None` if it was deleted.
type Written<'a> = (&'a [u8], Option<&'a [u8]>);

/// The entries of two ordered lists, in order. An entry of `over` replaces that of `under` with its key.
fn overlaid<'a>(
    under: impl Iterator<Item = Written<'a>>,
    over: impl Iterator<Item = Written<'a>>,
) -> impl Iterator<Item = Written<'a>> {
    let (mut under, mut over) = (under.peekable(), over.peekable());
    std::iter::from_fn(move || {
        let next = over.peek().map(|(key, _)| *key);
        match under.next_if(|(key, _)| next.is_none_or(|next| *key < next)) {
            Some(written) => Some(written),
            None => {
                under.next_if(|(key, _)| Some(*key) == next);
                over.next()
            }
        }
    })
}

#[cfg(test)]
mod tests;
