//! The keys of a module, as a handler sees them: its own changes over those of earlier events, over
//! the committed rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, ControlFlow};

use nexum_config::limits::Limit;

use super::{EventScope, SetError};
use crate::state::admin::find_async;
use crate::state::{Change, Usage, rows};
use crate::store::{Answer, StoreError};

impl EventScope {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.keys.get(key) {
            Some(change) => Ok(change.new.clone()),
            None => self.before(key).await,
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// Fails if the module's state would exceed its limit of bytes or keys, or if this is a query.
    /// Then nothing has changed, and the handler can continue. Also fails if the store is not
    /// readable.
    pub async fn set(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), SetError> {
        self.check_writable()?;
        let (size, old) = self.current(&key).await?;
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
    pub async fn apply(
        &mut self,
        writes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), SetError> {
        self.check_writable()?;
        let writes: BTreeMap<_, _> = writes.into_iter().collect();
        let mut after = self.changes.usage;
        let mut olds = Vec::with_capacity(writes.len());
        for (key, value) in &writes {
            let (size, old) = self.current(key).await?;
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
    pub async fn delete(&mut self, key: &[u8]) -> Result<(), SetError> {
        self.check_writable()?;
        let (Some(size), old) = self.current(key).await? else {
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
    pub async fn keys(
        &mut self,
        prefix: &[u8],
        visit: &mut (dyn FnMut(&[u8]) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        let mut visit = |key: &[u8], value: Option<&[u8]>| match value {
            Some(_) => visit(key),
            None => ControlFlow::Continue(()),
        };
        self.visit(prefix, None, Look::AtKeys, &mut visit).await
    }

    /// Passes the keys that start with `prefix`, and their values, to `visit`, in order, until it
    /// breaks off. With `after`, starts after that key. Passes a key without a value if the handler or a
    /// recent event has deleted it, so that the caller can bound these looks too.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub async fn entries(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<(), StoreError> {
        self.visit(prefix, after, Look::AtValues, visit).await
    }

    async fn visit(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        look: Look,
        visit: &mut VisitEntry<'_>,
    ) -> Result<(), StoreError> {
        if self.view.is_none() {
            self.open_view().await?;
        }
        let (Some(view), Some(module)) = (&self.view, self.rows_of) else {
            return Ok(());
        };
        let mut visit = |key: &[u8], value: Option<&[u8]>| {
            if self.is_recorded && !self.changes.keys.contains_key(key) {
                match (look, value) {
                    (Look::AtValues, Some(value)) => self.journal.saw(key, Some(value)),
                    (_, value) => self.journal.listed(key, value.is_some()),
                }
            }
            visit(key, value)
        };
        let mut written = self.written(prefix, after).peekable();
        let mut flow = ControlFlow::Continue(());
        let rows_after = after.map(|after| rows::state(module, after));
        rows::scan_async(
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
        )
        .await?;
        for (key, value) in written {
            if flow.is_break() {
                break;
            }
            flow = visit(key, value);
        }
        Ok(())
    }

    /// The keys that start with `prefix` and that the handler or an earlier pending event has written, in
    /// order. With `after`, starts after that key.
    fn written<'a>(&'a self, prefix: &'a [u8], after: Option<&'a [u8]>) -> WrittenKeys<'a> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = (from, Bound::Unbounded);
        let pending = self
            .pending
            .iter()
            .flat_map(move |pending| pending.range::<[u8], _>(range));
        let pending = pending.map(|(key, value)| (&key[..], value.as_deref()));
        let changed = self.changes.keys.range::<[u8], _>(range);
        let changed = changed.map(|(key, change)| (&key[..], change.new.as_deref()));
        let begins = move |(key, _): &Written<'_>| key.starts_with(prefix);
        Box::new(overlaid(pending.take_while(begins), changed.take_while(begins)))
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
    async fn before(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.committed(key).await?;
        if self.is_recorded {
            self.journal.saw(key, value.as_deref());
        }
        Ok(value)
    }

    async fn committed(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.pending.as_ref().and_then(|pending| pending.get(key)) {
            return Ok(value.clone());
        }
        if self.view.is_none() {
            // A box keeps the future of all other reads small.
            Box::pin(self.open_view()).await?;
        }
        let (Some(view), Some(module)) = (&self.view, self.rows_of) else {
            return Ok(None);
        };
        let row = rows::state(module, key);
        match view.get_async(&row) {
            Answer::Left(at_once) => at_once.into_inner(),
            Answer::Right(later) => later.await,
        }
    }

    /// Opens the view of the committed state at the first read of the handler call. Events may
    /// change the rows during a query, so a query reads a snapshot.
    async fn open_view(&mut self) -> Result<(), StoreError> {
        let view = match self.is_read_only {
            true => self.store.frozen_async().await?,
            false => self.store.view()?,
        };
        if let Some(name) = &self.reads {
            self.rows_of = find_async(&*view, name).await?;
        }
        self.view = Some(view);
        Ok(())
    }

    /// The current size of a key with its value in bytes, or `None` if the key does not exist. And
    /// the value before the handler call, if the handler has not changed the key yet.
    async fn current(&mut self, key: &[u8]) -> Result<(Option<u64>, Option<Vec<u8>>), StoreError> {
        let size = |value: &Vec<u8>| (key.len() + value.len()) as u64;
        if let Some(change) = self.changes.keys.get(key) {
            return Ok((change.new.as_ref().map(size), None));
        }
        let old = self.before(key).await?;
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

/// Whether the caller looks at the values of the keys that it visits.
#[derive(Clone, Copy)]
enum Look {
    AtKeys,
    AtValues,
}

/// Takes a key with its value, or `None` if it was deleted.
pub(crate) type VisitEntry<'a> = dyn FnMut(&[u8], Option<&[u8]>) -> ControlFlow<()> + Send + 'a;

/// A key that a handler wrote, with its value, or `None` if it was deleted.
type Written<'a> = (&'a [u8], Option<&'a [u8]>);

/// Written keys, in order. The trait object lets host functions move to another thread while they wait.
type WrittenKeys<'a> = Box<dyn Iterator<Item = Written<'a>> + Send + 'a>;

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
