use nexum_testing::{Answer, BatchFault, Node, TEST_CHAIN_ID, Transport};
use serde_json::{Value, json};

use crate::support::{Client, call, post, respond};

#[tokio::test]
async fn serves_its_model_chain() {
    let node = Node::start().await;
    let mined = node.mine(3);

    assert_eq!(
        call(&node, "eth_chainId", json!([])).await["result"],
        format!("{TEST_CHAIN_ID:#x}")
    );
    assert_eq!(call(&node, "eth_blockNumber", json!([])).await["result"], "0x3");
    for (number, expected) in [(json!("0x2"), &mined[1]), (json!("latest"), &mined[2])] {
        assert_eq!(
            call(&node, "eth_getBlockByNumber", json!([number, false])).await["result"],
            expected.to_json()
        );
    }
    assert_eq!(
        call(&node, "eth_getBlockByNumber", json!(["0x4", false])).await["result"],
        Value::Null
    );
    assert_eq!(call(&node, "eth_call", json!([])).await["error"]["code"], -32_601);
}

#[tokio::test]
async fn a_reorg_replaces_blocks_and_keeps_the_old_ones_by_hash() {
    let node = Node::start().await;
    let old = node.mine(4);
    let new = node.reorg(2, 3);

    let chain = node.chain();
    assert_eq!(chain.head().number, 5);
    assert_eq!(new[0].parent_hash, old[1].hash);
    assert_ne!(new[0].hash, old[2].hash);
    let hash = old[2].to_json()["hash"].clone();
    assert_eq!(
        call(&node, "eth_getBlockByHash", json!([hash, false])).await["result"],
        old[2].to_json()
    );
}

#[tokio::test]
async fn records_parameters_to_the_letter_and_counts_a_batch_once() {
    let node = Node::start().await;
    let body = r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[ ]},
                   {"jsonrpc":"2.0","id":2,"method":"x","params":[{"b":1.0, "a" :2}]}]"#;
    post(&node, body).await.unwrap();

    assert_eq!(node.http_requests(), 1);
    let calls = node.calls();
    let params: Vec<&str> = calls.iter().map(|call| call.params.as_str()).collect();
    assert_eq!(params, ["[ ]", r#"[{"b":1.0, "a" :2}]"#]);
    assert!(calls.iter().all(|call| call.transport == Transport::Http));
    assert_eq!(node.count("x"), 1);
}

#[tokio::test]
async fn a_handler_answers_until_it_is_taken_back_and_queued_answers_come_first() {
    let node = Node::start().await;
    node.on("eth_call", |params| Answer::Json(params.get().to_owned()));
    node.once("eth_call", Answer::error(3, "reverted"));

    assert_eq!(call(&node, "eth_call", json!([1])).await["error"]["code"], 3);
    assert_eq!(call(&node, "eth_call", json!([1])).await["result"], json!([1]));
    node.restore("eth_call");
    assert_eq!(call(&node, "eth_call", json!([1])).await["error"]["code"], -32_601);
}

#[tokio::test]
async fn shows_the_faults_of_endpoints() {
    let node = Node::start().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#;

    node.once("m", Answer::Drop);
    assert!(post(&node, body).await.is_err());

    node.once(
        "m",
        Answer::Status {
            status: 429,
            retry_after: Some(3),
            body: "slow down".to_owned(),
        },
    );
    assert_eq!(post(&node, body).await.unwrap(), (429, "slow down".to_owned()));

    node.once("m", Answer::Truncated);
    let (status, text) = post(&node, body).await.unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&text).is_err());

    node.once("m", Answer::Huge { bytes: 200_000 });
    assert!(post(&node, body).await.unwrap().1.len() > 200_000);
    assert_eq!(node.huge_bytes_sent(), 200_000);

    node.break_batches(Some(BatchFault::Whole(Answer::error(-32_600, "not supported"))));
    assert!(
        post(&node, &format!("[{body}]"))
            .await
            .unwrap()
            .1
            .contains("not supported")
    );
}

#[tokio::test]
async fn stops_and_comes_back_on_the_same_port() {
    let mut node = Node::start().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#;

    node.stop().await;
    assert!(post(&node, body).await.unwrap_err().is_connect());
    let address = node.http_url();
    let taken = std::net::TcpListener::bind(address.strip_prefix("http://").unwrap());
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    node.restart().await;
    assert_eq!(post(&node, body).await.unwrap().0, 200);
}

#[tokio::test]
async fn any_method_can_be_rate_limited_or_huge_over_either_transport() {
    const HUGE_BYTES: u64 = 50 * 1_024 * 1_024;
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    for (sent, method) in (1..).zip(["eth_getLogs", "eth_getBlockByHash", "eth_blockNumber"]) {
        let limited = |retry_after| Answer::Status {
            status: 429,
            retry_after,
            body: "slow down".to_owned(),
        };
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] }).to_string();
        for (retry_after, header) in [(Some(7), Some("7")), (None, None)] {
            node.once(method, limited(retry_after));
            let response = respond(&node, &body).await.unwrap();
            assert_eq!(response.status(), 429);
            let seen = response
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(seen, header, "{method}");
        }
        node.once(method, Answer::Huge { bytes: HUGE_BYTES });
        let (_, text) = post(&node, &body).await.unwrap();
        assert!(text.len() as u64 > HUGE_BYTES, "{method}");

        node.once(method, Answer::Huge { bytes: HUGE_BYTES });
        client.send(method, json!([])).await;
        assert!(client.text().await.unwrap().len() as u64 > HUGE_BYTES, "{method}");
        assert_eq!(node.huge_bytes_sent(), sent * 2 * HUGE_BYTES);
    }
    node.once("eth_getLogs", Answer::status(429));
    client.send("eth_getLogs", json!([])).await;
    assert_eq!(client.text().await, None);
}
