//! One attempt at a request.

use std::sync::OnceLock;
use std::time::Duration;

use cowprotocol::{HttpMethod, HttpRequest};
use nexum_net::{ReadError, io_cause, read_bounded, retry_after};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Response, redirect};
use tokio::time::{Instant, timeout_at};

use crate::error::{ErrorAnswer, RequestError};

/// How large an answer may be: what `cowprotocol` bounds its own transport by, room for 1,000 orders with documents.
pub const RESPONSE_BYTES_MAX: usize = cowprotocol::order_book::MAX_RESPONSE_BYTES;

/// What the host calls itself.
const USER_AGENT: &str = concat!("nexum/", env!("CARGO_PKG_VERSION"));

/// The client of an origin, which is made at the first use: with the roots of trust it takes a moment.
#[derive(Debug)]
pub(super) struct Http {
    client: OnceLock<Option<Client>>,
    timeout: Duration,
}

impl Http {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            client: OnceLock::new(),
            timeout,
        }
    }

    /// Sends the request once, and reads the answer. Gives up at the timeout, or at the deadline if that is sooner.
    pub(super) async fn attempt(&self, request: &HttpRequest, deadline: Instant) -> Result<String, RequestError> {
        let client = self.client.get_or_init(|| {
            // A redirect would let an order book choose whom this host talks to.
            let client = Client::builder().redirect(redirect::Policy::none()).referer(false);
            client.user_agent(USER_AGENT).build().ok()
        });
        let client = client.as_ref().ok_or(RequestError::Internal)?;
        let began = Instant::now();
        let until = deadline.min(began + self.timeout);
        let answer = timeout_at(until, exchange(client, request));
        answer.await.unwrap_or_else(|_| {
            let timeout = until.saturating_duration_since(began);
            Err(RequestError::Timeout {
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            })
        })
    }
}

async fn exchange(client: &Client, request: &HttpRequest) -> Result<String, RequestError> {
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
    };
    let mut sending = client.request(method, request.url.clone());
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

/// Bytes that are no UTF-8 are no JSON either, whatever is put in their place.
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

/// The text of reqwest's errors has the URL in it: only the cause is kept.
fn failed(error: &reqwest::Error) -> RequestError {
    let cause = io_cause(error);
    if error.is_builder() {
        RequestError::Internal
    } else if error.is_connect() {
        RequestError::Unreachable { cause }
    } else {
        RequestError::Lost { cause }
    }
}
