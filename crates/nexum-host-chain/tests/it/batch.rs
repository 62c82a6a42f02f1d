use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_chain::{BATCH_REQUESTS_MAX, PARAMS_BYTES_MAX};
use nexum_testing::{Answer, Node, Transport};

use crate::support::{CHAIN, chains, chains_without_retries};

/// A node whose `eth_call` answers with its parameters.
async fn echo() -> Node {
    let node = Node::start().await;
    node.on("eth_call", |params| Answer::Json(params.get().to_owned()));
    node
}

#[tokio::test]
async fn a_batch_is_one_http_request() {
    let node = echo().await;
    let chains = chains(&node.http_url());
    chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    let before = node.http_requests();

    let params: Vec<String> = (0..BATCH_REQUESTS_MAX).map(|n| format!("[ {n}]")).collect();
    let requests: Vec<_> = params.iter().map(|params| ("eth_call", params.as_str())).collect();
    let answers = chains.request_batch(CHAIN, &requests).await.unwrap();
    assert_eq!(answers, params.iter().cloned().map(Ok).collect::<Vec<_>>());
    assert_eq!(node.http_requests() - before, 1);
}

#[tokio::test]
async fn every_request_has_its_answer_and_what_may_not_be_sent_is_not() {
    let node = echo().await;
    node.on("eth_getLogs", |_| Answer::error(-32_005, "too many results"));
    for (url, transport) in [(node.http_url(), Transport::Http), (node.ws_url(), Transport::Ws)] {
        let requests = [
            ("eth_sendTransaction", "[]"),
            ("eth_call", "[1]"),
            ("eth_call", "{}"),
            ("eth_getLogs", "[]"),
            ("eth_call", "[2]"),
        ];
        let answers = chains(&url).request_batch(CHAIN, &requests).await.unwrap();
        let kinds: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.map_err(|error| error.to_host_error().kind))
            .collect();
        let expected = [
            Err(HostErrorKind::Denied),
            Ok("[1]".to_owned()),
            Err(HostErrorKind::InvalidInput),
            Err(HostErrorKind::InvalidInput),
            Ok("[2]".to_owned()),
        ];
        assert_eq!(kinds, expected);
        let sent = node.calls().iter().filter(|call| call.transport == transport).count();
        assert_eq!(sent, 4, "three, and the chain id");
    }
}

#[tokio::test]
async fn answers_are_put_in_order_by_their_ids() {
    let node = echo().await;
    let chains = chains_without_retries(&node.http_url());
    chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    let body = r#"[{"jsonrpc":"2.0","id":3,"result":"second"},{"jsonrpc":"2.0","id":2,"result":"first"}]"#;
    node.once("eth_call", Answer::Text(body.to_owned()));
    let answers = chains
        .request_batch(CHAIN, &[("eth_call", "[1]"), ("eth_call", "[2]"), ("eth_call", "[3]")])
        .await
        .unwrap();
    assert_eq!(answers[0].as_deref(), Ok(r#""first""#));
    assert_eq!(answers[1].as_deref(), Ok(r#""second""#));
    assert_eq!(
        answers[2].as_ref().unwrap_err().to_host_error().kind,
        HostErrorKind::Unavailable
    );
}

#[tokio::test]
async fn an_endpoint_without_batches_is_asked_one_by_one_and_remembered() {
    let node = echo().await;
    node.refuse_batches(true);
    let chains = chains(&node.http_url());
    let requests = [("eth_call", "[1]"), ("eth_call", "[2]")];
    for expected_requests in [1 + 1 + 2, 1 + 1 + 2 + 2] {
        let answers = chains.request_batch(CHAIN, &requests).await.unwrap();
        assert_eq!(answers, [Ok("[1]".to_owned()), Ok("[2]".to_owned())]);
        assert_eq!(node.http_requests(), expected_requests);
    }
}

#[tokio::test]
async fn a_failure_of_the_whole_batch_is_everyones() {
    let node = echo().await;
    for (answer, kind) in [
        (Answer::status(429), HostErrorKind::RateLimited),
        (Answer::status(503), HostErrorKind::Unavailable),
        (Answer::Truncated, HostErrorKind::Unavailable),
    ] {
        node.once("eth_call", answer);
        let answers = chains_without_retries(&node.http_url())
            .request_batch(CHAIN, &[("eth_call", "[1]"), ("eth_call", "[2]")])
            .await
            .unwrap();
        let kinds: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.unwrap_err().to_host_error().kind)
            .collect();
        assert_eq!(kinds, [kind, kind]);
    }
}

#[tokio::test]
async fn a_batch_over_its_bounds_is_refused_as_a_whole() {
    let node = echo().await;
    let chains = chains(&node.http_url());
    let half = format!("[\"{}\"]", "a".repeat(PARAMS_BYTES_MAX / 2));
    let too_many = vec![("eth_call", "[]"); BATCH_REQUESTS_MAX + 1];
    let too_large = vec![("eth_call", half.as_str()); 2];
    for requests in [too_many, too_large] {
        let error = chains.request_batch(CHAIN, &requests).await.unwrap_err();
        assert_eq!(error.to_host_error().kind, HostErrorKind::InvalidInput);
    }
    let error = chains.request_batch(1, &[]).await.unwrap_err();
    assert_eq!(error.to_host_error().kind, HostErrorKind::Unsupported);
    assert_eq!(chains.request_batch(CHAIN, &[]).await.unwrap(), []);
    assert_eq!(node.http_requests(), 0);
}
