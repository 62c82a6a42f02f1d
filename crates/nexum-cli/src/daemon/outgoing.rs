//! HTTP requests of the daemon to servers that the operator chose.

use std::time::Duration;

use nexum_net::{HTTP_PROTOCOLS, TlsFault, io_cause, tls_config};
use reqwest::{Client, StatusCode, redirect};

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

/// The reason of a failed request, for the log. The text of reqwest contains the URL, so only its cause is kept.
pub(super) fn failure(url: &SecretUrl, timeout: Duration, error: &reqwest::Error) -> String {
    match TlsFault::of(error) {
        Some(fault) => format!("{url} {fault}"),
        None if error.is_timeout() => format!("{url} did not answer within {timeout:?}"),
        None => match io_cause(error) {
            Some(cause) => format!("{url} cannot be reached: {cause}"),
            None => format!("{url} cannot be reached"),
        },
    }
}

/// Whether a later request can succeed where this status was the answer.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}
