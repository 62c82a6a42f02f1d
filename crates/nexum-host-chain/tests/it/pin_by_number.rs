//! Pinned reads at an endpoint that accepts no block hash as a parameter (EIP-1898).

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_chain::Chains;
use nexum_testing::{Answer, Node};
use serde_json::json;

use crate::support::{CHAIN, chains_without_retries, config_of, position};

/// Refuses a block hash in the parameters of these methods, and answers other reads with this
/// result.
fn refuse_hashes(node: &Node, methods: &[&str], result: &'static str) {
    for method in methods {
        node.on(method, move |params| match params.get().contains("blockHash") {
            true => Answer::error(
                -32_602,
                "invalid argument 1: json: cannot unmarshal object into Go value of type rpc.BlockNumber",
            ),
            false => Answer::Result(json!(result)),
        });
    }
}

/// The number of requests to a node.
struct Requests<'a> {
    node: &'a Node,
    method: &'static str,
    seen: Cell<(usize, usize)>,
}

impl<'a> Requests<'a> {
    fn of(node: &'a Node, method: &'static str) -> Self {
        let requests = Self {
            node,
            method,
            seen: Cell::default(),
        };
        requests.since();
        requests
    }

    /// The requests for the method, and for a block by number, since the last call.
    fn since(&self) -> (usize, usize) {
        let now = (self.node.count(self.method), self.node.count("eth_getBlockByNumber"));
        let before = self.seen.replace(now);
        (now.0 - before.0, now.1 - before.1)
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_no_hash_is_asked_by_number() {
    let node = Node::start().await;
    refuse_hashes(&node, &["eth_call", "eth_getLogs"], "0x2a");
    let block = node.mine(3).remove(1);
    for url in [node.http_url(), node.ws_url()] {
        let (calls, logs) = (Requests::of(&node, "eth_call"), Requests::of(&node, "eth_getLogs"));
        let before = node.calls().len();
        let chains = chains_without_retries(&url);
        let at = Some(position(&block));
        let read = async |params: &str| chains.request_at(at, CHAIN, "eth_call", params).await;
        assert_eq!(read(r#"[{"to":"0x01"},"latest"]"#).await.unwrap(), "\"0x2a\"");
        let sent: Vec<_> = node
            .calls()
            .into_iter()
            .skip(before)
            .filter(|call| call.method != "eth_chainId")
            .collect();
        let sent: Vec<_> = sent.iter().map(|call| (&*call.method, &*call.params)).collect();
        assert_eq!(sent.len(), 4, "{sent:?}");
        assert!(sent[0].1.contains("blockHash"), "{sent:?}");
        let block_by_number = ("eth_getBlockByNumber", r#"["0x2",false]"#);
        let read_by_number = ("eth_call", r#"[{"to":"0x01"},"0x2"]"#);
        assert_eq!(sent[1..], [block_by_number, read_by_number, block_by_number]);
        assert_eq!(calls.since(), (2, 2));
        // An equal read is cached, and another one is not sent by hash.
        assert_eq!(read(r#"[{"to":"0x01"},"latest"]"#).await.unwrap(), "\"0x2a\"");
        assert_eq!(calls.since(), (0, 0));
        assert_eq!(read(r#"[{"to":"0x02"}]"#).await.unwrap(), "\"0x2a\"");
        assert_eq!(calls.since(), (1, 2));
        let batch = [("eth_call", "[{}]"), ("eth_call", "[1]"), ("eth_blockNumber", "[]")];
        let answers = chains.request_batch_at(at, CHAIN, &batch, u64::MAX).await.unwrap();
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, ["\"0x2a\"", "\"0x2a\"", "\"0x2\""]);
        assert_eq!(calls.since(), (2, 4));
        logs.since();
        let filter = r#"[{"address":"0x01"}]"#;
        chains.request_at(at, CHAIN, "eth_getLogs", filter).await.unwrap();
        let by_number = node.calls().iter().any(|call| {
            call.method == "eth_getLogs" && call.params == r#"[{"address":"0x01","fromBlock":"0x2","toBlock":"0x2"}]"#
        });
        assert!(by_number, "{:?}", node.calls());
        assert_eq!(logs.since(), (2, 2));
    }
}

#[tokio::test]
async fn a_batch_finds_out_that_an_endpoint_takes_no_hash() {
    let node = Node::start().await;
    refuse_hashes(&node, &["eth_call"], "0x2a");
    let block = node.mine(1).remove(0);
    let chains = chains_without_retries(&node.http_url());
    let calls = Requests::of(&node, "eth_call");
    let batch = [("eth_call", "[1]"), ("eth_call", "[2]")];
    let answers = chains
        .request_batch_at(Some(position(&block)), CHAIN, &batch, u64::MAX)
        .await;
    let answers: Vec<_> = answers.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, ["\"0x2a\"", "\"0x2a\""]);
    // Both in the batch, both separately because every call of the batch failed, the first again by
    // hash, and each by number.
    assert_eq!(calls.since(), (7, 4));
}

#[tokio::test]
async fn a_number_of_another_block_answers_no_pinned_read() {
    let node = Node::start().await;
    refuse_hashes(&node, &["eth_call"], "0x2a");
    let block = node.mine(2).pop().unwrap();
    node.reorg(1, 2);
    let chains = chains_without_retries(&node.http_url());
    let calls = Requests::of(&node, "eth_call");
    let read = async || {
        let read = chains.request_at(Some(position(&block)), CHAIN, "eth_call", "[{}]");
        read.await.unwrap_err()
    };
    let failed = read().await;
    assert_eq!(failed.to_string(), "the endpoint does not have the block");
    assert_eq!(failed.to_host_error().kind, HostErrorKind::Unavailable);
    // By hash, then the block. The read by number is not sent.
    assert_eq!(calls.since(), (1, 1));
    read().await;
    assert_eq!(calls.since(), (1, 1), "the failure is not kept");
}

#[tokio::test]
async fn a_reorganisation_during_a_read_by_number_fails_it() {
    let node = Node::start().await;
    refuse_hashes(&node, &["eth_call"], "0x2a");
    let block = node.mine(1).remove(0);
    let mut replaced = block.to_json();
    replaced["hash"] = json!(format!("0x{}", "cd".repeat(32)));
    let (before, asked) = (block.to_json(), AtomicUsize::new(0));
    node.on("eth_getBlockByNumber", move |_| {
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        Answer::Result(if is_first { before.clone() } else { replaced.clone() })
    });
    let chains = chains_without_retries(&node.http_url());
    let calls = Requests::of(&node, "eth_call");
    let read = chains.request_at(Some(position(&block)), CHAIN, "eth_call", "[{}]");
    let failed = read.await.unwrap_err().to_host_error();
    assert_eq!(failed.kind, HostErrorKind::Unavailable);
    assert_eq!(failed.message, "the endpoint does not have the block");
    assert_eq!(calls.since(), (2, 2));
}

#[tokio::test]
async fn another_endpoint_answers_what_the_first_has_under_another_number() {
    let nodes = [Node::start().await, Node::start().await];
    refuse_hashes(&nodes[0], &["eth_call"], "0x01");
    nodes[1].on("eth_call", |_| Answer::Result(json!("0x2a")));
    let block = nodes[1].mine(2).pop().unwrap();
    let [first, second] = nodes.each_ref().map(|node| Requests::of(node, "eth_call"));
    let chains = Chains::new([config_of(&nodes.each_ref().map(Node::http_url))]);
    let read = chains.request_at(Some(position(&block)), CHAIN, "eth_call", "[{}]");
    assert_eq!(read.await.unwrap(), "\"0x2a\"");
    assert_eq!(first.since(), (1, 1));
    assert_eq!(second.since(), (1, 0));
}

#[tokio::test]
async fn a_refused_parameter_is_no_lack_of_hashes() {
    let node = Node::start().await;
    node.on("eth_call", |params| match params.get().contains("bad") {
        true => Answer::error(-32_602, "invalid argument 0: hex string without 0x prefix"),
        false => Answer::Result(json!("0x2a")),
    });
    let block = node.mine(1).remove(0);
    let chains = chains_without_retries(&node.http_url());
    let calls = Requests::of(&node, "eth_call");
    let read = async |params: &str| {
        let read = chains.request_at(Some(position(&block)), CHAIN, "eth_call", params);
        read.await.map_err(|error| error.to_host_error().kind)
    };
    assert_eq!(read(r#"["bad"]"#).await, Err(HostErrorKind::InvalidInput));
    assert_eq!(calls.since(), (2, 1));
    // A successful read by hash shows that the endpoint accepts hashes.
    assert_eq!(read("[{}]").await.unwrap(), "\"0x2a\"");
    assert_eq!(calls.since(), (1, 0));
    assert_eq!(read(r#"["bad"]"#).await, Err(HostErrorKind::InvalidInput));
    assert_eq!(calls.since(), (1, 0));
}
