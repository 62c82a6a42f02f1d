use nexum_testing::{Anvil, TEST_CHAIN_ID};
use serde_json::json;

#[tokio::test]
async fn anvil_serves_the_test_chain_and_mines_when_told() {
    let anvil = Anvil::start();
    assert_eq!(
        anvil.request("eth_chainId", json!([])).await,
        json!(format!("{TEST_CHAIN_ID:#x}"))
    );

    anvil.mine(3).await;
    assert_eq!(anvil.request("eth_blockNumber", json!([])).await, json!("0x3"));
}

#[tokio::test]
async fn anvil_replaces_its_newest_blocks() {
    let anvil = Anvil::start();
    anvil.mine(3).await;
    let before = anvil.request("eth_getBlockByNumber", json!(["0x3", false])).await;

    anvil.reorg(2).await;
    let after = anvil.request("eth_getBlockByNumber", json!(["0x3", false])).await;
    assert_ne!(before["hash"], after["hash"]);
}
