use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{Address, B256, Bloom};
use nexum_testing::{Blooms, LogSpec, Node};
use serde_json::{Value, json};

use crate::support::{Client, call, commitments, result};

/// As many logs as the block's number, with zero to four topics.
fn logs(number: u64, fork: u64) -> Vec<LogSpec> {
    let log = |index: u64| LogSpec {
        address: Address::left_padding_from(&index.to_be_bytes()),
        topics: vec![B256::left_padding_from(&(number + fork).to_be_bytes()); index as usize % 5],
        data: vec![7; index as usize * 9].into(),
    };
    (0..number).map(log).collect()
}

#[tokio::test]
async fn a_header_commits_to_the_logs_of_its_block() {
    let node = Node::start().await;
    node.set_logs(logs);
    node.mine(4);
    node.reorg(2, 6);

    for block in &node.chain().canonical()[1..] {
        let header = result(&node, "eth_getBlockByHash", json!([B256::from(block.hash), false])).await;
        let receipts = result(&node, "eth_getBlockReceipts", json!([header["number"]])).await;
        let by_hash = result(&node, "eth_getBlockReceipts", json!([header["hash"]])).await;
        assert_eq!(receipts, by_hash);

        let (bloom, root) = commitments(&receipts);
        assert_eq!(header["logsBloom"], json!(bloom));
        assert_eq!(header["receiptsRoot"], json!(root));

        let expected: Vec<Value> = block.logs().iter().map(|log| log.to_json(block)).collect();
        let receipts = receipts.as_array().unwrap();
        let received: Vec<&Value> = receipts.iter().flat_map(|it| it["logs"].as_array().unwrap()).collect();
        assert_eq!(received, expected.iter().collect::<Vec<_>>());
        let hashes: Vec<&Value> = receipts.iter().map(|receipt| &receipt["transactionHash"]).collect();
        assert_eq!(
            header["transactions"].as_array().unwrap().iter().collect::<Vec<_>>(),
            hashes
        );
        assert_eq!(block.logs().len(), logs(block.number, block.fork()).len());
    }
}

#[tokio::test]
async fn a_block_without_logs_has_the_empty_bloom_and_root() {
    let node = Node::start().await;
    node.mine(1);
    let header = result(&node, "eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(header["logsBloom"], json!(Bloom::ZERO));
    assert_eq!(header["receiptsRoot"], json!(EMPTY_ROOT_HASH));
    assert_eq!(
        result(&node, "eth_getBlockReceipts", json!(["latest"])).await,
        json!([])
    );
    assert_eq!(result(&node, "eth_getBlockReceipts", json!(["0x9"])).await, Value::Null);
}

#[tokio::test]
async fn a_header_says_what_is_not_so_when_told() {
    let node = Node::start().await;
    node.set_logs(logs);
    let blocks = node.mine(3);
    let (block, with_logs) = (&blocks[2], B256::from(blocks[2].hash));
    let bloom_of_first = {
        let mut bloom = Bloom::ZERO;
        bloom.accrue_raw_log(block.logs()[0].address, &block.logs()[0].topics);
        bloom
    };
    let header = async || result(&node, "eth_getBlockByHash", json!([with_logs, false])).await;
    let honest = header().await;
    for (blooms, expected) in [
        (Blooms::Empty, json!(Bloom::ZERO)),
        (Blooms::OfFirstLog, json!(bloom_of_first)),
        (Blooms::Unreadable, json!("0x")),
        (Blooms::True, honest["logsBloom"].clone()),
    ] {
        node.show_blooms(blooms);
        assert_eq!(header().await["logsBloom"], expected, "{blooms:?}");
        assert_eq!(header().await["receiptsRoot"], honest["receiptsRoot"]);
    }
    node.show_blooms(Blooms::Unrelated);
    let unrelated: Bloom = serde_json::from_value(header().await["logsBloom"].clone()).unwrap();
    assert_ne!(unrelated & block.logs_bloom(), block.logs_bloom());
    node.falsify_receipts_roots(true);
    assert_eq!(header().await["receiptsRoot"], json!(B256::ZERO));

    // It announces what it shows.
    let mut client = Client::connect(&node).await;
    client.subscribe().await;
    let announced = node.mine(1).remove(0);
    let message = client.json().await;
    let shown = result(&node, "eth_getBlockByHash", json!([B256::from(announced.hash), false])).await;
    assert_eq!(message["params"]["result"], shown);
    assert_eq!(shown["receiptsRoot"], json!(B256::ZERO));
}

#[tokio::test]
async fn tags_name_blocks_behind_the_head() {
    let node = Node::start().await;
    node.mine(20);
    let number = async |tag: &str| result(&node, "eth_getBlockByNumber", json!([tag, false])).await["number"].clone();
    for (tag, expected) in [
        ("safe", "0x0"),
        ("finalized", "0x0"),
        ("pending", "0x14"),
        ("latest", "0x14"),
    ] {
        assert_eq!(number(tag).await, expected, "{tag}");
    }

    node.set_finality(4, 12);
    for (tag, expected) in [("safe", "0x10"), ("finalized", "0x8"), ("earliest", "0x0")] {
        assert_eq!(number(tag).await, expected, "{tag}");
    }
}

#[tokio::test]
async fn numbers_without_a_block_are_null_or_refused() {
    let node = Node::start().await;
    let below = node.mine(2).remove(1);
    node.skip(3);
    let above = node.mine(1).remove(0);
    assert_eq!((above.number, above.parent_hash), (6, below.hash));
    assert_eq!(above.timestamp_s - below.timestamp_s, 48);
    let by_number = async |number: &str| call(&node, "eth_getBlockByNumber", json!([number, false])).await;
    assert_eq!(by_number("0x4").await["result"], Value::Null);
    node.refuse_null_rounds(true);
    let refusal = by_number("0x4").await["error"].clone();
    assert_eq!(
        refusal,
        json!({"code": 12, "message": "requested epoch was a null round"})
    );
    assert_eq!(by_number("0x7").await["result"], Value::Null);
    // Lag and finality are counted in blocks.
    node.set_finality(1, 2);
    assert_eq!(by_number("safe").await["result"]["number"], "0x2");
    node.set_lag(1);
    assert_eq!(by_number("latest").await["result"]["number"], "0x2");
}

#[tokio::test]
async fn says_that_it_syncs_when_told() {
    let node = Node::start().await;
    node.mine(2);
    assert_eq!(result(&node, "eth_syncing", json!([])).await, false);
    node.set_syncing(Some(16));
    let syncing = result(&node, "eth_syncing", json!([])).await;
    assert_eq!(
        (&syncing["currentBlock"], &syncing["highestBlock"]),
        (&json!("0x2"), &json!("0x10"))
    );
}

#[tokio::test]
async fn grows_a_long_chain_at_once() {
    let node = Node::start().await;
    node.forget_calls();
    node.set_logs(|number, fork| logs(number % 3, fork));
    node.mine(100_000);
    let found = result(&node, "eth_getLogs", json!([{ "fromBlock": format!("{:#x}", 99_000) }])).await;
    let expected: u64 = (99_000..=100_000).map(|number| number % 3).sum();
    assert_eq!(found.as_array().unwrap().len() as u64, expected);
    assert_eq!(node.calls(), []);
    assert_eq!(node.count("eth_getLogs"), 1);
}
