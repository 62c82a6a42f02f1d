//! Requests to signers over HTTP: bounded in time and size, and without a proxy, a redirect or a retry.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use nexum_net::{ReadError, TlsFault, io_cause, read_bounded};
use reqwest::{Client, RequestBuilder, StatusCode, redirect, retry};

use super::SignError;

/// The time limit of the connection, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// The client of one signer.
#[derive(Debug)]
pub(super) struct Remote {
    /// The time limit of one request.
    timeout_ms: u64,
    /// Created at the first use, because it reads the trusted certificates.
    client: OnceLock<Option<Client>>,
}

impl Remote {
    pub(super) fn new(timeout_ms: u64) -> Self {
        Self {
            timeout_ms,
            client: OnceLock::new(),
        }
    }

    /// The HTTP client, for a request.
    pub(super) fn client(&self) -> Result<&Client, SignError> {
        let client = self.client.get_or_init(|| {
            let builder = nexum_net::http_client()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS));
            builder.build().ok()
        });
        client.as_ref().ok_or(SignError::Unreachable { cause: None })
    }

    /// Sends a request, and reads the body of up to `bytes_max` bytes if `accept` takes the status.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
        accept: fn(StatusCode) -> Result<(), SignError>,
    ) -> Result<(StatusCode, Vec<u8>), SignError> {
        self.in_time(async {
            let response = request.send().await.map_err(|error| failed(&error))?;
            let status = response.status();
            accept(status)?;
            let body = read_bounded(response, bytes_max).await.map_err(|error| match error {
                ReadError::TooLarge { .. } => SignError::Malformed,
                _ => SignError::Lost,
            })?;
            Ok((status, body))
        })
        .await
    }

    /// The result of the future, or [`SignError::Timeout`] after the time limit.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = Result<T, SignError>>) -> Result<T, SignError> {
        let timeout_ms = self.timeout_ms;
        match tokio::time::timeout(Duration::from_millis(timeout_ms), future).await {
            Ok(result) => result,
            Err(_) => Err(SignError::Timeout { timeout_ms }),
        }
    }
}

/// Maps an error of the client. The client's text contains the URL, so only known causes are kept.
fn failed(error: &reqwest::Error) -> SignError {
    if let Some(fault) = TlsFault::of(error) {
        return SignError::Tls(fault);
    }
    match error.is_connect() {
        true => SignError::Unreachable { cause: io_cause(error) },
        false => SignError::Lost,
    }
}
