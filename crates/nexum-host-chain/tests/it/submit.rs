//! Transactions, at the places of a chain that take them.

use std::collections::BTreeMap;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::capability::{ChainAccess, Submission, SubmitError, SubmitTo, Submitted};
use nexum_core::source::EndpointState;
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl, HttpHeaders, RelayConfig, SubmitConfig};
use nexum_testing::{Answer, Node};
use serde_json::json;

use crate::support::{CHAIN, config, config_of, soon};

const SEND: &str = "eth_sendRawTransaction";

/// The outcome of one place: `ok`, `refused` or `unknown`, and the text.
type Outcome = (&'static str, String);

fn outcome(submitted: &Submitted) -> Outcome {
    match &submitted.result {
        Ok(()) => ("ok", String::new()),
        Err(SubmitError { message, is_refusal }) => (if *is_refusal { "refused" } else { "unknown" }, message.clone()),
    }
}

async fn submit(chains: &Chains, to: SubmitTo) -> Vec<Submitted> {
    soon(chains.submit(CHAIN, &[0x02, 0xab], to)).await
}

/// A private relay that tries for 25 blocks.
fn relay(url: &str, fallback: bool) -> SubmitConfig {
    let mut place = SubmitConfig::from(EndpointUrl::parse(url).unwrap());
    let blocks = 25.try_into().unwrap();
    place.relay = Some(RelayConfig { blocks, fallback });
    place
}

/// The methods that a node received.
fn methods(node: &Node) -> Vec<String> {
    node.counts().into_keys().collect()
}

#[tokio::test]
async fn every_endpoint_gets_a_transaction_once_and_its_answer_is_told() {
    let [one, two, three, four, five, mut dead] = [
        Node::start().await,
        Node::start().await,
        Node::start().await,
        Node::start().await,
        Node::start().await,
        Node::start().await,
    ];
    one.on(SEND, |_| Answer::Result(json!("0x12")));
    two.on(SEND, |_| Answer::error(-32_000, "AlreadyKnown"));
    three.on(SEND, |_| Answer::error(-32_000, "nonce too low"));
    // The code of an internal error, with which no endpoint of a relayer was usable any more.
    four.on(SEND, |_| Answer::error(-32_603, "nonce too low"));
    five.on(SEND, |_| Answer::error(-32_603, "already known"));
    let urls = [
        one.http_url(),
        two.ws_url(),
        three.http_url(),
        four.http_url(),
        five.http_url(),
        dead.http_url(),
    ];
    dead.stop().await;
    // `extra_methods` is for modules, and here it allows nothing.
    let chains = Chains::new([config_of(&urls)]);
    let submitted = submit(&chains, SubmitTo::Configured).await;
    let outcomes: Vec<_> = submitted.iter().map(outcome).collect();
    assert_eq!(outcomes[0], ("ok", String::new()));
    assert_eq!(outcomes[1], ("ok", String::new()));
    assert_eq!(outcomes[2], ("refused", "nonce too low".to_owned()));
    assert_eq!(outcomes[3], ("refused", "nonce too low".to_owned()));
    assert_eq!(outcomes[4], ("ok", String::new()));
    // It may take the transaction when nexum submits it again.
    assert_eq!(outcomes[5].0, "unknown");
    for ((node, submitted), url) in [&one, &two, &three, &four, &five]
        .into_iter()
        .zip(&submitted)
        .zip(&urls)
    {
        assert_eq!(submitted.endpoint, *url);
        let sent: Vec<_> = node.calls().into_iter().filter(|call| call.method == SEND).collect();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].params, r#"["0x02ab"]"#);
    }
    // Nothing is wrong with an endpoint that has refused the transaction.
    let report = chains.source(CHAIN).unwrap().report();
    let states = report.endpoints.into_iter().map(|endpoint| endpoint.state);
    let rested: Vec<_> = states
        .map(|state| matches!(state, EndpointState::Rested { .. }))
        .collect();
    assert_eq!(rested, [false, false, false, false, false, true]);
}

/// A place that works and one with this answer: the outcome of the latter.
async fn hostile(answer: Answer) -> Outcome {
    let (good, bad) = (Node::start().await, Node::start().await);
    good.on(SEND, |_| Answer::Result(json!("0x12")));
    bad.on(SEND, move |_| answer.clone());
    let mut config = config_of(&[bad.http_url(), good.http_url()]);
    config.response_bytes_max = 1_024 * 1_024;
    // nexum does not wait for a place that does not answer, once another one has the transaction.
    config.request_timeout_ms = 3_600_000;
    let submitted = submit(&Chains::new([config]), SubmitTo::Configured).await;
    assert_eq!(outcome(&submitted[1]).0, "ok");
    assert_eq!(bad.count(SEND), 1, "a transaction is sent once");
    outcome(&submitted[0])
}

