//! A proxy between a client and a node, which can fail at random.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::WAIT_MAX;
use crate::draw::Faulty;
use crate::listener::{HangUp, Listener};

/// A JSON-RPC endpoint over HTTP that forwards requests to a node. It stops when it is dropped.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    port: u16,
    _listener: Listener,
    /// The listener closes its connections when this is dropped.
    _hang_up: watch::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    node: String,
    client: reqwest::Client,
    faults: Mutex<Faulty>,
    counts: watch::Sender<Counts>,
}

/// The numbers of requests so far.
#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    calls: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds a request or a batch.
    fn add(&mut self, request: &Value) {
        self.requests += 1;
        let all = request.as_array().map_or(std::slice::from_ref(request), Vec::as_slice);
        for method in all.iter().filter_map(|request| request["method"].as_str()) {
            *self.calls.entry(method.to_owned()).or_default() += 1;
        }
    }
}

impl Relay {
    /// Starts a relay to the node at this URL.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub async fn start(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared = Arc::new(Shared {
            node: node.to_owned(),
            client: nexum_net::http_client().no_proxy().build().expect("a client"),
            faults: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&shared))
            .layer(DefaultBodyLimit::disable());
        let hang_up = watch::Sender::new(());
        Self {
            shared,
            port,
            _listener: Listener::start(listener, router, hang_up.subscribe()),
            _hang_up: hang_up,
        }
    }

    /// The URL of the relay.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes this percentage of the HTTP requests fail, chosen by the seed: with a status, an error of
    /// JSON-RPC, or a broken connection before or after the node has handled the request. 0 ends it.
    pub fn fail_at_random(&self, seed: u64, percent: u64) {
        *self.shared.faults.lock() = Faulty::new(seed, percent);
    }

    /// The number of HTTP requests so far. A batch is one.
    pub fn requests(&self) -> u64 {
        self.shared.counts.borrow().requests
    }

    /// The number of calls of this method so far, in batches too.
    pub fn calls(&self, method: &str) -> u64 {
        self.shared
            .counts
            .borrow()
            .calls
            .get(method)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until there were so many HTTP requests.
    ///
    /// # Panics
    ///
    /// After [`WAIT_MAX`].
    pub async fn until_requests(&self, count: u64) {
        let mut counts = self.shared.counts.subscribe();
        let reached = counts.wait_for(|counts| counts.requests >= count);
        let reached = tokio::time::timeout(WAIT_MAX, reached).await;
        assert!(reached.is_ok(), "only {} of {count} requests", self.requests());
    }
}

async fn serve(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    shared.counts.send_modify(|counts| counts.add(&request));
    // A block of its own, so that no lock is held while the node answers.
    let fault = { shared.faults.lock().next() };
    match fault {
        Some(0) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(1) => hang_up(),
        Some(2) => {
            let _ = forward(&shared, body).await;
            hang_up()
        }
        Some(_) => failed(&request).to_string().into_response(),
        None => forward(&shared, body).await,
    }
}

/// A failed response to a request or a batch.
fn failed(request: &Value) -> Value {
    let one = |request: &Value| {
        let error = json!({ "code": -32603, "message": "the relay fails this request" });
        json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })
    };
    match request {
        Value::Array(all) => all.iter().map(one).collect(),
        request => one(request),
    }
}

async fn forward(shared: &Shared, body: Bytes) -> Response {
    let request = shared.client.post(&shared.node);
    let answer = request
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    let Ok(answer) = answer else { return hang_up() };
    match answer.bytes().await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(_) => hang_up(),
    }
}

fn hang_up() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(HangUp);
    response
}
