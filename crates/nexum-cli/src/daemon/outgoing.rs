//! Deliveries of the daemon to receivers that the operator chose, over HTTP.

use std::time::Duration;

use nexum_net::{HTTP_PROTOCOLS, TlsFault, io_cause, tls_config};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use crate::configure::SecretUrl;

/// The `user-agent` of requests.
const USER_AGENT: &str = concat!("nexum/", env!("CARGO_PKG_VERSION"));

/// A client for this server. It follows no redirect. Loading the trust roots takes a moment.
///
/// # Errors
///
/// If the system has no trust roots, in a text for the log.
pub(super) fn client(url: &SecretUrl, use_proxy: bool) -> Result<Client, String> {
    // A redirect would let the server choose the destination.
    let client = nexum_net::http_client()
        .redirect(redirect::Policy::none())
        .referer(false);
    let client = if use_proxy { client } else { client.no_proxy() };
    let client = match url.url().scheme() {
        "https" => {
            let tls = tls_config(HTTP_PROTOCOLS).map_err(|fault| format!("{url} {fault}"))?;
            client.tls_backend_preconfigured(tls)
        }
        _ => client,
    };
    let client = client.user_agent(USER_AGENT).build();
    client.map_err(|_| "nexum cannot create an HTTP client".to_owned())
}

/// A failed attempt at a delivery.
#[derive(Debug)]
pub(super) struct Failed {
    /// The reason, without secrets.
    pub(super) text: String,
    /// Whether another attempt would fail too.
    pub(super) is_final: bool,
}

impl Failed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_final: false,
        }
    }

    pub(super) fn last(self) -> Self {
        Self { is_final: true, ..self }
    }
}

/// Sends a request to this server, with a timeout. Any 2xx response is a success.
///
/// # Errors
///
/// If there is no such response. The text of reqwest contains the URL, so the error has only its cause.
pub(super) async fn send(request: RequestBuilder, url: &SecretUrl, timeout: Duration) -> Result<Response, Failed> {
    let response = request.timeout(timeout).send().await;
    let response = response.map_err(|error| {
        Failed::new(match TlsFault::of(&error) {
            Some(fault) => format!("{url} {fault}"),
            None if error.is_timeout() => format!("{url} did not answer within {timeout:?}"),
            None => match io_cause(&error) {
                Some(cause) => format!("{url} cannot be reached: {cause}"),
                None => format!("{url} cannot be reached"),
            },
        })
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let failed = Failed::new(format!("{url} answered with the status {}", status.as_u16()));
    let is_temporary = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    Err(if is_temporary { failed } else { failed.last() })
}
