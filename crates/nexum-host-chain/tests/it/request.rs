use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_host_chain::{METHOD_BYTES_MAX, PARAMS_BYTES_MAX};
use nexum_testing::{Answer, Node};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{CHAIN, chains, chains_without_retries, config};

/// Sends an `eth_call`. Returns the guest's answer.
async fn eth_call(node_url: &str) -> Result<String, HostError> {
    chains_without_retries(node_url)
        .request(CHAIN, "eth_call", "[]")
        .await
        .map_err(|error| error.to_host_error())
}

#[tokio::test]
async fn parameters_and_results_keep_their_text() {
    let node = Node::start().await;
    node.on("eth_call", |_| {
        Answer::Json(r#"{ "b" :1.0,"a":"\u00e9", "n": 1e400}"#.to_owned())
    });
    let params = r#"[ {"to": "0x01","z":1.00 , "a":"\u0041"}, "latest" ]"#;
    for url in [node.http_url(), node.ws_url()] {
        let result = chains(&url).request(CHAIN, "eth_call", params).await.unwrap();
        assert_eq!(result, r#"{ "b" :1.0,"a":"\u00e9", "n": 1e400}"#);
    }
    let sent: Vec<_> = node
        .calls()
        .into_iter()
        .filter(|call| call.method == "eth_call")
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|call| call.params == params));
}

#[tokio::test]
async fn a_null_result_is_a_result() {
    let node = Node::start().await;
    node.on("eth_getTransactionReceipt", |_| Answer::Result(json!(null)));
    for url in [node.http_url(), node.ws_url()] {
        let result = chains(&url).request(CHAIN, "eth_getTransactionReceipt", "[]").await;
        assert_eq!(result.unwrap(), "null");
    }
}

#[tokio::test]
async fn nothing_touches_the_network_before_the_first_request() {
    let node = Node::start().await;
    let chains = chains(&node.http_url());
    assert!(chains.source(CHAIN).is_some());
    assert_eq!(node.http_requests(), 0);
    chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    // One more request asked for the chain id.
    assert_eq!(node.http_requests(), 3);
}

