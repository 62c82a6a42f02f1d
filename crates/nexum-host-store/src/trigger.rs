//! The WIT implementation for trigger modules.
//!
//! The functions that both versions of the interface have are those of `host.rs`.

use std::ops::ControlFlow;

use nexum_config::limits::{Limit, saturating_usize};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::bindings::trigger::nexum::host::types::Fault;
use nexum_core::capability::{HostCallKind, View};

use crate::bindings::nexum::host::local_store as shared;
use crate::bindings::trigger::nexum::host::local_store::{self, EntryPage, KeyValue, ValueFilter, WriteOp};
use crate::host::{LISTED_KEY_BYTES, answer, check, check_value, error, failed};

/// The most entries of a page, and their number if the module gives none: a page of small values is
/// then far below [`PAGE_BYTES_MAX`].
pub const PAGE_ENTRIES_MAX: u32 = 1_000;

/// The most entries that one page looks at, and their number if the module gives none: the host's
/// thread reads that many in a few milliseconds. It is also the most keys that one page looks at,
/// including those that the event or a recent one has deleted.
pub const PAGE_SCAN_MAX: u32 = 10_000;

/// The bytes of keys and values at which a page ends, unless its first entry has more: what a module
/// with the smallest usual memory can hold. It counts the entries of the page, and also all entries
/// that the page looks at, because the host's thread reads them.
pub const PAGE_BYTES_MAX: u64 = 1 << 20;

/// The memory that each entry of a page takes in the guest beside its bytes: the addresses and the
/// lengths of a `string` and a `list` in the canonical ABI.
const PAGE_ENTRY_BYTES: u64 = 2 * LISTED_KEY_BYTES;

