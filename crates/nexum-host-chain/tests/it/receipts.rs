//! Logs that the receipts of their block prove.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use nexum_config::topic::Finality;
use nexum_host_chain::{Chains, VerifyLogs, metrics as names};
use nexum_testing::{Answer, Block, Counts, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::support::{CHAIN, Following, config_of};
use crate::wanted::{check_logs, filters, node_with_logs};

type Change = fn(&mut Value);

fn start(urls: &[String]) -> (Chains, Following) {
    let mut config = config_of(urls);
    config.verify_logs = VerifyLogs::Receipts;
    let chains = Chains::new([config]);
    let following = Following::start_with(&chains, Finality::Latest, &filters());
    (chains, following)
}

/// Makes a node return changed receipts for blocks with logs.
fn tamper(node: &Arc<Node>, change: Change) {
    let its = Arc::downgrade(node);
    node.on("eth_getBlockReceipts", move |params| {
        let [hash] = serde_json::from_str::<[B256; 1]>(params.get()).unwrap();
        let chain = its.upgrade().unwrap().chain();
        let block: &Block = chain.by_hash(&hash.0).unwrap();
        let mut receipts = block.receipts_json();
        if !block.logs().is_empty() {
            change(&mut receipts);
        }
        Answer::Result(receipts)
    });
}

/// Receipts that are not the block's.
const FORGERIES: [(&str, Change); 9] = [
    ("another log", |receipts| receipts[0]["logs"][0]["data"] = json!("0x00")),
    ("another contract", |receipts| {
        receipts[0]["logs"][0]["address"] = json!(Address::repeat_byte(0xb));
    }),
    ("a log less", |receipts| {
        receipts[0]["logs"].as_array_mut().unwrap().remove(0);
    }),
    ("a receipt less", |receipts| {
        receipts.as_array_mut().unwrap().pop();
    }),
    ("none", |receipts| *receipts = json!([])),
    ("another order", |receipts| receipts.as_array_mut().unwrap().reverse()),
    ("of another block", |receipts| {
        receipts[0]["logs"][0]["blockHash"] = json!(B256::ZERO)
    }),
    ("of another height", |receipts| {
        receipts[0]["logs"][0]["blockNumber"] = json!("0x1")
    }),
    ("no receipts at all", |receipts| *receipts = Value::Null),
];

/// The [`FORGERIES`] that contain the wanted logs of block 5, as its `eth_getLogs` returns them.
const KEEPS_WANTED: [&str; 2] = ["a receipt less", "another order"];

#[tokio::test]
async fn logs_come_from_the_receipts_alone() {
    for url in [Node::http_url, Node::ws_url] {
        let node = node_with_logs(4).await;
        let (_, following) = start(&[url(&node)]);
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(40).last().unwrap()).await;
        node.reorg(5, 9);
        following.reaches(node.chain().head()).await;
        check_logs(&node, &following);
        assert_eq!(node.count("eth_getLogs"), 0);
    }
}

#[tokio::test]
async fn forged_receipts_are_refused_and_another_endpoint_is_used() {
    for (what, change) in FORGERIES {
        let log = Log::default();
        let _guard = log.capture();
        let forger = Arc::new(node_with_logs(4).await);
        let honest = forger.replica().await;
        tamper(&forger, change);
        let (chains, following) = start(&[forger.http_url(), honest.http_url()]);
        following.reaches(forger.chain().head()).await;
        following.reaches(forger.mine(4).last().unwrap()).await;
        check_logs(&forger, &following);
        let label = chains.endpoints(CHAIN).unwrap().all()[0].label().to_owned();
        let is_rested = log
            .text()
            .lines()
            .any(|line| line.contains("the endpoint is rested") && line.contains(&label));
        // A node that lacks the receipts may have them later.
        assert_eq!(is_rested, what != "no receipts at all", "{what}: {}", log.text());
    }
}

#[tokio::test]
async fn a_block_waits_for_true_receipts_if_there_is_nobody_else_to_ask() {
    for (what, change) in FORGERIES.into_iter().filter(|(what, _)| !KEEPS_WANTED.contains(what)) {
        let node = Arc::new(node_with_logs(4).await);
        let (_, following) = start(&[node.http_url()]);
        following.reaches(node.chain().head()).await;
        tamper(&node, change);
        let asked = node.count("eth_getBlockReceipts");
        let block = node.mine(1).remove(0);
        node.until(|node| node.count("eth_getBlockReceipts") >= asked + 2).await;
        assert_eq!(following.log.head().unwrap().number, block.number - 1, "{what}");
        node.restore("eth_getBlockReceipts");
        following.reaches(&block).await;
        check_logs(&node, &following);
    }
}

/// Some networks have roots that do not cover all receipts, and some have none. Their chains must
/// not stop.
#[tokio::test]
async fn receipts_that_are_not_those_of_the_root_are_believed_where_a_second_answer_agrees() {
    for count in [1, 2] {
        let (log, counts) = (Log::default(), Counts::default());
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        let second = node.replica().await;
        let nodes = &[&node, &second][..count];
        nodes.iter().for_each(|node| node.falsify_receipts_roots(true));
        let urls: Vec<String> = nodes.iter().map(|node| node.http_url()).collect();
        let (_, following) = metrics::with_local_recorder(&counts, || start(&urls));
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(12).last().unwrap()).await;
        check_logs(&node, &following);
        let lines = |words: &str| log.text().lines().filter(|line| line.contains(words)).count();
        assert_eq!(lines("the endpoint is rested"), 0);
        assert_eq!(lines("the block's receipts are not those of the header's root"), 1);
        // Blocks 5 to 17, without the three blocks without logs.
        assert_eq!(counts.sum(names::UNVERIFIED, &["chain=11155111"]), 10);
        assert_eq!(counts.sum(names::VERIFICATION_FAILURES, &["chain=11155111"]), 0);
        // The second answer is another endpoint's receipts or, without another endpoint, the
        // endpoint's own logs.
        assert_eq!(node.count("eth_getLogs") > 0, count == 1);
        assert_eq!(second.count("eth_getLogs"), 0);
    }
}

/// The root does not cover the index.
#[tokio::test]
async fn the_index_of_a_log_is_counted_and_not_believed() {
    let node = Arc::new(node_with_logs(4).await);
    let (_, following) = start(&[node.http_url()]);
    tamper(&node, |receipts| {
        for receipt in receipts.as_array_mut().unwrap() {
            receipt["logs"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|log| log["logIndex"] = json!("0x7"));
        }
    });
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(4).last().unwrap()).await;
    check_logs(&node, &following);
    assert_eq!(node.count("eth_getLogs"), 0);
}

#[tokio::test]
async fn receipts_of_an_unknown_kind_prove_nothing_and_the_logs_are_asked_for() {
    let node = Arc::new(node_with_logs(4).await);
    let (_, following) = start(&[node.http_url()]);
    tamper(&node, |receipts| {
        if let Some(receipt) = receipts.get_mut(0) {
            receipt["type"] = json!("0x7e");
        }
    });
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(4).last().unwrap()).await;
    check_logs(&node, &following);
    assert!(node.count("eth_getLogs") > 0);
}
