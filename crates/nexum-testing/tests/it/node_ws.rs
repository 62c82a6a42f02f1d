use nexum_testing::{Answer, Node};
use serde_json::json;

use crate::support::Client;

#[tokio::test]
async fn announces_mined_and_reorganised_blocks_to_subscribers() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    node.mine(1);
    let id = client.subscribe().await;
    node.until(|node| node.subscribers() == 1).await;

    let mined = node.mine(2);
    client.expect_head(&mined[0]).await;
    client.expect_head(&mined[1]).await;
    node.mine_unannounced(1);
    client.expect_head(&node.reorg(2, 1)[0]).await;

    client.send("eth_unsubscribe", json!([id])).await;
    assert_eq!(client.json().await["result"], true);
    assert_eq!(node.subscribers(), 0);
}

#[tokio::test]
async fn an_unanswered_call_does_not_hold_up_the_next() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    node.once("eth_blockNumber", Answer::Hang);
    client.send("eth_blockNumber", json!([])).await;
    client.send("eth_chainId", json!([])).await;
    assert_eq!(client.json().await["result"], "0xaa36a7");
}

#[tokio::test]
async fn closes_connections_when_told_and_takes_new_ones() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    client.subscribe().await;
    node.drop_connections();
    assert_eq!(client.text().await, None);
    node.until(|node| node.subscribers() == 0).await;

    let mut client = Client::connect(&node).await;
    client.subscribe().await;
    node.once("m", Answer::Drop);
    client.send("m", json!([])).await;
    assert_eq!(client.text().await, None);
    assert_eq!(node.ws_connections(), 2);
}
