//! The imports of the component.

use crate::bindings::nexum::host::types::{self as wit, HostErrorKind};
use crate::bindings::nexum::host::{chain, clock, http as wit_http, identity, local_store, logging, messaging, random};
use crate::bindings::shepherd::cow::cow_api;
use crate::error::Parts;
use crate::types::{HttpRequest, HttpResponse, Level, RpcRequest};
use crate::{Error, ErrorKind, Message, Result};

pub(crate) fn request(chain_id: u64, request: &RpcRequest) -> Result<String> {
    chain::request(chain_id, &request.method, &request.params).map_err(from_host)
}

pub(crate) fn request_batch(
    chain_id: u64,
    requests: &[RpcRequest],
) -> Result<impl IntoIterator<Item = Result<String>> + use<>> {
    let requests: Vec<_> = requests
        .iter()
        .map(|request| chain::RpcRequest {
            method: &request.method,
            params: &request.params,
        })
        .collect();
    let answers = chain::request_batch(chain_id, &requests).map_err(from_host)?;
    Ok(answers.into_iter().map(|answer| match answer {
        chain::RpcResult::Ok(json) => Ok(json),
        chain::RpcResult::Err(error) => Err(from_host(error)),
    }))
}

pub(crate) fn store_get(key: &str) -> Result<Option<Vec<u8>>> {
    local_store::get(key).map_err(from_host)
}

pub(crate) fn store_set(key: &str, value: &[u8]) -> Result {
    local_store::set(key, value).map_err(from_host)
}

pub(crate) fn store_delete(key: &str) -> Result {
    local_store::delete(key).map_err(from_host)
}

pub(crate) fn store_list(prefix: &str) -> Result<Vec<String>> {
    local_store::list_keys(prefix).map_err(from_host)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, message);
}

pub(crate) fn now_ms() -> u64 {
    clock::now_ms()
}

pub(crate) fn monotonic_ns() -> u64 {
    clock::monotonic_ns()
}

pub(crate) fn random(len: u32) -> Vec<u8> {
    random::fill(len)
}

pub(crate) fn fetch(request: HttpRequest) -> Result<HttpResponse> {
    let headers = request.headers.into_iter();
    let headers: Vec<_> = headers.map(|(name, value)| wit_http::Header { name, value }).collect();
    let response = wit_http::fetch(wit_http::Request {
        method: &request.method,
        url: &request.url,
        headers: &headers.iter().collect::<Vec<_>>(),
        body: request.body.as_deref(),
        timeout_ms: request.timeout_ms,
    });
    let response = response.map_err(from_host)?;
    let headers = response.headers.into_iter();
    Ok(HttpResponse {
        status: response.status,
        headers: headers.map(|header| (header.name, header.value)).collect(),
        body: response.body,
    })
}

pub(crate) fn cow_request(chain_id: u64, method: &str, path: &str, body: Option<&str>) -> Result<String> {
    cow_api::request(chain_id, method, path, body).map_err(from_host)
}

pub(crate) fn cow_submit(chain_id: u64, order: &[u8]) -> Result<String> {
    cow_api::submit_order(chain_id, order).map_err(from_host)
}

pub(crate) fn accounts() -> Result<Vec<Vec<u8>>> {
    identity::accounts().map_err(from_host)
}

pub(crate) fn sign(account: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    identity::sign(account, message).map_err(from_host)
}

pub(crate) fn sign_typed_data(account: &[u8], typed_data: &str) -> Result<Vec<u8>> {
    identity::sign_typed_data(account, typed_data).map_err(from_host)
}

pub(crate) fn publish(content_topic: &str, payload: &[u8]) -> Result {
    messaging::publish(content_topic, payload).map_err(from_host)
}

pub(crate) fn stored_messages(
    content_topic: &str,
    start_time: Option<u64>,
    end_time: Option<u64>,
    limit: Option<u32>,
) -> Result<Vec<Message>> {
    let messages = messaging::query(content_topic, start_time, end_time, limit).map_err(from_host)?;
    Ok(messages.into_iter().map(Message::from).collect())
}

fn from_host(error: wit::HostError) -> Error {
    Error::from_parts(Parts {
        domain: error.domain.into(),
        kind: match error.kind {
            HostErrorKind::Unsupported => ErrorKind::Unsupported,
            HostErrorKind::Unavailable => ErrorKind::Unavailable,
            HostErrorKind::Denied => ErrorKind::Denied,
            HostErrorKind::RateLimited => ErrorKind::RateLimited,
            HostErrorKind::Timeout => ErrorKind::Timeout,
            HostErrorKind::InvalidInput => ErrorKind::InvalidInput,
            HostErrorKind::Internal => ErrorKind::Internal,
        },
        code: error.code,
        message: error.message,
        data: error.data,
    })
}

/// The error of a handler for the host. An error without a domain gets the module's name.
pub(crate) fn to_host(error: Error, module: &str) -> wit::HostError {
    let parts = error.into_parts();
    wit::HostError {
        domain: match parts.domain.is_empty() {
            true => module.to_owned(),
            false => parts.domain.into_owned(),
        },
        kind: match parts.kind {
            ErrorKind::Unsupported => HostErrorKind::Unsupported,
            ErrorKind::Unavailable => HostErrorKind::Unavailable,
            ErrorKind::Denied => HostErrorKind::Denied,
            ErrorKind::RateLimited => HostErrorKind::RateLimited,
            ErrorKind::Timeout => HostErrorKind::Timeout,
            ErrorKind::InvalidInput => HostErrorKind::InvalidInput,
            ErrorKind::Internal => HostErrorKind::Internal,
        },
        code: parts.code,
        message: parts.message,
        data: parts.data,
    }
}
