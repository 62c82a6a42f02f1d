//! The delivery of a message by POST.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::super::outgoing::{self, Failed};
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
            .body(body.to_owned());
        // The body of the response is of no interest, and can have any size.
        outgoing::send(request, url, self.timeout).await.map(drop)
    }
}