#[tokio::test]
async fn a_hostile_answer_is_no_refusal_and_delays_no_other_place() {
    for (answer, expected) in [
        (Answer::Result(json!({ "not": "a hash" })), "ok"),
        (Answer::error(-32_000, "insufficient funds"), "refused"),
        (Answer::error(-32_005, "limit exceeded"), "unknown"),
        (Answer::status(403), "unknown"),
        (Answer::status(502), "unknown"),
        (Answer::error(-32_000, "unknown transaction type"), "refused"),
        (Answer::Text("<html>".to_owned()), "unknown"),
        (Answer::Truncated, "unknown"),
        (Answer::Huge { bytes: 2_000_000 }, "unknown"),
        (Answer::Drop, "unknown"),
        (Answer::Hang, "unknown"),
    ] {
        let (found, text) = hostile(answer.clone()).await;
        assert_eq!(found, expected, "{answer:?}: {text}");
    }
}

#[tokio::test]
async fn an_endpoint_of_another_chain_gets_no_transaction() {
    let node = Node::start().await;
    node.set_chain_id(1);
    let chains = Chains::new([config(&node.http_url())]);
    let submitted = submit(&chains, SubmitTo::Configured).await;
    let expected = format!("the endpoint serves chain 1, not chain {CHAIN}");
    assert_eq!(outcome(&submitted[0]), ("unknown", expected));
    assert_eq!(node.count(SEND), 0);
}

#[tokio::test]
async fn a_text_of_a_place_shows_no_secret_and_no_control_character() {
    const KEY: &str = "0123456789abcdef-key";
    let node = Node::start().await;
    node.on(SEND, |_| Answer::error(-32_000, format!("no such key: {KEY}\u{1b}[2J")));
    let url = format!("{}/v1/{KEY}", node.http_url());
    let mut place = relay(&url, false);
    let headers = BTreeMap::from([("x-key".to_owned(), KEY.to_owned())]);
    place.headers = HttpHeaders::new(&headers).unwrap();
    let config = config(&node.http_url()).with_submit(place);
    assert!(!format!("{config:?}").contains(KEY));
    let submitted = submit(&Chains::new([config]), SubmitTo::Configured).await;
    let text = format!("{submitted:?}");
    assert!(!text.contains(KEY) && text.contains("no such key"), "{text}");
    assert!(!outcome(&submitted[0]).1.contains('\u{1b}'), "{text}");
    // The label differs from that of the endpoint on the same host.
    assert_eq!(submitted[0].endpoint, format!("{}#2", node.http_url()));
}

