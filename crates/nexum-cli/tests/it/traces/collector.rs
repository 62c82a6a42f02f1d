//! A collector of traces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The longest wait for anything: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The status of a collector that does not answer.
pub(super) const NO_ANSWER: u16 = 0;

/// A server that takes traces at `/v1/traces`.
pub(super) struct Collector {
    address: String,
    status: Arc<AtomicU16>,
    requests: mpsc::UnboundedReceiver<Request>,
    spans: Vec<Span>,
    _server: JoinSet<()>,
}

/// A request with traces.
pub(super) struct Request {
    pub(super) headers: HeaderMap,
    pub(super) body: ExportTraceServiceRequest,
}

#[derive(Clone)]
struct Shared {
    status: Arc<AtomicU16>,
    requests: mpsc::UnboundedSender<Request>,
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let status = shared.status.load(Ordering::SeqCst);
    if status == NO_ANSWER {
        // The test sees that the request has arrived.
        let _ = shared.requests.send(Request {
            headers,
            body: ExportTraceServiceRequest::default(),
        });
        return std::future::pending().await;
    }
    let status = StatusCode::from_u16(status).expect("a status");
    if status.is_success() {
        let body = ExportTraceServiceRequest::decode(body).expect("traces");
        // The test may have ended.
        let _ = shared.requests.send(Request { headers, body });
    }
    status
}

impl Collector {
    pub(super) async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// A collector at this address.
    pub(super) async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(StatusCode::OK.as_u16()));
        let shared = Shared {
            status: status.clone(),
            requests: sender,
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(shared);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self {
            address,
            status,
            requests,
            spans: Vec::new(),
            _server: server,
        }
    }

    /// An address where nothing listens now.
    pub(super) async fn free_address() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address").to_string()
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers later requests with this status.
    pub(super) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The next request that was taken.
    pub(super) async fn request(&mut self) -> Request {
        let request = timeout(WAIT_MAX, self.requests.recv()).await;
        request.expect("a request in time").expect("a collector")
    }

    /// The spans of the event's trace, once its event span is among them. They are sorted by their start.
    pub(super) async fn trace(&mut self, event: &str) -> Vec<Span> {
        let is_event = |span: &&Span| span.name == "event" && text(span, "nexum.event") == event;
        loop {
            if let Some(root) = self.spans.iter().find(is_event) {
                let id = root.trace_id.clone();
                let mut trace: Vec<_> = self.spans.iter().filter(|span| span.trace_id == id).cloned().collect();
                trace.sort_by_key(|span| span.start_time_unix_nano);
                return trace;
            }
            let resources = self.request().await.body.resource_spans;
            let scopes = resources.into_iter().flat_map(|resource| resource.scope_spans);
            self.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
    }
}

/// The attributes as text.
pub(super) fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let each = attributes
        .iter()
        .map(|one| (one.key.as_str(), as_text(one.value.as_ref())));
    each.collect()
}

/// An attribute of a span as text. Empty if the span has none.
pub(super) fn text(span: &Span, key: &str) -> String {
    texts(&span.attributes).remove(key).unwrap_or_default()
}

fn as_text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::ArrayValue(array)) => {
            let texts: Vec<_> = array.values.iter().map(|one| as_text(Some(one))).collect();
            texts.join(", ")
        }
        other => panic!("{other:?}"),
    }
}

/// The spans with this name.
pub(super) fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The text of a failed span. `None` if it has not failed.
pub(super) fn failure(span: &Span) -> Option<&str> {
    const ERROR: i32 = 2;
    match &span.status {
        Some(Status { code: ERROR, message }) => Some(message),
        _ => None,
    }
}
