use alloy_primitives::{Address, B256};
use nexum_testing::{Anvil, AnvilOptions, LogSpec, TEST_CHAIN_ID};
use serde_json::{Value, json};

use crate::support::commitments;

async fn block(anvil: &Anvil, id: &str) -> Value {
    anvil.request("eth_getBlockByNumber", json!([id, false])).await
}

/// Logs with every number of topics and several lengths of data.
fn logs(address: Address) -> Vec<LogSpec> {
    let log = |topics: u8, data: usize| LogSpec {
        address,
        topics: (1..=topics).map(B256::repeat_byte).collect(),
        data: vec![topics; data].into(),
    };
    vec![log(0, 5), log(1, 0), log(2, 32), log(3, 100), log(4, 1), log(1, 64)]
}

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
    let before = block(&anvil, "0x3").await;

    anvil.reorg(2).await;
    assert_ne!(before["hash"], block(&anvil, "0x3").await["hash"]);
}

#[tokio::test]
async fn an_emitter_emits_what_it_is_told() {
    let anvil = Anvil::start();
    let emitter = anvil.deploy_emitter().await;
    let other = anvil.deploy_emitter().await;
    assert_ne!(emitter, other);
    let transaction = anvil.emit(&logs(emitter)).await;

    let found = anvil
        .request("eth_getLogs", json!([{ "fromBlock": "0x0", "address": emitter }]))
        .await;
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), logs(emitter).len());
    for (found, expected) in found.iter().zip(logs(emitter)) {
        assert_eq!(found["topics"], json!(expected.topics));
        assert_eq!(found["data"], json!(expected.data));
        assert_eq!(found["transactionHash"], json!(transaction));
    }
}

/// A real node commits to the values that the model chain computes.
#[tokio::test]
async fn a_real_block_commits_to_its_logs_as_a_model_block_does() {
    let anvil = Anvil::start_with(&AnvilOptions {
        extra_args: vec!["--no-mining".to_owned(), "--order".to_owned(), "fifo".to_owned()],
        ..AnvilOptions::default()
    });
    let account = anvil.request("eth_accounts", json!([])).await[0].clone();
    let send = async |mut transaction: Value| {
        transaction["from"] = account.clone();
        anvil.request("eth_sendTransaction", json!([transaction])).await
    };
    anvil.request("evm_setAutomine", json!([true])).await;
    let emitter = anvil.deploy_emitter().await;
    anvil.request("evm_setAutomine", json!([false])).await;

    // Several transactions in one block, including legacy ones. Each log has one topic and two
    // bytes of data.
    let input = format!("0x{:064x}{:064x}{:064x}{}", 1, 2, 7, "abcd");
    let gas = "0x30000";
    send(json!({ "to": emitter, "data": input, "gas": gas })).await;
    send(json!({ "to": emitter, "data": input.clone() + &input[2..], "gas": gas, "gasPrice": "0x77359400" })).await;
    send(json!({ "to": Address::ZERO, "value": "0x1", "gas": gas })).await;
    anvil.mine(1).await;

    let header = block(&anvil, "latest").await;
    let receipts = anvil.request("eth_getBlockReceipts", json!(["latest"])).await;
    let types: Vec<&Value> = receipts.as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(types, ["0x2", "0x0", "0x2"]);
    let (bloom, root) = commitments(&receipts);
    assert_eq!(header["logsBloom"], json!(bloom));
    assert_eq!(header["receiptsRoot"], json!(root));
    assert_eq!(receipts[1]["logs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn anvil_comes_back_on_its_port_with_the_state_of_its_last_stop() {
    let state = std::env::temp_dir().join(format!("nexum-anvil-{}.json", std::process::id()));
    let mut anvil = Anvil::start_with(&AnvilOptions {
        state: Some(state.clone()),
        ..AnvilOptions::default()
    });
    let url = anvil.http_url();
    anvil.mine(4).await;
    let emitter = anvil.deploy_emitter().await;
    let kept = block(&anvil, "latest").await;

    anvil.stop();
    anvil.restart();
    assert_eq!(anvil.http_url(), url);
    assert_eq!(block(&anvil, "latest").await["hash"], kept["hash"]);
    assert_eq!(block(&anvil, "0x5").await["receiptsRoot"], kept["receiptsRoot"]);
    anvil.emit(&logs(emitter)).await;
    anvil.mine(2).await;
    anvil.reorg(3).await;

    // The restarted node has lost the blocks after the stop.
    anvil.kill();
    anvil.restart();
    assert_eq!(block(&anvil, "latest").await["hash"], kept["hash"]);
    std::fs::remove_file(state).unwrap();
}

#[tokio::test]
async fn anvil_without_a_state_comes_back_with_a_new_chain() {
    let mut anvil = Anvil::start();
    anvil.mine(4).await;
    anvil.kill();
    anvil.restart();
    assert_eq!(block(&anvil, "latest").await["number"], "0x0");
}
