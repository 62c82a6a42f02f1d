//! Endpoints with new heads, and without the blocks below them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::B256;
use nexum_config::topic::Finality;
use nexum_host_chain::Chains;
use nexum_testing::{Answer, Node};
use serde_json::Value;

use crate::captured::Log;
use crate::gaps::{asks_for, node};
use crate::support::{CHAIN, Following, config_of, soon};
use crate::wanted::{check_logs, filters};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

/// A node that has a new block at every request for its head, and gives none of the next three blocks by their numbers until it
/// is `whole`.
fn withhold(node: &Arc<Node>) -> Arc<AtomicBool> {
    let (growing, whole) = (Arc::clone(node), Arc::new(AtomicBool::new(false)));
    let is_whole = Arc::clone(&whole);
    let next = node.chain().head().number + 1;
    node.on("eth_getBlockByNumber", move |params| {
        if is_whole.load(Ordering::Relaxed) {
            return Answer::Default;
        }
        if params.get().contains("latest") {
            growing.mine(1);
        }
        match (next..next + 3).any(|number| asks_for(params.get(), number)) {
            true => Answer::Result(Value::Null),
            false => Answer::Default,
        }
    });
    node.mine_unannounced(3);
    node.mine(1);
    whole
}

fn chains(nodes: &[&Node], url: fn(&Node) -> String) -> Chains {
    let mut config = config_of(&nodes.iter().map(|node| url(node)).collect::<Vec<_>>());
    config.head_stall_seconds = 1;
    config.poll_interval_ms = 50;
    Chains::new([config])
}

/// Waits until the log contains this text.
async fn says(log: &Log, text: &str) {
    let said = async {
        while !log.text().contains(text) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(nexum_testing::WAIT_MAX, said).await.is_err() {
        panic!("{text} is not in: {}", log.text());
    }
}

#[tokio::test]
async fn an_endpoint_that_withholds_the_next_blocks_is_left_for_another() {
    for url in URLS {
        let log = Log::default();
        let _guard = log.capture();
        let node = Arc::new(node(false).await);
        let other = node.replica().await;
        let following = Following::start_with(&chains(&[&node, &other], url), Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        let whole = withhold(&node);
        says(&log, "it has new heads, and not the blocks below them").await;
        following.reaches(node.mine(1).last().unwrap()).await;
        whole.store(true, Ordering::Relaxed);
        following.reaches(node.mine(1).last().unwrap()).await;
        check_logs(&node, &following);
        assert!(following.reverts().is_empty());
    }
}

#[tokio::test]
async fn a_lone_endpoint_that_withholds_the_next_blocks_is_reported_until_it_gives_them() {
    for url in URLS {
        let log = Log::default();
        let _guard = log.capture();
        let node = Arc::new(node(false).await);
        let chains = chains(&[&node], url);
        let source = chains.source(CHAIN).unwrap();
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        let tip = node.chain().head().clone();
        following.reaches(&tip).await;
        let whole = withhold(&node);
        let after = format!(
            "it has not given the blocks after block {} {} for 1 s",
            tip.number,
            B256::from(tip.hash)
        );
        says(&log, &after).await;
        soon(async {
            while source.trouble().is_none_or(|trouble| !trouble.text.contains(&after)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(log.text().matches("following the chain").count(), 1, "{}", log.text());
        whole.store(true, Ordering::Relaxed);
        following.reaches(node.mine(1).last().unwrap()).await;
        soon(async {
            while source.trouble().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        check_logs(&node, &following);
    }
}
