use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_core::source::Replay;
use nexum_host_chain::ChainSource;
use nexum_host_chain::config::REORG_DEPTH_MAX;
use nexum_testing::{Answer, BatchFault, Block, Node};

use crate::support::{CHAIN, Following, chains, position, texts};

/// A node with a few blocks, and a source that has started at its head, over http and over ws.
async fn started() -> Vec<(Node, Following)> {
    let mut started = Vec::new();
    for url in [Node::http_url, Node::ws_url] {
        let node = Node::start().await;
        let head = node.mine(5).pop().unwrap();
        let following = Following::start(&chains(&url(&node)));
        following.reaches(&head).await;
        started.push((node, following));
    }
    started
}

/// Checks that the log's reader has the node's chain from its first block on.
fn check_canonical(node: &Node, following: &Following) {
    let chain = following.chain();
    let first = chain[0].number;
    let canonical: Vec<_> = node
        .chain()
        .canonical()
        .iter()
        .map(position)
        .filter(|held| held.number >= first)
        .collect();
    assert_eq!(chain, canonical);
}

#[tokio::test]
async fn begins_at_the_head_and_appends_each_block_once_in_order() {
    for (node, following) in started().await {
        for _ in 0..3 {
            following.reaches(&node.mine(1)[0]).await;
        }
        assert_eq!(following.entries().len(), 4);
        check_canonical(&node, &following);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_block_event_has_milliseconds_and_the_chain() {
    let node = Node::start().await;
    let block: Block = node.mine(1).pop().unwrap();
    let following = Following::start(&chains(&node.http_url()));
    following.reaches(&block).await;
    let nexum_core::source::LogEntry::Advance(advance) = following.entries().remove(0) else {
        panic!("not a block")
    };
    let Some(nexum_core::source::Event::Block(event)) = advance.block.block_event() else {
        panic!("not a block")
    };
    assert_eq!((event.chain_id, event.number), (CHAIN, 1));
    assert_eq!(event.timestamp, block.timestamp_s * 1_000);
    assert_eq!(event.hash, block.hash);
}

#[tokio::test]
async fn blocks_that_were_not_announced_are_read_by_number() {
    for (node, following) in started().await {
        node.mine_unannounced(100);
        following.reaches(&node.mine(1)[0]).await;
        check_canonical(&node, &following);
    }
}

#[tokio::test]
async fn a_burst_of_blocks_arrives_whole() {
    for (node, following) in started().await {
        following.reaches(node.mine(500).last().unwrap()).await;
        check_canonical(&node, &following);
        assert!(following.reverts().is_empty());
    }
}

#[tokio::test]
async fn duplicates_and_late_heads_change_nothing() {
    let (node, following) = started().await.pop().unwrap();
    let mined = node.mine(3);
    let orphans = node.reorg(1, 1);
    following.reaches(&orphans[0]).await;
    let before = following.entries().len();
    for late in [&mined[0], &orphans[0], &mined[2], &node.chain().canonical()[1].clone()] {
        node.announce(late);
    }
    following.reaches(&node.mine(1)[0]).await;
    assert_eq!(following.entries().len(), before + 1);
    check_canonical(&node, &following);
}

#[tokio::test]
async fn a_reorg_reverts_to_the_common_ancestor_and_goes_on_from_there() {
    for (depth, new_blocks) in [(1, 1), (1, 2), (3, 3), (3, 4), (3, 1), (4, 40)] {
        for (node, following) in started().await {
            following.reaches(node.mine(10).last().unwrap()).await;
            let ancestor = node.chain().by_number(15 - depth).unwrap().clone();
            node.reorg(depth, new_blocks);
            following.reaches(node.chain().head()).await;
            check_canonical(&node, &following);
            assert!(
                following.reverts().contains(&position(&ancestor)),
                "{depth} {new_blocks}"
            );
        }
    }
}

#[tokio::test]
async fn a_reorg_that_nobody_announced_is_found_by_the_next_block() {
    for (node, following) in started().await {
        following.reaches(node.mine(4).last().unwrap()).await;
        node.mine_unannounced(1);
        let node_chain = node.chain();
        node.reorg(3, 0);
        node.mine_unannounced(3);
        following.reaches(&node.mine(1)[0]).await;
        check_canonical(&node, &following);
        assert!(following.chain().len() < node_chain.canonical().len() + 3);
    }
}

#[tokio::test]
async fn a_reorg_below_the_first_block_reverts_it_too() {
    for (node, following) in started().await {
        node.reorg(3, 4);
        following.reaches(node.chain().head()).await;
        assert_eq!(following.reverts(), [position(node.chain().by_number(2).unwrap())]);
        check_canonical(&node, &following);
    }
}

#[tokio::test]
async fn a_reorg_deeper_than_the_bound_ends_the_source() {
    for (depth, ends) in [(REORG_DEPTH_MAX, false), (REORG_DEPTH_MAX + 1, true)] {
        for (node, following) in started().await {
            following.reaches(node.mine(200).last().unwrap()).await;
            node.reorg(depth, depth + 1);
            if ends {
                let error = following.fails().await;
                assert!(
                    texts(&error)[1].contains("none of the 128 blocks before that is in both"),
                    "{:?}",
                    texts(&error)
                );
            } else {
                following.reaches(node.chain().head()).await;
                check_canonical(&node, &following);
            }
        }
    }
}

/// All blocks of these numbers, without logs.
fn blocks(numbers: RangeInclusive<u64>) -> Replay {
    Replay {
        numbers,
        blocks: true,
        filters: Arc::default(),
    }
}

#[tokio::test]
async fn replay_gives_the_canonical_blocks_from_the_start_of_the_range() {
    let node = Node::start().await;
    node.mine(100);
    for (url, refuses_batches) in [
        (node.http_url(), false),
        (node.http_url(), true),
        (node.ws_url(), false),
    ] {
        let refusal = BatchFault::Whole(Answer::error(-32_600, "batches are not supported"));
        node.break_batches(refuses_batches.then_some(refusal));
        let source = chains(&url).source(CHAIN).unwrap();
        let mut next = 3;
        while next <= 100 {
            let replayed = source.replay(&blocks(next..=100)).await.unwrap();
            assert_eq!(replayed.parent_hash, node.chain().by_number(next - 1).unwrap().hash);
            for block in &replayed.blocks {
                assert_eq!(block.position, position(node.chain().by_number(next).unwrap()));
                assert_eq!(block.parent_hash, node.chain().by_number(next - 1).unwrap().hash);
                next += 1;
            }
            assert_eq!(replayed.through.number, next - 1);
        }
        assert_eq!(source.replay(&blocks(99..=200)).await.unwrap().blocks.len(), 2);
        assert!(source.replay(&blocks(101..=101)).await.is_err());
        assert!(source.replay(&blocks(u64::MAX - 1..=u64::MAX)).await.is_err());
    }
}

#[tokio::test]
async fn replay_does_not_join_blocks_of_two_forks() {
    let node = Node::start().await;
    let old = node.mine(5);
    node.reorg(3, 3);
    let source = chains(&node.http_url()).source(CHAIN).unwrap();
    let stale = old[3].to_json();
    node.once(
        "eth_getBlockByNumber",
        Answer::Result(node.chain().by_number(3).unwrap().to_json()),
    );
    node.once("eth_getBlockByNumber", Answer::Result(stale));
    assert!(source.replay(&blocks(3..=5)).await.is_err());
    assert_eq!(source.replay(&blocks(3..=5)).await.unwrap().blocks.len(), 3);
}

/// The supervisor keeps sources as trait objects on any thread.
#[test]
fn a_source_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<ChainSource>();
}
