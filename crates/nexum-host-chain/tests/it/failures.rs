//! The failures after which a request is retried.

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_chain::{Chains, Endpoints};
use nexum_testing::{Answer, Node};
use serde_json::json;

use crate::support::{CHAIN, config, config_of, request};

fn error(code: i64, message: &str) -> Answer {
    Answer::error(code, message)
}

fn revert() -> Answer {
    Answer::Error {
        code: 3,
        message: "execution reverted".to_owned(),
        data: Some(json!("0x01")),
    }
}

/// A node that gives this answer to the first `eth_call`, and works afterwards.
async fn failing_once(answer: &Answer) -> Node {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!("good")));
    node.once("eth_call", answer.clone());
    node
}

#[tokio::test]
async fn what_may_pass_is_asked_again_even_of_a_lone_endpoint() {
    let cases = [
        Answer::status(500),
        Answer::status(502),
        Answer::status(503),
        Answer::status(408),
        Answer::Drop,
        Answer::Truncated,
        Answer::Text("<html>".to_owned()),
        error(-32_000, "header not found"),
        error(-32_000, "Unknown block"),
        error(-32_001, "resource not found"),
        error(-32_603, "internal error"),
    ];
    for answer in cases {
        for url in [Node::http_url, Node::ws_url] {
            let node = failing_once(&answer).await;
            let endpoints = Endpoints::new(&config(&url(&node)));
            let result = endpoints.request(&request("eth_call", "[]")).await;
            assert_eq!(result.unwrap().get(), "\"good\"", "{answer:?}");
            assert_eq!(node.count("eth_call"), 2, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_revert_is_not_asked_again() {
    for answer in [revert(), error(-32_000, "execution reverted")] {
        let (node, other) = (failing_once(&answer).await, failing_once(&answer).await);
        let endpoints = Endpoints::new(&config_of(&[node.http_url(), other.http_url()]));
        endpoints.request(&request("eth_call", "[]")).await.unwrap_err();
        assert_eq!([node.count("eth_call"), other.count("eth_call")], [1, 0], "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_confirmed_by_every_endpoint_once() {
    let cases = [
        error(-32_000, "insufficient funds for gas"),
        error(-32_602, "invalid params"),
        error(-32_602, "no such thing as a \"rate limit\""),
        error(-32_005, "query returned more than 10000 results"),
        error(-32_602, "query exceeds max block range 100000"),
        Answer::status(400),
        Answer::status(413),
    ];
    for answer in cases {
        let (node, other) = (failing_once(&answer).await, failing_once(&answer).await);
        let endpoints = Endpoints::new(&config_of(&[node.http_url(), other.http_url()]));
        endpoints.request(&request("eth_call", "[]")).await.unwrap_err();
        assert_eq!([node.count("eth_call"), other.count("eth_call")], [1, 1], "{answer:?}");
    }
}

#[tokio::test]
async fn what_another_endpoint_may_do_is_asked_of_another_and_of_no_lone_one() {
    for answer in [
        Answer::status(401),
        Answer::status(404),
        error(-32_601, "the method does not exist"),
        error(-32_004, "unsupported method"),
    ] {
        let node = failing_once(&answer).await;
        let lone = Endpoints::new(&config(&node.http_url()));
        lone.request(&request("eth_call", "[]")).await.unwrap_err();
        assert_eq!(node.count("eth_call"), 1, "{answer:?}");

        let (node, other) = (failing_once(&answer).await, Node::start().await);
        other.on("eth_call", |_| Answer::Result(json!("other")));
        let endpoints = Endpoints::new(&config_of(&[node.http_url(), other.http_url()]));
        let result = endpoints.request(&request("eth_call", "[]")).await.unwrap();
        assert_eq!(result.get(), "\"other\"", "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_is_sent_as_often_as_the_configuration_says() {
    for retries in [0, 2] {
        let node = Node::start().await;
        node.on("eth_call", |_| Answer::status(503));
        let mut config = config(&node.http_url());
        config.retries = retries;
        let failed = Endpoints::new(&config).request(&request("eth_call", "[]")).await;
        assert_eq!(failed.unwrap_err().to_host_error().code, 503);
        assert_eq!(u32::try_from(node.count("eth_call")).unwrap(), retries + 1);
    }
}

#[tokio::test]
async fn what_has_side_effects_reaches_one_endpoint_once() {
    const SEND: &str = "eth_sendRawTransaction";
    for fault in [Answer::Drop, Answer::Hang, Answer::status(503), Answer::Truncated] {
        for url in [Node::http_url, Node::ws_url] {
            let nodes = [Node::start().await, Node::start().await];
            nodes[0].on(SEND, {
                let fault = fault.clone();
                move |_| fault.clone()
            });
            let mut config = config_of(&nodes.each_ref().map(url));
            config.request_timeout_ms = 250;
            config.extra_methods.insert(SEND.to_owned());
            let chains = Chains::new([config]);
            chains.request(CHAIN, SEND, "[\"0x01\"]").await.unwrap_err();
            assert_eq!([nodes[0].count(SEND), nodes[1].count(SEND)], [1, 0], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn what_has_side_effects_is_sent_elsewhere_when_nobody_can_have_got_it() {
    const SEND: &str = "eth_sendRawTransaction";
    for url in [Node::http_url, Node::ws_url] {
        let mut nodes = [Node::start().await, Node::start().await];
        nodes[1].on(SEND, |_| Answer::Result(json!("0xhash")));
        nodes[0].stop().await;
        let mut config = config_of(&nodes.each_ref().map(url));
        config.extra_methods.insert(SEND.to_owned());
        let sent = Chains::new([config]).request(CHAIN, SEND, "[\"0x01\"]").await;
        assert_eq!(sent.unwrap(), "\"0xhash\"");
        assert_eq!(nodes[1].count(SEND), 1);
    }
}

#[tokio::test]
async fn what_has_side_effects_in_a_batch_is_sent_once_by_itself() {
    const SEND: &str = "eth_sendRawTransaction";
    let nodes = [Node::start().await, Node::start().await];
    for node in &nodes {
        node.on(SEND, |_| Answer::Drop);
        node.on("eth_call", |_| Answer::Result(json!("good")));
    }
    let mut config = config_of(&nodes.each_ref().map(Node::http_url));
    config.extra_methods.insert(SEND.to_owned());
    let requests = [("eth_call", "[1]"), (SEND, "[]"), ("eth_call", "[2]")];
    let answers = Chains::new([config]).request_batch(CHAIN, &requests).await.unwrap();
    assert_eq!(answers[0].as_deref(), Ok("\"good\""));
    assert_eq!(
        answers[1].as_ref().unwrap_err().to_host_error().kind,
        HostErrorKind::Unavailable
    );
    assert_eq!(answers[2].as_deref(), Ok("\"good\""));
    assert_eq!(nodes[0].count(SEND) + nodes[1].count(SEND), 1);
}

#[tokio::test]
async fn of_a_batch_only_what_failed_is_asked_again() {
    for url in [Node::http_url, Node::ws_url] {
        let node = Node::start().await;
        node.on("eth_call", |params| Answer::Json(params.get().to_owned()));
        node.once("eth_call", error(-32_000, "header not found"));
        let endpoints = Endpoints::new(&config(&url(&node)));
        let requests = ["[1]", "[2]", "[3]"].map(|params| request("eth_call", params));
        let answers = endpoints.batch(&requests).await;
        let texts: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().get()).collect();
        assert_eq!(texts, ["[1]", "[2]", "[3]"]);
        assert_eq!(node.count("eth_call"), 4);
    }
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_goes_to_another_endpoint() {
    for fault in [
        Answer::status(503),
        Answer::Drop,
        Answer::Truncated,
        Answer::status(429),
    ] {
        let nodes = [Node::start().await, Node::start().await];
        let its = fault.clone();
        nodes[0].on("eth_call", move |_| its.clone());
        nodes[1].on("eth_call", |_| Answer::Result(json!("other")));
        let endpoints = Endpoints::new(&config_of(&nodes.each_ref().map(Node::http_url)));
        let answers = endpoints
            .batch(&[request("eth_call", "[1]"), request("eth_call", "[2]")])
            .await;
        for answer in answers {
            assert_eq!(answer.unwrap().get(), "\"other\"", "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_ws_connection_is_given_up_and_made_anew() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!("good")));
    node.once("eth_call", Answer::Hang);
    let mut config = config(&node.ws_url());
    config.request_timeout_ms = 250;
    let endpoints = Endpoints::new(&config);
    endpoints.request(&request("eth_call", "[]")).await.unwrap();
    assert_eq!(node.ws_connections(), 2);
}
