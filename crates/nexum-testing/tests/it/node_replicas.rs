use alloy_primitives::B256;
use nexum_testing::{Block, Node};
use serde_json::{Value, json};

use crate::support::{Client, call, result};

async fn subscribed(node: &Node) -> Client {
    let mut client = Client::connect(node).await;
    client.subscribe().await;
    client
}

/// The hash of the newest block of a node.
async fn latest(node: &Node) -> Value {
    result(node, "eth_getBlockByNumber", json!(["latest", false])).await["hash"].clone()
}

async fn by_hash(node: &Node, block: &Block) -> Value {
    result(node, "eth_getBlockByHash", json!([hash(block), false])).await
}

fn hash(block: &Block) -> Value {
    json!(B256::from(block.hash))
}

#[tokio::test]
async fn replicas_serve_one_chain_and_have_faults_and_counts_of_their_own() {
    let node = Node::start().await;
    node.set_chain_id(5);
    let replica = node.replica().await;
    let (mut first, mut second) = (subscribed(&node).await, subscribed(&replica).await);

    let mined = replica.mine(1).remove(0);
    let replaced = node.reorg(1, 1).remove(0);
    for client in [&mut first, &mut second] {
        client.expect_head(&mined).await;
        client.expect_head(&replaced).await;
    }
    assert_eq!(latest(&node).await, latest(&replica).await);
    assert_eq!(result(&replica, "eth_chainId", json!([])).await, "0x5");

    replica.lose_logs(nexum_testing::LostLogs::All);
    node.once("eth_blockNumber", nexum_testing::Answer::error(1, "once"));
    assert_eq!(result(&replica, "eth_blockNumber", json!([])).await, "0x1");
    assert_eq!((node.count("eth_chainId"), replica.count("eth_chainId")), (0, 1));
}

#[tokio::test]
async fn a_lagging_node_shows_and_announces_what_it_has_reached() {
    let node = Node::start().await;
    let lagging = node.replica().await;
    lagging.set_lag(2);
    let mut client = subscribed(&lagging).await;

    let mined = node.mine(4);
    client.expect_head(&mined[0]).await;
    client.expect_head(&mined[1]).await;
    assert_eq!(result(&lagging, "eth_blockNumber", json!([])).await, "0x2");
    assert_eq!(by_hash(&lagging, &mined[2]).await, Value::Null);
    assert_eq!(by_hash(&lagging, &mined[1]).await, mined[1].to_json());
    let unknown = call(&lagging, "eth_getLogs", json!([{ "blockHash": hash(&mined[2]) }])).await;
    assert_eq!(unknown["error"]["message"], "unknown block");
    assert_eq!(
        result(&lagging, "eth_getBlockByNumber", json!(["0x3", false])).await,
        Value::Null
    );

    // The reorganisation replaces the third block before the node reaches it, and the second one
    // after.
    let replaced = node.reorg(3, 4);
    client.expect_head(&replaced[0]).await;
    client.expect_head(&replaced[1]).await;
    lagging.set_lag(1);
    client.expect_head(&replaced[2]).await;

    // Behind by more than before: the node announces no block twice.
    lagging.set_lag(3);
    node.mine(3);
    client.expect_head(&replaced[3]).await;
}

#[tokio::test]
async fn a_frozen_node_keeps_its_chain_and_announces_the_newest_head_when_it_thaws() {
    let node = Node::start().await;
    let frozen = node.replica().await;
    let old = node.mine(3);
    let mut client = subscribed(&frozen).await;
    frozen.freeze();

    let new = node.reorg(2, 5);
    assert_eq!(latest(&frozen).await, hash(&old[2]));
    assert_eq!(by_hash(&frozen, &new[0]).await, Value::Null);
    let by_number = result(&frozen, "eth_getBlockByNumber", json!(["0x2", false])).await;
    assert_eq!(by_number, old[1].to_json());

    frozen.thaw();
    client.expect_head(&new[4]).await;
    assert_eq!(latest(&frozen).await, hash(&new[4]));
    client.expect_head(&node.mine(1)[0]).await;
}

#[tokio::test]
async fn a_node_on_a_clone_of_the_chain_diverges_from_it() {
    let node = Node::start().await;
    let mined = node.mine(6);
    let other = Node::start_on(node.chain().up_to(4)).await;
    assert_eq!(latest(&other).await, hash(&mined[3]));

    let theirs = other.mine(3);
    let ours = node.reorg(2, 3);
    assert_eq!(theirs[0].parent_hash, mined[3].hash);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.number, theirs.number);
        assert_ne!(ours.hash, theirs.hash);
    }
    assert_eq!(by_hash(&other, &mined[4]).await, Value::Null);
    assert_eq!(latest(&node).await, hash(&ours[2]));
}

#[tokio::test]
async fn unannounced_blocks_and_reorgs_are_seen_and_not_heard_of() {
    let node = Node::start().await;
    let mut client = subscribed(&node).await;
    node.mine_unannounced(3);
    let replaced = node.reorg_unannounced(2, 2);
    assert_eq!(latest(&node).await, hash(&replaced[1]));
    client.expect_head(&node.mine(1)[0]).await;
}
