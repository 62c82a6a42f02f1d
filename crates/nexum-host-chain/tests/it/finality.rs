//! Finality other than `latest`: modules that receive only final blocks.

use nexum_config::topic::Finality;
use nexum_core::source::ChainLogs;
use nexum_testing::{Answer, Block, Node};
use serde_json::Value;

use crate::captured::Log;
use crate::support::{CHAIN, Following, chains, position};
use crate::wanted::{check_logs, filters, node_with_logs};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

fn confirmations(count: u64) -> Finality {
    Finality::Confirmations(count.try_into().unwrap())
}

fn follow(url: &str, finality: Finality) -> Following {
    Following::start_with(&chains(url), finality, &filters())
}

fn block(node: &Node, number: u64) -> Block {
    node.chain().by_number(number).unwrap().clone()
}

/// Waits until all but the newest `unsettled` blocks are delivered.
async fn settles(node: &Node, following: &Following, unsettled: u64) {
    let head = node.chain().head().number;
    following.reaches(&block(node, head - unsettled)).await;
    check_logs(node, following);
}

#[tokio::test]
async fn a_tag_that_has_no_block_is_reported() {
    let log = Log::default();
    let _guard = log.capture();
    let node = node_with_logs(20).await;
    node.on("eth_getBlockByNumber", |params| {
        match params.get().contains("finalized") {
            true => Answer::Result(serde_json::Value::Null),
            false => Answer::Default,
        }
    });
    let logs = ChainLogs::new(CHAIN);
    let head = logs.open(Finality::Latest);
    let _following = Following::start_on(&chains(&node.http_url()), logs, Finality::Finalized);
    advance(&node, &head).await;
    advance(&node, &head).await;
    let text = log.text();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains("says how far the chain is final"))
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    for said in ["WARN", "it has no block for the tag", "tag=\"finalized\""] {
        assert!(lines[0].contains(said), "{lines:?}");
    }
}

#[tokio::test]
async fn confirmed_blocks_lag_and_no_shallower_reorg_is_seen() {
    for url in URLS {
        let node = node_with_logs(10).await;
        let following = follow(&url(&node), confirmations(3));
        settles(&node, &following, 3).await;
        for _ in 0..5 {
            node.mine(1);
            settles(&node, &following, 3).await;
        }
        for (depth, new_blocks) in [(1, 2), (2, 3), (3, 4), (3, 40)] {
            node.reorg(depth, new_blocks);
            settles(&node, &following, 3).await;
        }
        // To a shorter chain, whose final blocks have been delivered.
        node.reorg(3, 1);
        node.mine(5);
        settles(&node, &following, 3).await;
        assert!(following.reverts().is_empty());
    }
}

#[tokio::test]
async fn a_reorg_of_confirmed_blocks_is_reverted() {
    for url in URLS {
        for (depth, new_blocks) in [(4, 5), (5, 30), (6, 7), (9, 9)] {
            let node = node_with_logs(10).await;
            let following = follow(&url(&node), confirmations(3));
            settles(&node, &following, 3).await;
            node.mine(10);
            settles(&node, &following, 3).await;
            let ancestor = block(&node, 20 - depth);
            node.reorg(depth, new_blocks);
            settles(&node, &following, 3).await;
            assert_eq!(following.reverts(), [position(&ancestor)], "{depth} {new_blocks}");
        }
    }
}

#[tokio::test]
async fn nothing_is_confirmed_on_a_chain_that_is_too_short() {
    let node = Node::start().await;
    let following = follow(&node.http_url(), confirmations(5));
    node.mine(4);
    node.until(|node| node.count("eth_getBlockByNumber") > 5).await;
    assert_eq!(following.log.head(), None);
    node.mine(3);
    settles(&node, &following, 5).await;
}

