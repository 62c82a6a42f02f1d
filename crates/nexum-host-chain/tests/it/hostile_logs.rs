//! False logs of an endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256};
use nexum_config::topic::Finality;
use nexum_testing::{Answer, Block, Node};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::support::{Following, chains};
use crate::wanted::{check_logs, filters, node_with_logs};

pub(crate) type Change = fn(&mut Vec<Value>);

/// Makes a node answer `eth_getLogs` for a block with all its logs, changed if there are any.
pub(crate) fn answer_with(node: &Arc<Node>, change: Change) {
    let its = Arc::downgrade(node);
    node.on("eth_getLogs", move |params| {
        let [filter] = serde_json::from_str::<[Value; 1]>(params.get()).unwrap();
        let hash = B256::deserialize(&filter["blockHash"]).unwrap();
        let chain = its.upgrade().unwrap().chain();
        let Some(block): Option<&Block> = chain.by_hash(&hash.0) else {
            return Answer::Default;
        };
        let mut logs: Vec<Value> = block.logs().iter().map(|log| log.to_json(block)).collect();
        if !logs.is_empty() {
            change(&mut logs);
        }
        Answer::Result(logs.into())
    });
}

async fn followed() -> (Arc<Node>, Following) {
    let node = Arc::new(node_with_logs(4).await);
    let following = Following::start_with(&chains(&node.http_url()), Finality::Latest, &filters());
    following.reaches(node.chain().head()).await;
    (node, following)
}

#[tokio::test]
async fn what_cannot_be_true_is_refused_and_its_block_waits_for_the_truth() {
    let refused: [(&str, Change); 12] = [
        ("of another block", |logs| logs[0]["blockHash"] = json!(B256::ZERO)),
        ("of another height", |logs| logs[0]["blockNumber"] = json!("0x1")),
        ("of no block", |logs| logs[0]["blockHash"] = Value::Null),
        ("of a pending block", |logs| logs[0]["blockNumber"] = Value::Null),
        ("without a place", |logs| logs[0]["logIndex"] = Value::Null),
        ("out of all bounds", |logs| logs[0]["logIndex"] = json!("0x100000000")),
        ("of no transaction", |logs| logs[0]["transactionHash"] = Value::Null),
        ("with five topics", |logs| {
            logs[0]["topics"] = json!(vec![B256::ZERO; 5])
        }),
        ("with a short topic", |logs| logs[0]["topics"] = json!(["0x01"])),
        ("with bad data", |logs| logs[0]["data"] = json!("0x0")),
        ("no log", |logs| logs[0] = json!([])),
        // The log is of a requested contract, which did log something else.
        ("one that the bloom does not have, and another each time", |logs| {
            static ANSWERS: AtomicU64 = AtomicU64::new(0);
            let mut log = logs[0].clone();
            let answer = ANSWERS.fetch_add(1, Ordering::Relaxed);
            log["topics"] = json!([B256::left_padding_from(&answer.to_be_bytes())]);
            log["logIndex"] = json!("0x99");
            logs.push(log);
        }),
    ];
    for (what, change) in refused {
        let (node, following) = followed().await;
        answer_with(&node, change);
        let asked = node.count("eth_getLogs");
        let block = node.mine(1).remove(0);
        node.until(|node| node.count("eth_getLogs") >= asked + 2).await;
        assert_eq!(following.log.head().unwrap().number, block.number - 1, "{what}");
        node.restore("eth_getLogs");
        following.reaches(&block).await;
        check_logs(&node, &following);
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_dropped_and_the_rest_put_in_order() {
    let dropped: [(&str, Change); 5] = [
        ("all of the block", |_| {}),
        ("the wrong way round", |logs| logs.reverse()),
        ("each twice", |logs| logs.extend(logs.clone())),
        ("of a contract that nobody follows", |logs| {
            let mut log = logs[0].clone();
            log["address"] = json!(Address::repeat_byte(0xdd));
            log["logIndex"] = json!("0x99");
            logs.insert(0, log);
        }),
        ("of another block, and nobody's", |logs| {
            let mut log = logs[0].clone();
            log["address"] = json!(Address::repeat_byte(0xdd));
            log["blockHash"] = json!(B256::ZERO);
            logs.push(log);
        }),
    ];
    for (_, change) in dropped {
        let (node, following) = followed().await;
        answer_with(&node, change);
        following.reaches(node.mine(4).last().unwrap()).await;
        check_logs(&node, &following);
    }
}
