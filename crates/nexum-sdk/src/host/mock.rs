//! The host of native tests: the [`Host`] that is active on this thread.

mod host;
mod rpc;

use std::cell::RefCell;

pub use host::Host;
pub(crate) use host::Trap;

use crate::types::{HttpRequest, HttpResponse, Level, RpcRequest};
use crate::{Error, ErrorKind, Message, Result};

thread_local! {
    static ACTIVE: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Makes a host the active one while a closure runs.
pub(crate) fn with_active<T>(host: &mut Host, f: impl FnOnce() -> T) -> T {
    let before = ACTIVE.replace(Some(std::mem::take(host)));
    let result = f();
    *host = ACTIVE.replace(before).unwrap_or_default();
    result
}

/// Calls the active host. A module that runs outside of a harness has none.
fn active<T>(call: impl FnOnce(&mut Host) -> Result<T>) -> Result<T> {
    ACTIVE.with_borrow_mut(|host| match host {
        Some(host) => call(host),
        None => Err(Error::new(
            ErrorKind::Unsupported,
            "no host: natively, a module runs only in nexum_sdk::testing::Harness",
        )),
    })
}

/// Calls the active host for an interface that a query may not call.
fn active_in_event<T>(domain: &'static str, call: impl FnOnce(&mut Host) -> Result<T>) -> Result<T> {
    active(|host| match host.is_query {
        true => {
            let error = format!("{domain} may not be called by a query");
            Err(Error::of(domain, ErrorKind::Denied, error))
        }
        false => call(host),
    })
}

pub(crate) fn request(chain_id: u64, request: &RpcRequest) -> Result<String> {
    active_in_event("chain", |host| host.answer(chain_id, request))
}

pub(crate) fn request_batch(chain_id: u64, requests: &[RpcRequest]) -> Result<Vec<Result<String>>> {
    active_in_event("chain", |host| host.answer_batch(chain_id, requests))
}

pub(crate) fn store_get(key: &str) -> Result<Option<Vec<u8>>> {
    active(|host| Ok(host.store()?.get(key).cloned()))
}

pub(crate) fn store_set(key: &str, value: &[u8]) -> Result {
    active(|host| {
        host.store_to_write()?.insert(key.to_owned(), value.to_owned());
        Ok(())
    })
}

pub(crate) fn store_delete(key: &str) -> Result {
    active(|host| {
        host.store_to_write()?.remove(key);
        Ok(())
    })
}

pub(crate) fn store_list(prefix: &str) -> Result<Vec<String>> {
    active(|host| {
        let keys = host.store()?.keys();
        Ok(keys.filter(|key| key.starts_with(prefix)).cloned().collect())
    })
}

pub(crate) fn log(level: Level, message: &str) {
    let _ = active(|host| {
        host.logs.push((level, message.to_owned()));
        Ok(())
    });
}

pub(crate) fn now_ms() -> u64 {
    active(|host| Ok(host.now_ms)).unwrap_or_default()
}

pub(crate) fn monotonic_ns() -> u64 {
    active(|host| Ok(host.now_ms.saturating_mul(1_000_000))).unwrap_or_default()
}

pub(crate) fn random(len: u32) -> Vec<u8> {
    active(|host| Ok(host.random(len))).unwrap_or_default()
}

pub(crate) fn fetch(request: HttpRequest) -> Result<HttpResponse> {
    active_in_event("http", |host| host.fetch(request))
}

pub(crate) fn cow_request(chain_id: u64, method: &str, path: &str, body: Option<&str>) -> Result<String> {
    active_in_event("cow-api", |host| host.cow_request(chain_id, method, path, body))
}

pub(crate) fn cow_submit(chain_id: u64, order: &[u8]) -> Result<String> {
    active_in_event("cow-api", |host| host.cow_submit(chain_id, order))
}

pub(crate) fn accounts() -> Result<Vec<Vec<u8>>> {
    active_in_event("identity", |host| {
        Ok(host.accounts.iter().map(|account| account.to_vec()).collect())
    })
}

pub(crate) fn sign(account: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    active_in_event("identity", |host| host.sign(account, message))
}

pub(crate) fn sign_typed_data(account: &[u8], typed_data: &str) -> Result<Vec<u8>> {
    active_in_event("identity", |host| host.sign(account, typed_data.as_bytes()))
}

pub(crate) fn publish(content_topic: &str, payload: &[u8]) -> Result {
    active_in_event("messaging", |host| {
        host.published.push((content_topic.to_owned(), payload.to_owned()));
        Ok(())
    })
}

pub(crate) fn stored_messages(
    content_topic: &str,
    start_time: Option<u64>,
    end_time: Option<u64>,
    limit: Option<u32>,
) -> Result<Vec<Message>> {
    active_in_event("messaging", |host| {
        let messages = host.messages.iter().filter(|message| {
            message.content_topic == content_topic
                && start_time.is_none_or(|start| message.timestamp >= start)
                && end_time.is_none_or(|end| message.timestamp <= end)
        });
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(messages.take(limit).cloned().collect())
    })
}
