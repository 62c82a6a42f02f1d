//! One attempt at a request.

use std::sync::OnceLock;
use std::time::Duration;

use cowprotocol::{HttpMethod, HttpRequest};
use nexum_net::{HTTP_PROTOCOLS, HttpHeaders, ReadError, TlsFault, io_cause, read_bounded, retry_after, tls_config};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Response, redirect};
use tokio::time::{Instant, timeout_at};

use crate::error::{ErrorAnswer, RequestError};

/// The largest response, in bytes: the bound of `cowprotocol`'s own transport, enough for 1,000
/// orders with documents.
pub const RESPONSE_BYTES_MAX: usize = cowprotocol::order_book::MAX_RESPONSE_BYTES;

/// The `user-agent` of requests.
const USER_AGENT: &str = concat!("nexum/", env!("CARGO_PKG_VERSION"));

/// The client of an origin. It is created at the first use, because loading the trust roots takes a
/// moment.
#[derive(Debug)]
pub(super) struct Http {
    client: OnceLock<Result<Client, RequestError>>,
    timeout: Duration,
    use_proxy: bool,
}

impl Http {
    pub(super) fn new(timeout: Duration, use_proxy: bool) -> Self {
        Self {
            client: OnceLock::new(),
            timeout,
            use_proxy,
        }
    }

    /// Sends the request once, and reads the response. Ends at the timeout or the deadline,
    /// whichever comes first.
    pub(super) async fn attempt(
        &self,
        request: &HttpRequest,
        headers: &HttpHeaders,
        deadline: Instant,
    ) -> Result<String, RequestError> {
        let client = self.client.get_or_init(|| {
            // A redirect would let an order book choose the destination.
            let client = nexum_net::http_client()
                .redirect(redirect::Policy::none())
                .referer(false);
            let client = if self.use_proxy { client } else { client.no_proxy() };
            let client = match request.url.scheme() {
                "https" => client.tls_backend_preconfigured(tls_config(HTTP_PROTOCOLS).map_err(RequestError::Tls)?),
                _ => client,
            };
            let client = client.user_agent(USER_AGENT).build();
            client.map_err(|_| RequestError::Internal)
        });
        let client = client.as_ref().map_err(Clone::clone)?;
        let began = Instant::now();
        let until = deadline.min(began + self.timeout);
        let answer = timeout_at(until, exchange(client, request, headers));
        answer.await.unwrap_or_else(|_| {
            let timeout = until.saturating_duration_since(began);
            Err(RequestError::Timeout {
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            })
        })
    }
}

async fn exchange(client: &Client, request: &HttpRequest, headers: &HttpHeaders) -> Result<String, RequestError> {
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
    };
    let mut sending = client
        .request(method, request.url.clone())
        .headers(headers.map().clone());
    if let Some(body) = &request.json_body {
        let json = HeaderValue::from_static("application/json");
        sending = sending.header(CONTENT_TYPE, json).body(body.clone());
    }
    let response = sending.send().await.map_err(|error| failed(&error))?;
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let body = read(response).await?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(RequestError::Answer(ErrorAnswer::new(
            status.as_u16(),
            retry_after,
            body,
        )))
    }
}

/// Converts a body to text. Bytes that are not UTF-8 are not JSON either, so their replacement does
/// not matter.
async fn read(response: Response) -> Result<String, RequestError> {
    let body = read_bounded(response, RESPONSE_BYTES_MAX).await;
    let body = body.map_err(|error| match error {
        ReadError::Lost(error) => RequestError::Lost {
            cause: io_cause(&error),
        },
        _ => RequestError::TooLarge {
            bytes_max: RESPONSE_BYTES_MAX,
        },
    })?;
    Ok(String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Maps an error of reqwest. Its text contains the URL, so only the cause is kept.
fn failed(error: &reqwest::Error) -> RequestError {
    let cause = io_cause(error);
    if error.is_builder() {
        RequestError::Internal
    } else if error.is_connect() {
        match TlsFault::of(error) {
            Some(fault) => RequestError::Tls(fault),
            None => RequestError::Unreachable { cause },
        }
    } else {
        RequestError::Lost { cause }
    }
}
