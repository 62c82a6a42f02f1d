//! The WIT implementation.
//!
//! Reads go to the store from the thread that the guest runs on: a page that is in memory takes about a microsecond, less
//! than handing the read to another thread would.

use std::ops::ControlFlow;

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::View;
use nexum_core::state::scope::SetError;

use crate::bindings::nexum::host::local_store;

/// The most bytes of a key: a path of several parts, and far under what a page of any back-end holds.
pub const KEY_BYTES_MAX: usize = 1_024;

/// The most bytes of a value: as many as an event may write by default.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The most keys that one `list-keys` answers: the first ones in order. Who wants more asks for a longer prefix, or deletes what
/// it has seen.
pub const LISTED_KEYS_MAX: usize = 1_024;

impl local_store::Host for View<'_, ()> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, HostError>> {
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key, &[]) {
            return Ok(Err(error));
        }
        Ok(Ok(self.scope.get(key.as_bytes())?))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), HostError>> {
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key, &value) {
            return Ok(Err(error));
        }
        self.scope
            .spend(Limit::StoreBytesWritten, (key.len() + value.len()) as u64)?;
        answer(self.scope.set(key.into_bytes(), value))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), HostError>> {
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key, &[]) {
            return Ok(Err(error));
        }
        self.scope.spend(Limit::StoreBytesWritten, key.len() as u64)?;
        answer(self.scope.delete(key.as_bytes()))
    }

    async fn list_keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, HostError>> {
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&prefix, &[]) {
            return Ok(Err(error));
        }
        let mut keys = Vec::new();
        let mut more = false;
        self.scope.keys(prefix.as_bytes(), &mut |key| {
            if keys.len() == LISTED_KEYS_MAX {
                more = true;
                return ControlFlow::Break(());
            }
            keys.push(String::from_utf8_lossy(key).into_owned());
            ControlFlow::Continue(())
        })?;
        if more {
            tracing::debug!(
                target: "nexum::store",
                module = self.meta.name.as_str(),
                listed = LISTED_KEYS_MAX,
                "a list of keys was cut: there are more"
            );
        }
        Ok(Ok(keys))
    }
}

/// What the guest hears of a change: that it may not, if that is so. A store that cannot be read is no fault of its.
fn answer(changed: Result<(), SetError>) -> wasmtime::Result<Result<(), HostError>> {
    match changed {
        Ok(()) => Ok(Ok(())),
        Err(SetError::Store(error)) => Err(error.into()),
        Err(denied) => Ok(Err(error(HostErrorKind::Denied, denied.to_string()))),
    }
}

fn check(key: &str, value: &[u8]) -> Result<(), HostError> {
    let too_long = if key.len() > KEY_BYTES_MAX {
        format!("a key has {} bytes, and {KEY_BYTES_MAX} at most are allowed", key.len())
    } else if value.len() > VALUE_BYTES_MAX {
        format!(
            "a value has {} bytes, and {VALUE_BYTES_MAX} at most are allowed",
            value.len()
        )
    } else {
        return Ok(());
    };
    Err(error(HostErrorKind::InvalidInput, too_long))
}

fn error(kind: HostErrorKind, message: String) -> HostError {
    HostError::new("local-store", kind, message)
}
