//! The metrics of the crate.

use nexum_config::topic::Finality;
use nexum_host_chain::{Chains, metrics as names};
use nexum_testing::{Answer, Counts, LostLogs, Node};
use serde_json::json;

use crate::support::{CHAIN, Following, chains, config_of};
use crate::wanted::{filters, node_with_logs};

#[tokio::test]
async fn requests_are_counted_by_endpoint_class_and_outcome() {
    let nodes = [Node::start().await, Node::start().await];
    nodes[0].on("eth_call", |_| Answer::error(3, "execution reverted"));
    nodes[0].once("eth_call", Answer::status(503));
    nodes[1].on("eth_call", |_| Answer::Result(json!("0x01")));
    let counts = Counts::default();
    let config = config_of(&nodes.each_ref().map(Node::http_url));
    let chains = metrics::with_local_recorder(&counts, || Chains::new([config]));

    assert_eq!(chains.request(CHAIN, "eth_call", "[1]").await.unwrap(), "\"0x01\"");
    let (first, second) = tokio::join!(
        chains.request(CHAIN, "eth_blockNumber", "[]"),
        chains.request(CHAIN, "eth_blockNumber", "[]"),
    );
    assert_eq!(first, second);

    let chain = "chain=11155111";
    let endpoints = chains.endpoints(CHAIN).unwrap();
    let endpoints = endpoints.all();
    let [primary, secondary] = [0, 1].map(|place| format!("endpoint={}", endpoints[place].label()));
    let (primary, secondary) = (primary.as_str(), secondary.as_str());
    for (name, labels, count) in [
        (
            names::REQUESTS,
            vec![chain, primary, "class=call", "outcome=unavailable"],
            1,
        ),
        (names::REQUESTS, vec![chain, secondary, "class=call", "outcome=ok"], 1),
        (names::REQUESTS, vec![chain, "class=block", "outcome=ok"], 1),
        (names::REQUESTS, vec![chain], 3),
        (names::REQUEST_SECONDS, vec![chain, "class=call"], 2),
        (names::RETRIES, vec![chain], 1),
        (names::FAILOVERS, vec![chain], 1),
        (names::SHARED, vec![chain], 1),
        (names::RECONNECTS, vec![chain], 1),
        (names::RATE_LIMIT_WAIT_SECONDS, vec![chain], 0),
    ] {
        assert_eq!(counts.sum(name, &labels), count, "{name} {labels:?}");
    }
}

#[tokio::test]
async fn what_the_source_checks_is_counted() {
    let node = node_with_logs(4).await;
    node.lose_logs(LostLogs::ByHash);
    let counts = Counts::default();
    let chains = metrics::with_local_recorder(&counts, || chains(&node.http_url()));
    let following = Following::start_with(&chains, Finality::Latest, &filters());
    following.reaches(node.chain().head()).await;
    // Two of the blocks have wanted logs that the endpoint omits, as their receipts show. The bloom
    // of one rules out all wanted logs, and must prove to be true.
    following.reaches(node.mine(4).last().unwrap()).await;
    following.reaches(&node.reorg(1, 1)[0]).await;
    node.on("eth_getBlockReceipts", |_| Answer::error(-32_601, "no such method"));
    following.reaches(&node.mine(1)[0]).await;
    for (name, count) in [
        (names::LOG_FETCHES_SAVED, 3),
        (names::VERIFICATION_FAILURES, 2),
        (names::UNVERIFIED, 1),
        (names::UNTRUE_BLOOMS, 0),
        (names::REORG_DEPTH_BLOCKS, 1),
        (names::STALLS, 0),
    ] {
        assert_eq!(counts.sum(name, &["chain=11155111"]), count, "{name}");
    }
}
