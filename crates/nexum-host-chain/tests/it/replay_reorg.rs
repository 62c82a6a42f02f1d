//! Reorgs during a replay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexum_core::source::EventSource;
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl};
use nexum_testing::{Answer, Node};

use crate::replay::logs_of;
use crate::support::{CHAIN, texts};
use crate::wanted::{filters, node_with_logs, wanted};

/// A chain that is read in parts of a hundred blocks.
fn source(node: &Node) -> Arc<dyn EventSource> {
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    endpoint.max_log_range_blocks = std::num::NonZeroU64::new(100);
    Chains::new([ChainConfig::new(CHAIN, endpoint)]).source(CHAIN).unwrap()
}

#[tokio::test]
async fn a_reorg_between_two_parts_shows_in_the_parent_of_the_second() {
    let node = node_with_logs(300).await;
    let source = source(&node);
    let first = source.replay(&logs_of(1..=300, &filters())).await.unwrap();
    assert_eq!(first.through.number, 100);
    node.reorg_unannounced(250, 250);
    let second = source.replay(&logs_of(101..=300, &filters())).await.unwrap();
    assert_ne!(second.parent_hash, first.through.hash);
    assert_eq!(second.parent_hash, node.chain().by_number(100).unwrap().hash);
}

#[tokio::test]
async fn a_reorg_within_a_part_is_noticed_and_the_part_read_again() {
    // Before and after the logs are read; to a longer chain, and to one that ends inside the part;
    // and between the reads of the first and the last block, below both.
    const ALL: &[(u64, u64)] = &[(1, 1), (50, 60), (99, 99), (150, 150), (50, 10)];
    for (method, call, reorgs) in [
        ("eth_getLogs", 1, ALL),
        ("eth_getBlockByNumber", 3, ALL),
        ("eth_getBlockByNumber", 2, &[(150, 150)]),
    ] {
        for (depth, new_blocks) in reorgs.iter().copied() {
            let node = Arc::new(node_with_logs(200).await);
            let source = source(&node);
            let its = Arc::downgrade(&node);
            let calls = std::sync::atomic::AtomicUsize::new(0);
            let done = AtomicBool::new(false);
            node.on(method, move |_| {
                if calls.fetch_add(1, Ordering::Relaxed) + 1 == call && !done.swap(true, Ordering::Relaxed) {
                    its.upgrade().unwrap().reorg_unannounced(depth, new_blocks);
                }
                Answer::Default
            });
            let error = source.replay(&logs_of(101..=200, &filters())).await.unwrap_err();
            let texts = texts(&error);
            let expected = [
                "the chain changed while it was read",
                "the endpoint does not have block 200",
            ];
            assert!(
                expected.contains(&&*texts[1]),
                "{method} {call}, {depth} {new_blocks}: {texts:?}"
            );
            node.mine(100);
            let again = source.replay(&logs_of(101..=200, &filters())).await.unwrap();
            let logs: Vec<_> = again.blocks.iter().flat_map(|block| block.logs.clone()).collect();
            assert_eq!(logs, wanted(&node.chain().canonical()[101..=200], &filters()));
        }
    }
}
