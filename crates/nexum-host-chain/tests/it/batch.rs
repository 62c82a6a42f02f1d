use futures_util::future::join_all;
use nexum_config::topic::Finality;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_chain::{BATCH_REQUESTS_MAX, Chains, PARAMS_BYTES_MAX, RequestError};
use nexum_testing::{Answer, BatchFault, Node, Transport};

use crate::support::{CHAIN, Following, chains, chains_without_retries, config};
use crate::wanted::{check_logs, filters, node_with_logs};

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
    assert_eq!(answers[2].as_deref(), Ok("[3]"), "it is asked for by itself");
}

#[tokio::test]
async fn an_endpoint_without_batches_is_asked_one_by_one_and_remembered() {
    let node = echo().await;
    node.break_batches(Some(BatchFault::Whole(Answer::error(
        -32_600,
        "batches are not supported",
    ))));
    let chains = chains(&node.http_url());
    let requests = [("eth_call", "[1]"), ("eth_call", "[2]")];
    for expected_requests in [1 + 1 + 2, 1 + 1 + 2 + 2] {
        let answers = chains.request_batch(CHAIN, &requests).await.unwrap();
        assert_eq!(answers, [Ok("[1]".to_owned()), Ok("[2]".to_owned())]);
        assert_eq!(node.http_requests(), expected_requests);
    }
}