impl local_store::Host for View<'_, ()> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Fault>> {
        let value = shared::Host::get(self, key).await?;
        Ok(value.map_err(Fault::from))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Fault>> {
        let set = shared::Host::set(self, key, value).await?;
        Ok(set.map_err(Fault::from))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Fault>> {
        let deleted = shared::Host::delete(self, key).await?;
        Ok(deleted.map_err(Fault::from))
    }

    async fn list_keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, Fault>> {
        let keys = shared::Host::list_keys(self, prefix).await?;
        Ok(keys.map_err(Fault::from))
    }

    async fn contains(&mut self, key: String) -> wasmtime::Result<Result<bool, Fault>> {
        let value = local_store::Host::get(self, key).await?;
        Ok(value.map(|value| value.is_some()))
    }

    async fn len(&mut self, key: String) -> wasmtime::Result<Result<Option<u64>, Fault>> {
        let value = local_store::Host::get(self, key).await?;
        Ok(value.map(|value| value.map(|value| value.len() as u64)))
    }

    /// Spends what the list of the keys would: the host reads as much.
    async fn count(&mut self, prefix: String) -> wasmtime::Result<Result<u64, Fault>> {
        let call = self.host_call(HostCallKind::Store, "count");
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&prefix) {
            return failed(call, error);
        }
        let left = self.scope.left(Limit::ResponseBytes);
        let (mut keys, mut bytes) = (0, 0);
        let mut visit = |key: &[u8]| {
            keys += 1;
            bytes += key.len() as u64 + LISTED_KEY_BYTES;
            if bytes > left {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        self.scope.keys(prefix.as_bytes(), &mut visit).await?;
        self.scope.spend(Limit::ResponseBytes, bytes)?;
        call.ends(Ok(size_of::<u64>()));
        Ok(Ok(keys))
    }

    async fn list_entries(
        &mut self,
        prefix: String,
        start_after: String,
        limit: u32,
        scan_limit: u32,
        filter: Option<ValueFilter>,
    ) -> wasmtime::Result<Result<EntryPage, Fault>> {
        let call = self.host_call(HostCallKind::Store, "list-entries");
        self.scope.spend(Limit::StoreOperations, 1)?;
        let checked = check(&prefix).and_then(|()| check(&start_after));
        let bounds = checked.and_then(|()| {
            Ok((
                bound("limit", limit, PAGE_ENTRIES_MAX)?,
                bound("scan-limit", scan_limit, PAGE_SCAN_MAX)?,
            ))
        });
        let (limit, scan_limit) = match bounds {
            Ok(bounds) => bounds,
            Err(error) => return failed(call, error),
        };
        let after = (!start_after.is_empty()).then_some(start_after.as_bytes());
        let mut page = Page::new(limit, scan_limit, filter);
        let mut visit = |key: &[u8], value: Option<&[u8]>| page.visit(key, value);
        self.scope.entries(prefix.as_bytes(), after, &mut visit).await?;
        self.spend_call(page.read)?;
        self.scope.spend(Limit::ResponseBytes, page.bytes)?;
        call.ends(Ok(saturating_usize(page.bytes)));
        Ok(Ok(page.page))
    }

    async fn apply(&mut self, ops: Vec<WriteOp>) -> wasmtime::Result<Result<(), Fault>> {
        let call = self.host_call(HostCallKind::Store, "apply");
        self.scope.spend(Limit::StoreOperations, ops.len() as u64)?;
        let mut bytes = 0;
        for op in &ops {
            let (key, value) = match op {
                WriteOp::Set(KeyValue { key, value }) => (key, value.as_slice()),
                WriteOp::Delete(key) => (key, [].as_slice()),
            };
            if let Err(error) = check(key).and_then(|()| check_value(self, value)) {
                return failed(call, error);
            }
            bytes += (key.len() + value.len()) as u64;
        }
        self.scope.spend(Limit::StoreBytesWritten, bytes)?;
        let writes = ops.into_iter().map(|op| match op {
            WriteOp::Set(KeyValue { key, value }) => (key.into_bytes(), Some(value)),
            WriteOp::Delete(key) => (key.into_bytes(), None),
        });
        Ok(answer(call, self.scope.apply(writes).await)?.map_err(Fault::from))
    }
}

/// A requested bound on a page, or the host's bound for zero.
fn bound(what: &str, requested: u32, most: u32) -> Result<u32, HostError> {
    match requested {
        0 => Ok(most),
        requested if requested <= most => Ok(requested),
        requested => {
            let message = format!("the {what} of a page is {requested}, and {most} at most are allowed");
            Err(error(HostErrorKind::InvalidInput, message))
        }
    }
}

/// A page during the scan of its entries.
struct Page {
    page: EntryPage,
    limit: u32,
    /// How many more entries the scan may look at.
    scans: u32,
    /// How many more keys the scan may look at, including deleted ones.
    looks: u32,
    /// The last key that the scan looked at, if it is a deleted one.
    deleted: Option<String>,
    filter: Option<ValueFilter>,
    /// The size of the page in the guest, in bytes.
    bytes: u64,
    /// The size of all entries that the scan looked at in bytes, and one for each deleted key.
    read: usize,
}

impl Page {
    fn new(limit: u32, scan_limit: u32, filter: Option<ValueFilter>) -> Self {
        Self {
            page: EntryPage {
                entries: Vec::new(),
                last_examined: None,
                exhausted: true,
            },
            limit,
            scans: scan_limit,
            looks: PAGE_SCAN_MAX,
            deleted: None,
            filter,
            bytes: 0,
            read: 0,
        }
    }

    /// Looks at the next key, unless the page is full. A deleted key has no value.
    fn visit(&mut self, key: &[u8], value: Option<&[u8]>) -> ControlFlow<()> {
        if self.looks == 0 {
            // The next page continues after the deleted keys.
            if let Some(deleted) = self.deleted.take() {
                self.page.last_examined = Some(deleted);
            }
            return self.end();
        }
        self.looks -= 1;
        match value {
            Some(value) => self.entry(key, value),
            None => {
                self.read = self.read.saturating_add(1);
                self.deleted = Some(String::from_utf8_lossy(key).into_owned());
                ControlFlow::Continue(())
            }
        }
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        let is_wanted = self.wants(value);
        let bytes = (key.len() + value.len()) as u64 + PAGE_ENTRY_BYTES;
        let is_too_long = is_wanted && !self.page.entries.is_empty() && self.bytes + bytes > PAGE_BYTES_MAX;
        if self.limit == 0 || self.scans == 0 || is_too_long || self.read as u64 >= PAGE_BYTES_MAX {
            return self.end();
        }
        self.scans -= 1;
        self.read = self.read.saturating_add(key.len() + value.len());
        self.deleted = None;
        let key = String::from_utf8_lossy(key).into_owned();
        self.page.last_examined = Some(key.clone());
        if is_wanted {
            self.limit -= 1;
            self.bytes += bytes;
            let value = value.to_vec();
            self.page.entries.push(KeyValue { key, value });
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self) -> ControlFlow<()> {
        self.page.exhausted = false;
        ControlFlow::Break(())
    }

    fn wants(&self, value: &[u8]) -> bool {
        match &self.filter {
            None => true,
            Some(ValueFilter::HasPrefix(prefix)) => value.starts_with(prefix),
            Some(ValueFilter::LacksPrefix(prefix)) => !value.starts_with(prefix),
        }
    }
}
