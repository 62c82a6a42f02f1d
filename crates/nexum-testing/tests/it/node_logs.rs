use alloy_primitives::{Address, B256};
use nexum_testing::{Block, LogSpec, LostLogs, Node};
use serde_json::{Value, json};

use crate::support::{call, result};

/// Events of two contracts. `T` distinguishes the events of one contract.
fn logs(number: u64, _fork: u64) -> Vec<LogSpec> {
    let log = |address: u8, topics: &[u8]| LogSpec {
        address: Address::repeat_byte(address),
        topics: topics.iter().map(|topic| topic_of(*topic)).collect(),
        data: vec![number as u8].into(),
    };
    match number % 3 {
        0 => Vec::new(),
        1 => vec![log(0xa, &[1, 2]), log(0xb, &[1, 3])],
        _ => vec![log(0xa, &[1]), log(0xb, &[]), log(0xa, &[2, 2, 3])],
    }
}

fn topic_of(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn all<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Vec<Value> {
    let of = |block: &'a Block| block.logs().iter().map(|log| log.to_json(block));
    blocks.into_iter().flat_map(of).collect()
}

async fn found(node: &Node, filter: Value) -> Vec<Value> {
    let found = result(node, "eth_getLogs", json!([filter])).await;
    found.as_array().unwrap().clone()
}

#[tokio::test]
async fn finds_logs_by_address_and_topics() {
    let node = Node::start().await;
    node.set_logs(logs);
    let mined = node.mine(6);
    let (a, b) = (Address::repeat_byte(0xa), Address::repeat_byte(0xb));
    let [one, two, three] = [1, 2, 3].map(topic_of);
    let every = all(&mined);

    for (filter, expected) in [
        (json!({}), 10),
        (json!({ "address": null, "topics": null }), 10),
        (json!({ "address": a }), 6),
        (json!({ "address": [a, b], "topics": [] }), 10),
        (json!({ "address": [] }), 10),
        (json!({ "address": Address::ZERO }), 0),
        (json!({ "topics": [one] }), 6),
        (json!({ "topics": [[one, two]] }), 8),
        (json!({ "topics": [null] }), 8),
        (json!({ "topics": [null, two] }), 4),
        (json!({ "topics": [null, [two, three]] }), 6),
        (json!({ "topics": [null, null, three] }), 2),
        (json!({ "address": b, "topics": [one, three] }), 2),
        (json!({ "topics": [[], []] }), 6),
        (json!({ "topics": [null, null, null, null] }), 0),
    ] {
        let mut ranged = filter.clone();
        ranged["fromBlock"] = json!("0x0");
        let by_range = found(&node, ranged).await;
        assert_eq!(by_range.len(), expected, "{filter}");
        // The order of the logs is kept.
        let kept: Vec<&Value> = every.iter().filter(|log| by_range.contains(log)).collect();
        assert_eq!(by_range.iter().collect::<Vec<_>>(), kept, "{filter}");

        let mut by_hash = Vec::new();
        for block in &mined {
            let mut filter = filter.clone();
            filter["blockHash"] = json!(B256::from(block.hash));
            by_hash.extend(found(&node, filter).await);
        }
        assert_eq!(by_hash, by_range, "{filter}");
    }
}

#[tokio::test]
async fn reads_as_much_of_a_range_as_there_is() {
    let node = Node::start().await;
    node.set_logs(logs);
    node.set_finality(2, 4);
    let mined = node.mine(8);

    for (from, to, blocks) in [
        (json!("0x2"), json!("0x4"), &mined[1..4]),
        (json!("earliest"), json!("finalized"), &mined[..4]),
        (json!("finalized"), json!("safe"), &mined[3..6]),
        (json!("0x7"), json!("latest"), &mined[6..]),
        (json!("0x7"), json!("pending"), &mined[6..]),
        (json!("0x7"), json!("0xff"), &mined[6..]),
        (json!("0x9"), json!("0xff"), &mined[8..]),
        (Value::Null, Value::Null, &mined[7..]),
    ] {
        let logs = found(&node, json!({ "fromBlock": from, "toBlock": to })).await;
        assert_eq!(logs, all(blocks), "{from} to {to}");
    }
}

#[tokio::test]
async fn refuses_filters_that_make_no_sense() {
    let node = Node::start().await;
    node.mine(2);
    let unknown = B256::repeat_byte(1);
    for (filter, code, message) in [
        (json!({ "blockHash": unknown }), -32_000, "unknown block"),
        (
            json!({ "blockHash": unknown, "fromBlock": "0x1" }),
            -32_602,
            "cannot specify both",
        ),
        (
            json!({ "fromBlock": "0x2", "toBlock": "0x1" }),
            -32_602,
            "invalid block range params",
        ),
        (json!({ "fromBlock": 2 }), -32_602, "invalid block number"),
        (json!({ "topics": "all" }), -32_602, "invalid filter"),
    ] {
        let error = call(&node, "eth_getLogs", json!([filter])).await["error"].clone();
        assert_eq!(error["code"], code, "{filter}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
}

#[tokio::test]
async fn answers_for_unknown_blocks_when_told() {
    let node = Node::start().await;
    node.set_logs(logs);
    let mined = node.mine(1);
    node.answer_unknown_blocks(true);
    assert_eq!(
        found(&node, json!({ "blockHash": B256::repeat_byte(1) })).await,
        all([])
    );
    let known = json!({ "blockHash": B256::from(mined[0].hash) });
    assert_eq!(found(&node, known).await, all(&mined));
}

#[tokio::test]
async fn counts_indexes_in_transactions_when_told() {
    let node = Node::start().await;
    node.set_logs(logs);
    node.mine(2);
    node.index_logs_in_transactions(true);
    let logs = found(&node, json!({ "fromBlock": "0x2" })).await;
    let places: Vec<_> = logs
        .iter()
        .map(|log| (log["transactionIndex"].clone(), log["logIndex"].clone()))
        .collect();
    let expected = [("0x0", "0x0"), ("0x0", "0x1"), ("0x1", "0x0")];
    assert_eq!(
        places,
        expected.map(|(transaction, log)| (json!(transaction), json!(log)))
    );
}

#[tokio::test]
async fn refuses_a_range_beyond_its_head_when_told() {
    let node = Node::start().await;
    node.set_logs(logs);
    let mined = node.mine(4);
    let ranges = async |to: &str| call(&node, "eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": to }])).await;
    assert_eq!(ranges("0x5").await["result"], json!(all(&mined)));
    node.refuse_beyond_head(true);
    assert_eq!(ranges("0x5").await["error"]["code"], -32_602);
    assert_eq!(ranges("0x4").await["result"], json!(all(&mined)));

    // A lagging node has another head.
    node.set_lag(1);
    assert_eq!(ranges("0x4").await["error"]["code"], -32_602);
}