/// The answers of endpoints that refuse batches.
fn batch_faults() -> Vec<BatchFault> {
    let with_status = |status, code, message: &str| Answer::ErrorStatus {
        status,
        code,
        message: message.to_owned(),
    };
    let text = |text: &str| Answer::Text(text.to_owned());
    let mut faults: Vec<BatchFault> = [
        Answer::status(400),
        Answer::status(403),
        Answer::status(413),
        Answer::status(429),
        Answer::status(500),
        Answer::status(503),
        with_status(400, -32_600, "batch requests are not allowed"),
        with_status(500, 31, "Batch of more than 3 requests are not allowed on free tier"),
        Answer::error(-32_600, "Invalid Request"),
        Answer::error(-32_603, "internal error"),
        Answer::error(-32_005, "batch limit exceeded: too many requests"),
        text("[]"),
        text("{}"),
        text("null"),
        text(""),
        text("<html></html>"),
        Answer::Truncated,
        Answer::Drop,
        Answer::Hang,
    ]
    .map(BatchFault::Whole)
    .into();
    faults.extend(
        [
            Answer::error(-32_600, "batches are not supported"),
            Answer::error(-32_603, "internal error"),
            Answer::error(-32_000, "upgrade your plan"),
        ]
        .map(BatchFault::Each),
    );
    faults.push(BatchFault::LastMissing);
    faults
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_batches_in_any_way_is_asked_one_by_one_from_then_on() {
    let check = async |fault: BatchFault| {
        let node = echo().await;
        node.break_batches(Some(fault.clone()));
        let mut config = config(&node.http_url());
        config.request_timeout_ms = 1_000;
        let chains = Chains::new([config]);
        let requests = [("eth_call", "[1]"), ("eth_call", "[2]")];
        let expected = [Ok("[1]".to_owned()), Ok("[2]".to_owned())];
        // Two batches that fail and are answered one by one are enough. One failure alone is not.
        for _ in 0..2 {
            assert_eq!(
                chains.request_batch(CHAIN, &requests).await.unwrap(),
                expected,
                "{fault:?}"
            );
        }
        let before = node.http_requests();
        assert_eq!(
            chains.request_batch(CHAIN, &requests).await.unwrap(),
            expected,
            "{fault:?}"
        );
        assert_eq!(node.http_requests() - before, 2, "{fault:?}");
    };
    join_all(batch_faults().into_iter().map(check)).await;
}

#[tokio::test]
async fn a_chain_is_followed_over_an_endpoint_that_does_not_answer_batches() {
    let check = async |fault: BatchFault| {
        let node = node_with_logs(200).await;
        node.break_batches(Some(fault));
        let mut config = config(&node.http_url());
        config.request_timeout_ms = 1_000;
        let following = Following::start_with(&Chains::new([config]), Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        node.mine(40);
        following.reaches(node.chain().head()).await;
        check_logs(&node, &following);
    };
    join_all(batch_faults().into_iter().map(check)).await;
}

#[tokio::test]
async fn an_outage_is_not_taken_for_a_refusal_of_batches() {
    for answer in [
        Answer::status(429),
        Answer::status(503),
        Answer::Truncated,
        Answer::Drop,
    ] {
        let node = echo().await;
        let chains = chains(&node.http_url());
        let requests = [("eth_call", "[1]"), ("eth_call", "[2]")];
        let expected = [Ok("[1]".to_owned()), Ok("[2]".to_owned())];
        for _ in 0..3 {
            node.once("eth_call", answer.clone());
            assert_eq!(chains.request_batch(CHAIN, &requests).await.unwrap(), expected);
            assert_eq!(chains.request_batch(CHAIN, &requests).await.unwrap(), expected);
        }
        let before = node.http_requests();
        assert_eq!(chains.request_batch(CHAIN, &requests).await.unwrap(), expected);
        assert_eq!(node.http_requests() - before, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_failure_of_every_request_of_a_batch_is_everyones() {
    let node = echo().await;
    for (answer, kind) in [
        (Answer::status(429), HostErrorKind::RateLimited),
        (Answer::status(503), HostErrorKind::Unavailable),
        (Answer::Truncated, HostErrorKind::Unavailable),
    ] {
        node.on("eth_call", move |_| answer.clone());
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
async fn a_batch_whose_results_are_over_the_budget_is_not_collected_to_its_end() {
    const RESULT_BYTES: u64 = 1_000_000;
    const BUDGET: u64 = 3_000_000;
    for url in [Node::http_url, Node::ws_url] {
        let node = Node::start().await;
        // One by one over http as well, because `response_bytes_max` bounds a whole batch.
        node.break_batches(Some(BatchFault::Whole(Answer::error(-32_600, "no batches"))));
        node.on("eth_call", |_| Answer::Huge { bytes: RESULT_BYTES });
        let chains = chains(&url(&node));
        let params: Vec<String> = (0..BATCH_REQUESTS_MAX).map(|n| format!("[{n}]")).collect();
        let distinct: Vec<_> = params.iter().map(|params| ("eth_call", params.as_str())).collect();
        let equal = vec![("eth_call", "[0]"); BATCH_REQUESTS_MAX];
        let over = Err(RequestError::OverBudget { bytes_max: BUDGET });
        let answers = chains.request_batch_at(None, CHAIN, &distinct, BUDGET).await;
        assert_eq!(answers, over);
        let sent = node.count("eth_call");
        let answers = chains.request_batch_at(None, CHAIN, &equal, BUDGET).await;
        assert_eq!(answers, over);
        let calls = node.calls();
        let equal_calls = calls.iter().filter(|call| call.params == "[0]").count();
        assert_eq!(
            equal_calls, 2,
            "the first of the distinct ones, and one for all equal ones"
        );
        if url(&node).starts_with("http") {
            // The results within the budget, one above it, and those in flight meanwhile.
            assert!(sent <= 4 + 8, "{sent}");
        }
        let few = chains.request_batch_at(None, CHAIN, &equal[..2], BUDGET).await;
        let lengths = few.unwrap().into_iter().map(|answer| answer.unwrap().len() as u64);
        assert_eq!(lengths.collect::<Vec<_>>(), [RESULT_BYTES + 2; 2]);
    }
}

#[tokio::test]
async fn the_budget_of_one_batch_is_not_that_of_others_who_share_its_reads() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Huge { bytes: 100_000 });
    let chains = chains(&node.ws_url());
    let requests = [("eth_call", "[1]"), ("eth_call", "[2]"), ("eth_call", "[3]")];
    let (small, large, single) = tokio::join!(
        chains.request_batch_at(None, CHAIN, &requests, 150_000),
        chains.request_batch_at(None, CHAIN, &requests, 400_000),
        chains.request(CHAIN, "eth_call", "[3]"),
    );
    assert_eq!(small, Err(RequestError::OverBudget { bytes_max: 150_000 }));
    assert!(large.unwrap().iter().all(Result::is_ok));
    assert_eq!(single.unwrap().len(), 100_002);
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
