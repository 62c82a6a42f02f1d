//! Clients of the nodes, and values that tests compute from responses.

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::{Receipt, ReceiptEnvelope, TxType};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log};
use futures_util::{SinkExt as _, StreamExt as _};
use nexum_testing::{Block, Node};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Posts a body.
pub(crate) async fn respond(node: &Node, body: &str) -> Result<reqwest::Response, reqwest::Error> {
    let client = nexum_net::http_client().no_proxy().build()?;
    client.post(node.http_url()).body(body.to_owned()).send().await
}

/// Posts a body. Returns the status and the response's text, or the error.
pub(crate) async fn post(node: &Node, body: &str) -> Result<(u16, String), reqwest::Error> {
    let response = respond(node, body).await?;
    Ok((response.status().as_u16(), response.text().await?))
}

pub(crate) async fn call(node: &Node, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let (_, text) = post(node, &body.to_string()).await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["id"], 7);
    answer
}

/// The `result` of a call that must succeed.
pub(crate) async fn result(node: &Node, method: &str, params: Value) -> Value {
    let mut answer = call(node, method, params).await;
    answer
        .get_mut("result")
        .unwrap_or_else(|| panic!("{method} failed"))
        .take()
}

/// A WebSocket connection to a node.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(node: &Node) -> Self {
        // Without size limits, because a test may make the node send a message of any size.
        let unbounded = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let connected = connect_async_with_config(node.ws_url(), Some(unbounded), false).await;
        Self(connected.unwrap().0)
    }

    pub(crate) async fn send(&mut self, method: &str, params: Value) {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.0.send(Message::Text(request.to_string().into())).await.unwrap();
    }

    /// The next message as text; `None` after the connection has closed.
    pub(crate) async fn text(&mut self) -> Option<String> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Some(text.to_string()),
            _ => None,
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("an open connection")).unwrap()
    }

    pub(crate) async fn subscribe(&mut self) -> Value {
        self.send("eth_subscribe", json!(["newHeads"])).await;
        self.json().await["result"].clone()
    }

    pub(crate) async fn expect_head(&mut self, block: &Block) {
        assert_eq!(self.json().await["params"]["result"], block.to_json());
    }
}

pub(crate) fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

/// The bloom filter and the receipts root that the header must have for these receipts of
/// `eth_getBlockReceipts`.
pub(crate) fn commitments(receipts: &Value) -> (Bloom, B256) {
    let receipts: Vec<_> = receipts.as_array().unwrap().iter().map(receipt).collect();
    let mut bloom = Bloom::ZERO;
    for log in receipts.iter().flat_map(ReceiptEnvelope::logs) {
        bloom.accrue_raw_log(log.address, log.topics());
    }
    (bloom, calculate_receipt_root(&receipts))
}

fn receipt(json: &Value) -> ReceiptEnvelope {
    let logs = json["logs"].as_array().unwrap().iter().map(|log| {
        let topics = Vec::<B256>::deserialize(&log["topics"]).unwrap();
        let data = Bytes::deserialize(&log["data"]).unwrap();
        Log::new_unchecked(Address::deserialize(&log["address"]).unwrap(), topics, data)
    });
    let receipt = Receipt {
        status: (quantity(&json["status"]) == 1).into(),
        cumulative_gas_used: quantity(&json["cumulativeGasUsed"]),
        logs: logs.collect(),
    };
    let kind = u8::try_from(quantity(&json["type"])).unwrap();
    ReceiptEnvelope::from_typed(TxType::try_from(kind).unwrap(), receipt.with_bloom())
}