#[tokio::test]
async fn logs_of_replaced_blocks_are_found_by_hash_alone() {
    let node = Node::start().await;
    node.set_logs(logs);
    let replaced = node.mine(2);
    let canonical = node.reorg(2, 2);

    for block in replaced.iter().chain(&canonical) {
        let logs = found(&node, json!({ "blockHash": B256::from(block.hash) })).await;
        assert_eq!(logs, all([block]));
    }
    assert_eq!(found(&node, json!({ "fromBlock": "0x0" })).await, all(&canonical));
}

#[tokio::test]
async fn loses_logs_that_the_bloom_promises() {
    let node = Node::start().await;
    node.set_logs(logs);
    let mined = node.mine(4);
    for (lost, by_hash, narrow, wide) in [
        (LostLogs::Nothing, false, false, false),
        (LostLogs::ByHash, true, false, false),
        (LostLogs::Ranges(3), false, false, true),
        (LostLogs::All, true, true, true),
    ] {
        node.lose_logs(lost);
        for (filter, empty) in [
            (json!({ "blockHash": B256::from(mined[0].hash) }), by_hash),
            (json!({ "fromBlock": "0x1", "toBlock": "0x2" }), narrow),
            (json!({ "fromBlock": "0x1", "toBlock": "0x3" }), wide),
        ] {
            assert_eq!(
                found(&node, filter.clone()).await.is_empty(),
                empty,
                "{lost:?}: {filter}"
            );
        }
    }
}
