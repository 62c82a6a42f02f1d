//! The WIT implementation.
//!
//! A store on this machine answers on the guest's own thread. A store over a network answers later,
//! and the thread serves other guests meanwhile.

use std::ops::ControlFlow;

use nexum_config::limits::{Limit, saturating_usize};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{HostCall, HostCallKind, SetError, View};

use crate::bindings::nexum::host::local_store;

/// The most bytes of a key: a path of several parts, and far below the size of a page of any
/// back-end.
pub const KEY_BYTES_MAX: usize = 1_024;

/// The memory that each key of a list takes in the guest beside its own bytes: the address and the
/// length of a `string` in the canonical ABI. It counts, so that a list of short keys is bounded
/// too.
pub(crate) const LISTED_KEY_BYTES: u64 = 8;

impl local_store::Host for View<'_, ()> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, HostError>> {
        let call = self.host_call(HostCallKind::Store, "get");
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key) {
            return failed(call, error);
        }
        let value = self.scope.get(key.as_bytes()).await?;
        let bytes = value.as_ref().map_or(0, Vec::len);
        self.spend_call(bytes)?;
        call.ends(Ok(bytes));
        Ok(Ok(value))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), HostError>> {
        let call = self.host_call(HostCallKind::Store, "set");
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key).and_then(|()| check_value(self, &value)) {
            return failed(call, error);
        }
        self.scope
            .spend(Limit::StoreBytesWritten, (key.len() + value.len()) as u64)?;
        answer(call, self.scope.set(key.into_bytes(), value).await)
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), HostError>> {
        let call = self.host_call(HostCallKind::Store, "delete");
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&key) {
            return failed(call, error);
        }
        self.scope.spend(Limit::StoreBytesWritten, key.len() as u64)?;
        answer(call, self.scope.delete(key.as_bytes()).await)
    }

    async fn list_keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, HostError>> {
        let call = self.host_call(HostCallKind::Store, "list-keys");
        self.scope.spend(Limit::StoreOperations, 1)?;
        if let Err(error) = check(&prefix) {
            return failed(call, error);
        }
        let left = self.scope.left(Limit::ResponseBytes);
        let (mut keys, mut bytes) = (Vec::new(), 0);
        let mut visit = |key: &[u8]| {
            bytes += key.len() as u64 + LISTED_KEY_BYTES;
            if bytes > left {
                return ControlFlow::Break(());
            }
            keys.push(String::from_utf8_lossy(key).into_owned());
            ControlFlow::Continue(())
        };
        self.scope.keys(prefix.as_bytes(), &mut visit).await?;
        // A list that does not fit ends the event: the guest would take a part of it for the whole.
        self.scope.spend(Limit::ResponseBytes, bytes)?;
        call.ends(Ok(saturating_usize(bytes)));
        Ok(Ok(keys))
    }
}

/// The guest's answer to a change. A store that cannot be read is not the guest's fault and ends
/// the event.
pub(crate) fn answer(call: HostCall<'_>, changed: Result<(), SetError>) -> wasmtime::Result<Result<(), HostError>> {
    match changed {
        Ok(()) => {
            call.ends(Ok(0));
            Ok(Ok(()))
        }
        Err(SetError::Store(error)) => Err(error.into()),
        Err(denied) => failed(call, error(HostErrorKind::Denied, denied.to_string())),
    }
}

/// Ends a call with an error for the guest.
pub(crate) fn failed<T, E: From<HostError>>(call: HostCall<'_>, error: HostError) -> wasmtime::Result<Result<T, E>> {
    call.ends(Err(error.kind));
    Ok(Err(error.into()))
}

pub(crate) fn check(key: &str) -> Result<(), HostError> {
    match key.len() <= KEY_BYTES_MAX {
        true => Ok(()),
        false => Err(too_long("key", key.len(), KEY_BYTES_MAX as u64)),
    }
}

pub(crate) fn check_value(view: &mut View<'_, ()>, value: &[u8]) -> Result<(), HostError> {
    match view.scope.fits(Limit::StoreValueBytes, value.len() as u64) {
        true => Ok(()),
        false => {
            let bytes_max = view.meta.limits[Limit::StoreValueBytes];
            Err(too_long("value", value.len(), bytes_max))
        }
    }
}

fn too_long(what: &str, bytes: usize, bytes_max: u64) -> HostError {
    let message = format!("a {what} has {bytes} bytes, and {bytes_max} at most are allowed");
    error(HostErrorKind::InvalidInput, message)
}

pub(crate) fn error(kind: HostErrorKind, message: String) -> HostError {
    HostError::new("local-store", kind, message)
}
