//! The delivery of a message by POST.

use std::sync::OnceLock;
use std::time::Duration;

use nexum_net::{HTTP_PROTOCOLS, TlsFault, io_cause, tls_config};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, redirect};

use super::delivery::Failed;
use crate::configure;

/// The `user-agent` of requests.
const USER_AGENT: &str = concat!("nexum/", env!("CARGO_PKG_VERSION"));

/// A server that gets messages by POST.
pub(super) struct Webhook {
    config: configure::Webhook,
    label: String,
    timeout: Duration,
    /// Created at the first use, because loading the trust roots takes a moment.
    client: OnceLock<Result<Client, String>>,
}

impl Webhook {
    pub(super) fn new(config: configure::Webhook, timeout: Duration) -> Self {
        Self {
            label: config.url.to_string(),
            config,
            timeout,
            client: OnceLock::new(),
        }
    }

    /// Scheme, host and port.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Sends a message. Any 2xx response is a success.
    pub(super) async fn deliver(&self, body: &str) -> Result<(), Failed> {
        let client = self.client.get_or_init(|| self.client());
        let client = client.as_ref().map_err(|error| Failed::new(error.clone()))?;
        let request = client
            .post(self.config.url.url().clone())
            .headers(self.config.headers.map().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(self.timeout)
            .body(body.to_owned());
        // The body of the response is of no interest, and can have any size.
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let failed = Failed::new(format!("{} answered with the status {}", self.label, status.as_u16()));
        let is_temporary = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        Err(if is_temporary { failed } else { failed.last() })
    }

    fn client(&self) -> Result<Client, String> {
        // A redirect would let the server choose the destination.
        let client = nexum_net::http_client()
            .redirect(redirect::Policy::none())
            .referer(false);
        let client = if self.config.use_proxy {
            client
        } else {
            client.no_proxy()
        };
        let client = match self.config.url.url().scheme() {
            "https" => {
                let tls = tls_config(HTTP_PROTOCOLS).map_err(|fault| format!("{} {fault}", self.label))?;
                client.tls_backend_preconfigured(tls)
            }
            _ => client,
        };
        let client = client.user_agent(USER_AGENT).build();
        client.map_err(|_| "nexum cannot create an HTTP client".to_owned())
    }

    /// The reason of a failed request. The text of reqwest contains the URL, so only its cause is
    /// kept.
    fn failed(&self, error: &reqwest::Error) -> Failed {
        let label = &self.label;
        let cause = io_cause(error);
        Failed::new(match TlsFault::of(error) {
            Some(fault) => format!("{label} {fault}"),
            None if error.is_timeout() => format!("{label} did not answer within {:?}", self.timeout),
            None => match cause {
                Some(cause) => format!("{label} cannot be reached: {cause}"),
                None => format!("{label} cannot be reached"),
            },
        })
    }
}
