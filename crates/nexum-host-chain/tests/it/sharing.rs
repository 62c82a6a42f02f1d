//! Equal concurrent reads.

use nexum_host_chain::Chains;
use nexum_testing::{Answer, Node};
use serde_json::json;

use crate::support::{CHAIN, chains, config, soon};

/// A node whose `eth_call` answers with its parameters.
async fn echo() -> Node {
    let node = Node::start().await;
    node.on("eth_call", |params| Answer::Json(params.get().to_owned()));
    node
}

#[tokio::test]
async fn equal_reads_in_flight_are_sent_once() {
    for url in [Node::http_url, Node::ws_url] {
        let node = echo().await;
        let chains = chains(&url(&node));
        let (first, second, other) = tokio::join!(
            chains.request(CHAIN, "eth_call", "[1]"),
            chains.request(CHAIN, "eth_call", "[1]"),
            chains.request(CHAIN, "eth_call", "[ 1]"),
        );
        assert_eq!(
            [first.unwrap(), second.unwrap(), other.unwrap()],
            ["[1]", "[1]", "[ 1]"]
        );
        assert_eq!(node.count("eth_call"), 2);
        // Nothing is in flight any more.
        chains.request(CHAIN, "eth_call", "[1]").await.unwrap();
        assert_eq!(node.count("eth_call"), 3);
    }
}

#[tokio::test]
async fn a_batch_shares_with_single_reads_and_with_itself() {
    let node = echo().await;
    let chains = chains(&node.http_url());
    let requests = [
        ("eth_call", "[1]"),
        ("eth_call", "[2]"),
        ("eth_call", "[2]"),
        ("eth_call", "[3]"),
    ];
    let (single, batch, late) = tokio::join!(
        chains.request(CHAIN, "eth_call", "[1]"),
        chains.request_batch(CHAIN, &requests),
        chains.request(CHAIN, "eth_call", "[3]"),
    );
    assert_eq!((single.unwrap(), late.unwrap()), ("[1]".to_owned(), "[3]".to_owned()));
    let batch: Vec<_> = batch.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(batch, ["[1]", "[2]", "[2]", "[3]"]);
    assert_eq!(node.count("eth_call"), 3);
}

#[tokio::test]
async fn when_the_first_gives_up_the_others_still_get_the_answer() {
    let node = echo().await;
    let mut config = config(&node.http_url());
    config.request_timeout_ms = 500;
    let chains = Chains::new([config]);
    // The first attempt hangs, which leaves time to stop waiting.
    node.once("eth_call", Answer::Hang);
    let first = chains.request(CHAIN, "eth_call", "[1]");
    let mut first = Box::pin(first);
    tokio::select! {
        biased;
        _ = &mut first => panic!("it hangs"),
        () = node.until(|node| node.count("eth_call") == 1) => {}
    }
    let mut second = Box::pin(chains.request(CHAIN, "eth_call", "[1]"));
    tokio::select! {
        biased;
        _ = &mut second => panic!("it waits for the first"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    assert_eq!(soon(second).await.unwrap(), "[1]");
    assert_eq!(node.count("eth_call"), 2, "the one that hung, and one more attempt");
}

#[tokio::test]
async fn when_all_have_given_up_the_next_one_asks_anew() {
    let node = echo().await;
    let chains = chains(&node.http_url());
    node.once("eth_call", Answer::Hang);
    let mut first = Box::pin(chains.request(CHAIN, "eth_call", "[1]"));
    tokio::select! {
        biased;
        _ = &mut first => panic!("it hangs"),
        () = node.until(|node| node.count("eth_call") == 1) => {}
    }
    drop(first);
    assert_eq!(chains.request(CHAIN, "eth_call", "[1]").await.unwrap(), "[1]");
    assert_eq!(node.count("eth_call"), 2);
}

#[tokio::test]
async fn what_has_side_effects_is_never_shared() {
    const SEND: &str = "eth_sendRawTransaction";
    let node = Node::start().await;
    node.on(SEND, |_| Answer::Result(json!("0xhash")));
    let mut config = config(&node.http_url());
    config.extra_methods.insert(SEND.to_owned());
    let chains = Chains::new([config]);
    let (first, second) = tokio::join!(chains.request(CHAIN, SEND, "[]"), chains.request(CHAIN, SEND, "[]"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(node.count(SEND), 2);
}
