//! JSON-RPC calls to the node of a local chain.

use std::time::Duration;

use nexum_config::causes::Causes;
use serde_json::{Value, json};

use crate::report::Refusal;

/// The longest wait for a response. A fork asks a remote node for most answers.
const TIME_MAX: Duration = Duration::from_secs(30);

/// The most blocks of one request. anvil takes longer for each block of a longer chain: at 8,000 blocks,
/// a request with this number takes about two seconds.
const MINED_MAX: u64 = 100;

/// A node's endpoint.
#[derive(Clone, Debug)]
pub(in crate::author) struct Rpc {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl Rpc {
    /// The node at a URL. For `ws` and `wss`, requests go to the same host and port over HTTP, which
    /// every common node serves there.
    ///
    /// # Errors
    ///
    /// If the URL is not one of a node.
    pub(in crate::author) fn new(url: &str) -> Result<Self, Refusal> {
        let http = match url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => url.to_owned(),
        };
        let parsed = reqwest::Url::parse(&http).ok().filter(|url| {
            let is_known = matches!(url.scheme(), "http" | "https");
            is_known && url.has_host()
        });
        // Without the text, which can contain a key.
        let url = parsed.ok_or_else(|| {
            let refusal = Refusal::new("the URL of a node is not valid");
            refusal.with_hint("for example http://127.0.0.1:8545, or with https, ws or wss")
        })?;
        let client = nexum_net::http_client().timeout(TIME_MAX).build();
        let client = client.map_err(|error| Refusal::of(&error))?;
        Ok(Self { client, url })
    }

    /// Whether the node is on this machine.
    pub(in crate::author) fn is_local(&self) -> bool {
        matches!(self.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
    }

    /// Sends a request, and returns the `result` of the response.
    ///
    /// # Errors
    ///
    /// If the node does not answer, or answers with an error. The text has no part of the URL beyond
    /// its host and port.
    pub(in crate::author) async fn request(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        let failed = |reason: String| Refusal::new(format!("{method} of the node at {}: {reason}", self.place()));
        let lost = |error: reqwest::Error| failed(Causes(&error.without_url()).to_string());
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = self.client.post(self.url.clone()).body(body);
        let response = request.header("content-type", "application/json").send().await;
        let body = response.map_err(lost)?.bytes().await.map_err(lost)?;
        let mut answer: Value =
            serde_json::from_slice(&body).map_err(|_| failed("the response is not JSON".to_owned()))?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error["message"]
                .as_str()
                .map_or_else(|| error.to_string(), str::to_owned);
            return Err(failed(message));
        }
        Ok(answer["result"].take())
    }

    /// The id of the node's chain.
    ///
    /// # Errors
    ///
    /// As [`Self::request`], and if the answer is no number.
    pub(in crate::author) async fn chain_id(&self) -> Result<u64, Refusal> {
        self.number("eth_chainId").await
    }

    /// The number of the newest block.
    ///
    /// # Errors
    ///
    /// As [`Self::chain_id`].
    pub(in crate::author) async fn block_number(&self) -> Result<u64, Refusal> {
        self.number("eth_blockNumber").await
    }

    async fn number(&self, method: &str) -> Result<u64, Refusal> {
        let answer = self.request(method, json!([])).await?;
        number(&answer).ok_or_else(|| Refusal::new(format!("{method} of the node at {}: no number", self.place())))
    }

    /// Mines blocks, in several requests if there are many.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]. Only anvil has the method.
    pub(in crate::author) async fn mine(&self, blocks: u64) -> Result<(), Refusal> {
        let mut left = blocks;
        while left > 0 {
            let next = left.min(MINED_MAX);
            self.request("anvil_mine", json!([format!("{next:#x}")])).await?;
            left -= next;
        }
        Ok(())
    }

    /// The URL that the requests go to, which can have a key.
    pub(in crate::author) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The host and the port.
    pub(in crate::author) fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// A quantity of JSON-RPC, such as `0x1f`.
pub(in crate::author) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use axum::Json;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;

    /// A node for a test: its endpoint, its calls with method and parameters, and the task that serves
    /// it. `result` gives the result of a method.
    pub(in crate::author::local) async fn node(
        result: impl Fn(&str) -> Value + Clone + Send + Sync + 'static,
    ) -> (Rpc, mpsc::UnboundedReceiver<(String, Value)>, JoinSet<()>) {
        let (calls, called) = mpsc::unbounded_channel();
        let answer = async move |Json(call): Json<Value>| {
            let method = call["method"].as_str().unwrap().to_owned();
            calls.send((method.clone(), call["params"].clone())).unwrap();
            Json(json!({ "result": result(&method) }))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rpc = Rpc::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let app = axum::Router::new().route("/", axum::routing::post(answer));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        (rpc, called, server)
    }

    #[tokio::test]
    async fn many_blocks_are_mined_in_bounded_requests() {
        let (rpc, mut called, _server) = node(|_| Value::Null).await;
        rpc.mine(250).await.unwrap();
        let mut calls = Vec::new();
        while let Ok(call) = called.try_recv() {
            calls.push(call);
        }
        let mine = |count: &str| ("anvil_mine".to_owned(), json!([count]));
        assert_eq!(calls, [mine("0x64"), mine("0x64"), mine("0x32")]);
    }

    #[test]
    fn a_websocket_url_is_asked_over_http() {
        for (url, http) in [
            ("ws://127.0.0.1:8545", "http://127.0.0.1:8545/"),
            ("wss://node.example/key", "https://node.example/key"),
            ("http://localhost:1", "http://localhost:1/"),
        ] {
            assert_eq!(Rpc::new(url).unwrap().url.as_str(), http);
        }
        for url in ["", "127.0.0.1:8545", "ftp://node", "http://"] {
            assert!(Rpc::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_error_shows_host_and_port_of_a_url() {
        assert_eq!(
            Rpc::new("https://user:pass@node.example:81/key").unwrap().place(),
            "node.example:81"
        );
        assert_eq!(number(&"0x1f".into()), Some(31));
        assert_eq!(number(&Value::Null), None);
    }
}
