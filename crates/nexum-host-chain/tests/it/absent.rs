//! Empty answers for blocks that a node does not have yet.

use std::collections::HashMap;

use alloy_primitives::B256;
use nexum_config::topic::Finality;
use nexum_host_chain::{Chains, VerifyLogs};
use nexum_testing::{Answer, Blooms, Node};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Following, config};
use crate::wanted::{check_logs, filters, node_with_logs, spec};

fn start(node: &Node, verify_logs: VerifyLogs) -> Following {
    let mut config = config(&node.http_url());
    config.verify_logs = verify_logs;
    Following::start_with(&Chains::new([config]), Finality::Latest, &filters())
}

/// The number of calls for each hash.
#[derive(Default)]
struct Calls(Mutex<HashMap<B256, usize>>);

impl Calls {
    /// The number of earlier calls for this hash.
    fn before(&self, hash: &Value) -> usize {
        let mut calls = self.0.lock();
        let count = calls.entry(serde_json::from_value(hash.clone()).unwrap()).or_default();
        *count += 1;
        *count - 1
    }
}

/// Makes a node answer like several nodes behind one URL, of which the first ones asked lack the
/// block.
fn behind_a_balancer(node: &Node) {
    node.answer_unknown_blocks(true);
    let (logs, blocks) = (Calls::default(), Calls::default());
    node.on("eth_getLogs", move |params| {
        let question = serde_json::from_str::<Value>(params.get()).unwrap();
        match logs.before(&question[0]["blockHash"]) {
            0 | 1 => Answer::Result(json!([])),
            _ => Answer::Default,
        }
    });
    node.on("eth_getBlockByHash", move |params| {
        let question = serde_json::from_str::<Value>(params.get()).unwrap();
        match blocks.before(&question[0]) {
            0 => Answer::Result(Value::Null),
            _ => Answer::Default,
        }
    });
}

#[tokio::test]
async fn an_empty_answer_of_a_node_without_the_block_is_asked_again() {
    for blooms in [Blooms::True, Blooms::Empty, Blooms::Unreadable] {
        for verify_logs in [VerifyLogs::Off, VerifyLogs::Bloom] {
            let node = node_with_logs(5).await;
            node.show_blooms(blooms);
            behind_a_balancer(&node);
            let following = start(&node, verify_logs);
            following.reaches(node.chain().head()).await;
            following.reaches(node.mine(6).last().unwrap()).await;
            check_logs(&node, &following);
        }
    }
}

#[tokio::test]
async fn a_block_waits_for_an_endpoint_that_does_not_have_it_yet() {
    let node = node_with_logs(4).await;
    node.answer_unknown_blocks(true);
    let following = start(&node, VerifyLogs::Off);
    following.reaches(node.chain().head()).await;
    node.on("eth_getLogs", |_| Answer::Result(json!([])));
    node.on("eth_getBlockByHash", |_| Answer::Result(Value::Null));
    let block = node.mine(1).remove(0);
    node.until(|node| node.count("eth_getBlockByHash") >= 4).await;
    assert_eq!(following.log.head().unwrap().number, block.number - 1);
    node.restore("eth_getLogs");
    node.restore("eth_getBlockByHash");
    following.reaches(&block).await;
    check_logs(&node, &following);
}

/// As documented: one test request with a hash of no block, per 64 empty answers.
#[tokio::test]
async fn an_endpoint_that_refuses_unknown_blocks_is_believed() {
    let node = Node::start().await;
    node.set_logs(|_, _| vec![spec(0xc, &[9], &[])]);
    node.mine(1);
    let following = start(&node, VerifyLogs::Off);
    following.reaches(node.chain().head()).await;
    for _ in 2..=70 {
        following.reaches(&node.mine(1)[0]).await;
    }
    assert_eq!(node.count("eth_getLogs"), 70 + 2);
    assert_eq!(node.count("eth_getBlockByHash"), 0);
}

#[tokio::test]
async fn an_endpoint_that_does_not_give_blocks_by_hash_does_not_stop_the_chain() {
    let node = node_with_logs(4).await;
    node.answer_unknown_blocks(true);
    node.on("eth_getBlockByHash", |_| Answer::error(-32_602, "not in your plan"));
    let following = start(&node, VerifyLogs::Off);
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(8).last().unwrap()).await;
    check_logs(&node, &following);
    assert!(node.count("eth_getBlockByHash") > 0);
}
