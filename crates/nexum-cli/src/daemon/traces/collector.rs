//! The requests to a collector.

use std::sync::Arc;

use async_trait::async_trait;
use nexum_net::read_bounded;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use parking_lot::Mutex;
use reqwest::Client;

use super::super::outgoing::{self, Failed};
use crate::configure::{SecretUrl, TracesConfig};
use crate::report::Refusal;

/// The name of this service for a collector, if the operator gives no other.
const SERVICE_NAME: &str = "nexum";

/// The most bytes of a collector's answer: a count and a message.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A collector. It has no `Debug`, because the exporter's would show the headers.
pub(super) struct Collector {
    exporter: opentelemetry_otlp::SpanExporter,
    failure: Failure,
    config: TracesConfig,
}

/// The reason why the last request failed, which the exporter's error omits.
type Failure = Arc<Mutex<Option<Failed>>>;

impl Collector {
    /// A collector, without a request to it.
    ///
    /// # Errors
    ///
    /// If nexum cannot make an HTTP client for it.
    pub(super) fn new(config: TracesConfig) -> Result<Self, Refusal> {
        let failure = Failure::default();
        let requests = Requests {
            client: outgoing::client(&config.url, true).map_err(Refusal::new)?,
            config: config.clone(),
            failure: failure.clone(),
        };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(requests)
            // The client has the URL, which is a secret.
            .with_endpoint(config.url.to_string())
            .with_timeout(config.timeout)
            .with_protocol(Protocol::HttpBinary)
            // The library would block a thread for its pauses.
            .with_retry_policy(RetryPolicy::disabled());
        let mut exporter = exporter.build().map_err(|error| Refusal::of(&error))?;
        exporter.set_resource(&resource(config.service_name.as_deref()));
        Ok(Self {
            exporter,
            failure,
            config,
        })
    }

    /// Scheme, host and port.
    pub(super) fn url(&self) -> &SecretUrl {
        &self.config.url
    }

    /// The operator's description of this nexum.
    pub(super) fn identity(&self) -> String {
        format!("{:?} {}", self.config.service_name, self.config.resource)
    }

    /// Sends spans, in one attempt.
    pub(super) async fn send(&self, spans: Vec<SpanData>) -> Result<(), Failed> {
        let sent = self.exporter.export(spans).await;
        let failure = self.failure.lock().take();
        sent.map_err(|error| failure.unwrap_or_else(|| Failed::new(error.to_string()).last()))
    }
}

/// The attributes of this process. The operator's override nexum's.
fn resource(service_name: Option<&str>) -> Resource {
    let own = [
        KeyValue::new("service.name", SERVICE_NAME),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match service_name {
        Some(name) => resource.with_service_name(name.to_owned()),
        None => resource,
    }
    .build()
}

/// The HTTP client of the exporter.
#[derive(Debug)]
struct Requests {
    client: Client,
    config: TracesConfig,
    failure: Failure,
}

#[async_trait]
impl HttpClient for Requests {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let TracesConfig {
            url, headers, timeout, ..
        } = &self.config;
        let request = self.client.post(url.url().clone()).headers(head.headers);
        let request = request.headers(headers.map().clone()).body(body);
        match outgoing::send(request, url, *timeout).await {
            Ok(response) => {
                let answer = read_bounded(response, ANSWER_BYTES_MAX).await;
                // The collector has the spans, whatever the rest of its answer says.
                Ok(Response::new(answer.unwrap_or_default().into()))
            }
            Err(failed) => {
                let text = failed.text.clone();
                *self.failure.lock() = Some(failed);
                Err(text.into())
            }
        }
    }
}