#[tokio::test]
async fn what_may_not_be_asked_is_refused_before_anything_is_sent() {
    let node = Node::start().await;
    let chains = chains(&node.http_url());
    let long_method = "m".repeat(METHOD_BYTES_MAX + 1);
    let long_params = format!("[\"{}\"]", "a".repeat(PARAMS_BYTES_MAX));
    let deep_params = "[".repeat(PARAMS_BYTES_MAX / 2);
    let cases = [
        (1, "eth_call", "[]", HostErrorKind::Unsupported),
        (CHAIN, "eth_sendRawTransaction", "[]", HostErrorKind::Denied),
        (CHAIN, "eth_subscribe", r#"["newHeads"]"#, HostErrorKind::Denied),
        (CHAIN, "eth_Call", "[]", HostErrorKind::Denied),
        (CHAIN, "", "[]", HostErrorKind::Denied),
        (CHAIN, &long_method, "[]", HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", "", HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", "{}", HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", "[]]", HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", r#"[],"id":1"#, HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", &long_params, HostErrorKind::InvalidInput),
        (CHAIN, "eth_call", &deep_params, HostErrorKind::InvalidInput),
    ];
    for (chain_id, method, params, kind) in cases {
        let error = chains
            .request(chain_id, method, params)
            .await
            .unwrap_err()
            .to_host_error();
        assert_eq!(
            (error.kind, error.code, &*error.domain),
            (kind, 0, "chain"),
            "{method} {params:.20}: {error:?}"
        );
    }
    assert_eq!(node.http_requests(), 0);
}

#[tokio::test]
async fn an_operator_can_allow_more_methods() {
    let node = Node::start().await;
    node.on("trace_block", |_| Answer::Result(json!([])));
    let mut config = config(&node.http_url());
    config.extra_methods.insert("trace_block".to_owned());
    let chains = nexum_host_chain::Chains::new([config]);
    assert_eq!(
        chains.request(CHAIN, "trace_block", r#"["latest"]"#).await.unwrap(),
        "[]"
    );
}

#[tokio::test]
async fn an_endpoints_error_keeps_its_code_and_gets_a_kind() {
    use HostErrorKind::{InvalidInput, RateLimited, Unavailable, Unsupported};
    let node = Node::start().await;
    let cases = [
        (-32_600, InvalidInput),
        (-32_602, InvalidInput),
        (-32_700, InvalidInput),
        (-32_601, Unsupported),
        (-32_004, Unsupported),
        (-32_005, RateLimited),
        (429, RateLimited),
        (-32_000, Unavailable),
        (-32_603, Unavailable),
        (12_345, Unavailable),
    ];
    for url in [node.http_url(), node.ws_url()] {
        for (code, kind) in cases {
            node.once("eth_call", Answer::error(code, "what is wrong"));
            let error = eth_call(&url).await.unwrap_err();
            let expected = HostError {
                code: i32::try_from(code).unwrap(),
                ..HostError::new("chain", kind, "what is wrong")
            };
            assert_eq!(error, expected);
        }
    }
    node.once("eth_call", Answer::error(i64::MAX, "out of range"));
    assert_eq!(eth_call(&node.http_url()).await.unwrap_err().code, 0);
}

#[tokio::test]
async fn revert_data_reaches_the_guest_as_hex() {
    let node = Node::start().await;
    let cases = [
        (3, "execution reverted: no", json!("0x08c379a0ff"), Some("0x08c379a0ff")),
        (3, "execution reverted", json!(null), Some("0x")),
        (3, "", json!("0x01"), Some("0x01")),
        (-32_000, "execution reverted", json!("0x02"), Some("0x02")),
        (
            -32_015,
            "VM execution error: reverted",
            json!({ "data": "0x03" }),
            Some("0x03"),
        ),
        (3, "execution reverted", json!("not hex"), Some("0x")),
        (-32_000, "header not found", json!("0x04"), None),
    ];
    for url in [node.http_url(), node.ws_url()] {
        for (code, message, data, expected) in cases.clone() {
            node.once(
                "eth_call",
                Answer::Error {
                    code,
                    message: message.to_owned(),
                    data: Some(data),
                },
            );
            let error = eth_call(&url).await.unwrap_err();
            assert_eq!(error.data.as_deref(), expected, "{message}");
            assert_eq!(i64::from(error.code), code);
            assert_eq!(error.kind == HostErrorKind::InvalidInput, expected.is_some());
        }
    }
}

#[tokio::test]
async fn http_failures_have_kinds() {
    use HostErrorKind::{InvalidInput, RateLimited, Timeout, Unavailable};
    let node = Node::start().await;
    let slow_down = |retry_after| Answer::Status {
        status: 429,
        retry_after,
        body: "slow down".to_owned(),
    };
    let failing = |status, code, message: &str| Answer::Status {
        status,
        retry_after: None,
        body: format!(r#"{{"jsonrpc":"2.0","id":0,"error":{{"code":{code},"message":"{message}"}}}}"#),
    };
    let cases = [
        (slow_down(None), RateLimited, 429),
        (slow_down(Some(5)), RateLimited, 429),
        (Answer::status(500), Unavailable, 500),
        (Answer::status(401), Unavailable, 401),
        (Answer::status(413), InvalidInput, 413),
        (Answer::status(504), Timeout, 504),
        (failing(500, -32_000, "no node behind this gate"), Unavailable, 500),
        (failing(500, -32_602, "bad block"), InvalidInput, -32_602),
        (Answer::status(301), Unavailable, 301),
        (Answer::Drop, Unavailable, 0),
        (Answer::Truncated, Unavailable, 0),
        (Answer::Text("<html>".to_owned()), Unavailable, 0),
        (Answer::Text(String::new()), Unavailable, 0),
    ];
    for (answer, kind, code) in cases {
        node.once("eth_call", answer.clone());
        let error = eth_call(&node.http_url()).await.unwrap_err();
        assert_eq!((error.kind, error.code), (kind, code), "{answer:?}: {error:?}");
    }
    let body = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"bad block"}}"#;
    node.once(
        "eth_call",
        Answer::Status {
            status: 400,
            retry_after: None,
            body: body.to_owned(),
        },
    );
    assert_eq!(eth_call(&node.http_url()).await.unwrap_err().code, -32_602);
}

#[tokio::test]
async fn ws_failures_have_kinds_and_the_next_request_gets_through() {
    let node = Node::start().await;
    let chains = chains_without_retries(&node.ws_url());
    for answer in [Answer::Drop, Answer::Truncated, Answer::Text("{}".to_owned())] {
        node.once("eth_call", answer.clone());
        let error = chains
            .request(CHAIN, "eth_call", "[]")
            .await
            .unwrap_err()
            .to_host_error();
        assert_eq!(error.kind, HostErrorKind::Unavailable, "{answer:?}: {error:?}");
        assert_eq!(
            chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap(),
            r#""0x0""#,
            "{answer:?}"
        );
    }
    assert_eq!(node.ws_connections(), 4);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unavailable_and_comes_back() {
    let mut node = Node::start().await;
    for url in [node.http_url(), node.ws_url()] {
        let chains = chains(&url);
        chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        node.stop().await;
        let error = loop {
            // The loss of a ws connection is noticed with a short delay.
            if let Err(error) = chains.request(CHAIN, "eth_blockNumber", "[]").await {
                break error;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(error.to_host_error().kind, HostErrorKind::Unavailable, "{error:?}");
        node.restart().await;
        crate::support::soon(async {
            while chains.request(CHAIN, "eth_blockNumber", "[]").await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_is_not_answered_times_out() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Hang);
    for url in [node.http_url(), node.ws_url()] {
        let mut config = config(&url);
        config.request_timeout_ms = 250;
        config.retries = 0;
        let chains = nexum_host_chain::Chains::new([config]);
        let error = chains
            .request(CHAIN, "eth_call", "[]")
            .await
            .unwrap_err()
            .to_host_error();
        assert_eq!(error.kind, HostErrorKind::Timeout);
        assert_eq!(error.message, "the endpoint did not answer within 250 ms");
        chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_over_the_bound_is_not_taken_in() {
    const MIB: u64 = 1_024 * 1_024;
    let node = Node::start().await;
    for url in [node.http_url(), node.ws_url()] {
        let mut config = config(&url);
        config.response_bytes_max = 1_024 * 1_024;
        config.retries = 0;
        let chains = nexum_host_chain::Chains::new([config]);
        node.once("eth_call", Answer::Huge { bytes: 50 * MIB });
        let error = chains
            .request(CHAIN, "eth_call", "[]")
            .await
            .unwrap_err()
            .to_host_error();
        assert_eq!(error.kind, HostErrorKind::Denied, "{error:?}");
        if url.starts_with("http") {
            // The data that was read, and the content of the sockets' buffers.
            assert!(
                node.huge_bytes_sent() < 20 * MIB,
                "{} bytes were taken",
                node.huge_bytes_sent()
            );
        }
        node.once("eth_call", Answer::Huge { bytes: MIB / 2 });
        assert!(chains.request(CHAIN, "eth_call", "[]").await.unwrap().len() > 500_000);
    }
}

#[tokio::test]
async fn an_endpoint_of_another_chain_answers_nobody() {
    let node = Node::start().await;
    node.set_chain_id(5);
    for url in [node.http_url(), node.ws_url()] {
        let error = eth_call(&url).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Unavailable);
        assert_eq!(error.message, "the endpoint serves chain 5, not chain 11155111");
    }
    assert_eq!(node.count("eth_call"), 0);
}

#[tokio::test]
async fn an_endpoint_that_refuses_ws_says_why() {
    let node = Node::start().await;
    node.refuse_ws(Some(401));
    let error = eth_call(&node.ws_url()).await.unwrap_err();
    assert_eq!((error.kind, error.code), (HostErrorKind::Unavailable, 401));
}

/// Answers with its chain id, then sends an endless answer. Returns the number of bytes that were
/// read.
async fn endless(listener: tokio::net::UnixListener) -> usize {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4_096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    stream
        .write_all(br#"{"jsonrpc":"2.0","id":0,"result":"0xaa36a7"}"#)
        .await
        .unwrap();
    assert!(stream.read(&mut request).await.unwrap() > 0);
    stream
        .write_all(br#"{"jsonrpc":"2.0","id":1,"result":""#)
        .await
        .unwrap();
    let mut taken = 0;
    while let Ok(written) = stream.write(&[b'a'; 65_536]).await {
        taken += written;
    }
    taken
}

#[tokio::test]
async fn an_ipc_answer_over_the_bound_is_not_taken_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.ipc");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut config = config(path.to_str().unwrap());
    config.response_bytes_max = 1_024 * 1_024;
    config.retries = 0;
    let chains = nexum_host_chain::Chains::new([config]);
    let (taken, answer) = tokio::join!(endless(listener), chains.request(CHAIN, "eth_call", "[]"));
    assert_eq!(answer.unwrap_err().to_host_error().kind, HostErrorKind::Denied);
    assert!(taken < 4 * 1_024 * 1_024, "{taken} bytes were taken");
}
