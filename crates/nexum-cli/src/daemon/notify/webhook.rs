//! The delivery of a message by POST.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::super::outgoing;
use super::delivery::Failed;
use crate::configure;

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
        let url = &self.config.url;
        let client = self.client.get_or_init(|| outgoing::client(url, self.config.use_proxy));
        let client = client.as_ref().map_err(|error| Failed::new(error.clone()))?;
        let request = client
            .post(url.url().clone())
            .headers(self.config.headers.map().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(self.timeout)
            .body(body.to_owned());
        // The body of the response is of no interest, and can have any size.
        let response = request.send().await;
        let response = response.map_err(|error| Failed::new(outgoing::failure(url, self.timeout, &error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let failed = Failed::new(format!("{} answered with the status {}", self.label, status.as_u16()));
        Err(match outgoing::is_temporary(status) {
            true => failed,
            false => failed.last(),
        })
    }
}