#[tokio::test]
async fn a_relay_gets_transactions_and_nothing_else() {
    for url in [Node::http_url, Node::ws_url] {
        let (node, first, second) = (Node::start().await, Node::start().await, Node::start().await);
        // Relays know no other method.
        for node in [&first, &second] {
            node.on("eth_chainId", |_| Answer::error(-32_601, "method not found"));
        }
        first.on(SEND, |_| Answer::Result(json!("0x12")));
        second.on(SEND, |_| Answer::error(-32_000, "already known"));
        let places = [relay(&url(&first), false), relay(&url(&second), false)];
        let config = places.into_iter().fold(config(&url(&node)), ChainConfig::with_submit);
        let chains = Chains::new([config]);
        let expected = Submission {
            is_private: true,
            blocks: 25,
            fallback: false,
        };
        assert_eq!(chains.submission(CHAIN), expected);
        // Without a fallback, no transaction becomes public.
        for to in [SubmitTo::Configured, SubmitTo::Public] {
            let submitted = submit(&chains, to).await;
            assert!(
                submitted.len() == 2 && submitted.iter().all(|one| one.result.is_ok()),
                "{submitted:?}"
            );
        }
        assert_eq!(
            (methods(&first), methods(&second)),
            (vec![SEND.to_owned()], vec![SEND.to_owned()])
        );
        assert_eq!((first.count(SEND), second.count(SEND), node.count(SEND)), (2, 2, 0));
        // Reads go to the endpoints.
        chains.read(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        assert_eq!((first.calls().len(), node.count("eth_blockNumber")), (2, 1));
        // A check of the endpoints is no transaction.
        let probed = chains.probe().await;
        assert_eq!((probed.len(), first.calls().len()), (1, 2));
    }
}

#[tokio::test]
async fn a_transaction_goes_public_after_the_relays_if_they_have_a_fallback() {
    let (node, one) = (Node::start().await, Node::start().await);
    for node in [&node, &one] {
        node.on(SEND, |_| Answer::Result(json!("0x12")));
    }
    let chains = Chains::new([config(&node.http_url()).with_submit(relay(&one.http_url(), true))]);
    submit(&chains, SubmitTo::Configured).await;
    assert_eq!((one.count(SEND), node.count(SEND)), (1, 0));
    let submitted = submit(&chains, SubmitTo::Public).await;
    assert_eq!(submitted[0].endpoint, node.http_url());
    assert_eq!((one.count(SEND), node.count(SEND)), (1, 1));
    assert!(chains.submission(CHAIN).fallback);
}

#[tokio::test]
async fn a_public_place_takes_the_transactions_of_the_endpoints() {
    let (node, place) = (Node::start().await, Node::start().await);
    place.on(SEND, |_| Answer::Result(json!("0x12")));
    let public = SubmitConfig::from(EndpointUrl::parse(&place.http_url()).unwrap());
    let chains = Chains::new([config(&node.http_url()).with_submit(public)]);
    assert_eq!(chains.submission(CHAIN), Submission::default());
    for to in [SubmitTo::Configured, SubmitTo::Public] {
        submit(&chains, to).await;
    }
    assert_eq!((place.count(SEND), node.count(SEND)), (2, 0));
}

#[tokio::test]
async fn another_configuration_changes_the_places() {
    let (node, one, two) = (Node::start().await, Node::start().await, Node::start().await);
    let with = |places: Vec<SubmitConfig>| {
        let config = config(&node.http_url());
        places.into_iter().fold(config, ChainConfig::with_submit)
    };
    let chains = Chains::new([with(vec![relay(&one.http_url(), false)])]);
    let access: std::sync::Arc<dyn ChainAccess> = std::sync::Arc::new(chains.clone());
    let label = |node: &Node| node.http_url().to_owned();
    let mut other = relay(&two.http_url(), true);
    for (places, expected) in [
        (
            vec![relay(&one.http_url(), true)],
            vec![format!(
                "{}: private for 25 blocks, fallback = false -> private for 25 blocks, fallback = true",
                label(&one)
            )],
        ),
        (
            vec![other.clone()],
            vec![format!("{} removed", label(&one)), format!("{} added", label(&two))],
        ),
        (
            {
                let headers = BTreeMap::from([("x-key".to_owned(), "hunter2".to_owned())]);
                other.headers = HttpHeaders::new(&headers).unwrap();
                vec![other.clone()]
            },
            vec![format!("{}: headers changed", label(&two))],
        ),
        (vec![other], Vec::new()),
    ] {
        let replacement = chains.replace([with(places)]).unwrap();
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("chains.{CHAIN}.submit: {line}"))
            .collect();
        assert_eq!(replacement.changes(), expected);
        replacement.commit();
    }
    two.on(SEND, |_| Answer::Result(json!("0x12")));
    assert!(
        soon(access.submit(CHAIN, &[1], SubmitTo::Configured)).await[0]
            .result
            .is_ok()
    );
    assert_eq!((one.count(SEND), two.count(SEND)), (0, 1));
    assert!(access.submission(CHAIN).fallback);
}

#[tokio::test]
async fn a_read_is_retried_and_counts_for_no_module() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!("0x01")));
    node.once("eth_call", Answer::status(503));
    let mut config = config(&node.http_url());
    config.extra_methods.insert("*".to_owned());
    let chains = Chains::new([config]);
    assert_eq!(chains.chains(), [CHAIN]);
    assert_eq!(chains.read(CHAIN, "eth_call", "[]").await.unwrap(), r#""0x01""#);
    assert_eq!(node.count("eth_call"), 2);
    assert!(chains.source(CHAIN).unwrap().report().requests_by_module.is_empty());
    // `extra_methods` is for modules.
    for (chain, method, params, expected) in [
        (CHAIN, SEND, "[]", HostErrorKind::Denied),
        (CHAIN, "eth_sendTransaction", "[]", HostErrorKind::Denied),
        (CHAIN, "eth_call", "{}", HostErrorKind::InvalidInput),
        (7, "eth_call", "[]", HostErrorKind::Unsupported),
    ] {
        let error = chains.read(chain, method, params).await.unwrap_err();
        assert_eq!((error.kind, &*error.domain), (expected, "chain"), "{method}");
    }
    assert!(chains.submit(7, &[1], SubmitTo::Configured).await.is_empty());
    assert_eq!(chains.submission(7), Submission::default());
}

#[tokio::test]
async fn a_place_that_asks_for_fewer_requests_gets_none_for_a_while() {
    let node = Node::start().await;
    node.on(SEND, |_| Answer::Status {
        status: 429,
        retry_after: Some(3_600),
        body: String::new(),
    });
    let mut config = config(&node.http_url());
    config.request_timeout_ms = 1_000;
    let chains = Chains::new([config]);
    for _ in 0..2 {
        let submitted = submit(&chains, SubmitTo::Configured).await;
        assert_eq!(outcome(&submitted[0]).0, "unknown", "{submitted:?}");
    }
    assert_eq!(node.count(SEND), 1);
}
