use alloy_primitives::Address;
use nexum_testing::{LogSpec, LogsLimit, Node, Provider};
use serde_json::{Value, json};

use crate::support::{Client, post};

async fn node(provider: Provider) -> Node {
    let node = Node::start().await;
    node.set_logs(|_, _| {
        vec![LogSpec {
            address: Address::repeat_byte(1),
            ..LogSpec::default()
        }]
    });
    node.mine(3_000);
    node.limit_logs(Some(LogsLimit {
        provider,
        range_max: Some(2_000),
        results_max: Some(1_000),
    }));
    node
}

fn request(from: u64, to: u64) -> Value {
    let range = json!({ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [range] })
}

#[tokio::test]
async fn refuses_in_the_words_of_providers() {
    for (provider, (range_status, range_code, range_text), (results_status, results_code, results_text)) in [
        (
            Provider::Alchemy,
            (
                400,
                -32_600,
                "up to a 2000 block range. Based on your parameters, this block range should work: [0x1, 0x7d0]",
            ),
            (400, -32_602, "this block range should work: [0x1, 0x3e8]"),
        ),
        (
            Provider::Infura,
            (200, -32_602, "range 2001 exceeds limit of 2000"),
            (
                200,
                -32_005,
                "query returned more than 1000 results. Try with this block range [0x1, 0x3E8].",
            ),
        ),
        (
            Provider::QuickNode,
            (413, -32_614, "eth_getLogs is limited to a 2,000 range"),
            (200, -32_008, "Response is too big"),
        ),
        (
            Provider::Reth,
            (200, -32_602, "query exceeds max block range 2000"),
            (
                200,
                -32_602,
                "query exceeds max results 1000, retry with the range 1-1000",
            ),
        ),
        (
            Provider::PublicNode,
            (200, -32_701, "exceed maximum block range: 2000"),
            (200, -32_000, "logs matched by query exceeds limit of 1000"),
        ),
    ] {
        let node = node(provider).await;
        for (to, status, code, text) in [
            (2_001, range_status, range_code, range_text),
            (2_000, results_status, results_code, results_text),
        ] {
            let (seen, body) = post(&node, &request(1, to).to_string()).await.unwrap();
            let error = &serde_json::from_str::<Value>(&body).unwrap()["error"];
            assert_eq!(
                (seen, error["code"].as_i64()),
                (status, Some(code)),
                "{provider:?}: {body}"
            );
            assert!(
                error["message"].as_str().unwrap().contains(text),
                "{provider:?}: {body}"
            );
        }
        let (status, body) = post(&node, &request(1, 1_000).to_string()).await.unwrap();
        assert_eq!(status, 200, "{provider:?}: {body}");
        assert!(body.contains("result"), "{provider:?}");
    }
}

#[tokio::test]
async fn a_single_block_and_a_block_hash_are_bound_by_the_results_alone() {
    let node = node(Provider::Alchemy).await;
    node.limit_logs(Some(LogsLimit {
        provider: Provider::Alchemy,
        range_max: Some(1),
        results_max: Some(0),
    }));
    let (_, body) = post(&node, &request(7, 7).to_string()).await.unwrap();
    assert!(body.contains("[0x7, 0x7]"), "{body}");
    let hash = node.chain().head().to_json()["hash"].clone();
    let by_hash = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [{ "blockHash": hash }] });
    assert!(post(&node, &by_hash.to_string()).await.unwrap().1.contains("result"));

    node.limit_logs(None);
    assert!(
        post(&node, &request(1, 3_000).to_string())
            .await
            .unwrap()
            .1
            .contains("result")
    );
}

#[tokio::test]
async fn a_refusal_with_a_status_is_a_plain_error_over_ws_and_in_a_batch() {
    let node = node(Provider::QuickNode).await;
    let mut client = Client::connect(&node).await;
    client.send("eth_getLogs", request(1, 2_001)["params"].clone()).await;
    assert_eq!(client.json().await["error"]["code"], -32_614);

    let batch = json!([request(1, 2_001), request(1, 1)]).to_string();
    let (status, body) = post(&node, &batch).await.unwrap();
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answers[0]["error"]["code"]), (200, &json!(-32_614)));
    assert!(answers[1]["result"].is_array());
}