#[tokio::test]
async fn tags_are_followed_over_many_blocks_at_once_with_their_logs() {
    for (finality, depth) in [(Finality::Safe, 2), (Finality::Finalized, 4)] {
        for url in URLS {
            let node = node_with_logs(20).await;
            node.set_finality(2, 4);
            let following = follow(&url(&node), finality);
            settles(&node, &following, depth).await;
            for _ in 0..3 {
                node.mine(1);
                settles(&node, &following, depth).await;
            }
            // Ethereum finalises an epoch at a time.
            node.set_finality(1_000, 1_000);
            node.mine(64);
            node.set_finality(2, 4);
            node.mine(1);
            settles(&node, &following, depth).await;
            assert!(following.reverts().is_empty());
        }
    }
}

#[tokio::test]
async fn what_the_log_of_the_head_no_longer_holds_is_read_again() {
    let node = node_with_logs(20).await;
    node.set_finality(2, 4);
    let logs = ChainLogs::new(CHAIN);
    for finality in [Finality::Latest, Finality::Finalized] {
        logs.open(finality).subscribe(std::sync::Arc::default(), filters());
    }
    let head = logs.get(Finality::Latest).unwrap();
    let following = Following::start_on(&chains(&node.http_url()), logs, Finality::Finalized);
    settles(&node, &following, 4).await;
    node.set_finality(5_000, 5_000);
    let newest = node.mine(1_500).pop().unwrap();
    crate::support::soon(async {
        while head.head() != Some(position(&newest)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(head.blocks(20..=20), []);
    node.set_finality(2, 4);
    node.mine(1);
    // The log of this finality has no more blocks than the log of the head.
    following.reaches(&block(&node, 1_517)).await;
    check_logs(&node, &following);
}

#[tokio::test]
async fn a_tag_that_goes_back_or_is_missing_changes_nothing() {
    for url in URLS {
        let node = node_with_logs(20).await;
        node.set_finality(2, 4);
        let logs = ChainLogs::new(CHAIN);
        logs.open(Finality::Safe)
            .subscribe(std::sync::Arc::default(), filters());
        let head = logs.open(Finality::Latest);
        let following = Following::start_on(&chains(&url(&node)), logs, Finality::Safe);
        settles(&node, &following, 2).await;
        let entries = following.entries().len();
        node.set_finality(15, 15);
        advance(&node, &head).await;
        for missing in [
            Answer::Result(Value::Null),
            Answer::error(-32_000, "safe block not found"),
            Answer::error(-32_602, "invalid tag"),
        ] {
            node.on("eth_getBlockByNumber", move |params| {
                match params.get().contains("safe") {
                    true => missing.clone(),
                    false => Answer::Default,
                }
            });
            advance(&node, &head).await;
        }
        assert_eq!(following.entries().len(), entries);
        node.restore("eth_getBlockByNumber");
        node.set_finality(2, 4);
        node.mine(1);
        settles(&node, &following, 2).await;
        assert!(following.reverts().is_empty());
    }
}

/// Mines blocks one by one, and waits for each in the log.
async fn advance(node: &Node, head: &nexum_core::source::EventLog) {
    for _ in 0..3 {
        let mined = position(&node.mine(1)[0]);
        crate::support::soon(async {
            while head.head() != Some(mined) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_endpoint_without_tags_is_followed_as_any_other_and_said_once() {
    let log = Log::default();
    let _guard = log.capture();
    let node = node_with_logs(20).await;
    node.on("eth_getBlockByNumber", |params| {
        match params.get().contains("finalized") {
            true => Answer::error(-32_602, "invalid block tag"),
            false => Answer::Default,
        }
    });
    let logs = ChainLogs::new(CHAIN);
    let head = logs.open(Finality::Latest);
    let _following = Following::start_on(&chains(&node.http_url()), logs, Finality::Finalized);
    advance(&node, &head).await;
    advance(&node, &head).await;
    let count = |text: &str| log.text().matches(text).count();
    assert_eq!(count("following the chain"), 1, "{}", log.text());
    assert_eq!(count("no endpoint says how far the chain is final"), 1);
}
