//! The past of chains whose numbers have gaps.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexum_core::source::{EventSource, Replay, Replayed};
use nexum_core::store::MemoryStore;
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl};
use nexum_testing::{Answer, Node};
use serde_json::Value;

use crate::journals::Journals;
use crate::replay::{logs_of, read_all};
use crate::support::{CHAIN, chains, position, soon};
use crate::wanted::{emitted, filters, wanted};

/// The count of numbers that the chain skips before each of its blocks after the first ten, in a
/// cycle.
const SKIPPED: [u64; 12] = [0, 1, 0, 0, 4, 0, 2, 40, 0, 0, 1, 1];

/// A chain of this many blocks.
async fn node(blocks: usize, refuses: bool) -> Node {
    let node = Node::start().await;
    node.set_logs(emitted);
    node.refuse_null_rounds(refuses);
    node.mine(10);
    for block in 10..blocks {
        node.skip(SKIPPED[block % SKIPPED.len()]);
        node.mine(1);
    }
    node
}

/// A source that reads the logs of so many numbers at a time.
fn source(node: &Node, width: Option<u64>) -> Arc<dyn EventSource> {
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    endpoint.max_log_range_blocks = width.and_then(NonZeroU64::new);
    Chains::new([ChainConfig::new(CHAIN, endpoint)]).source(CHAIN).unwrap()
}

#[tokio::test]
async fn every_log_comes_once_however_the_ranges_lie_to_the_gaps() {
    for refuses in [false, true] {
        let node = node(120, refuses).await;
        let head = node.chain().head().number;
        for width in [None, Some(1), Some(2), Some(3), Some(7), Some(50)] {
            let source = source(&node, width);
            for blocks in [false, true] {
                for numbers in [1..=head, 12..=head, 30..=head - 1, head - 60..=head - 20] {
                    let asked = Replay {
                        blocks,
                        ..logs_of(numbers.clone(), &filters())
                    };
                    let logs = read_all(&node, &source, &asked).await;
                    let expected = wanted(node.chain().range(numbers.clone()), &filters());
                    assert_eq!(logs, expected, "{width:?} {blocks} {numbers:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_range_without_blocks_says_what_is_below_it() {
    for refuses in [false, true] {
        let node = Node::start().await;
        node.refuse_null_rounds(refuses);
        let below = position(&node.mine(5)[4]);
        for skipped in [3, 40, 1_000] {
            let below = match skipped {
                3 => below,
                _ => position(node.chain().head()),
            };
            node.skip(skipped);
            node.mine(1);
            let source = chains(&node.http_url()).source(CHAIN).unwrap();
            for (from, to) in [(1, 1), (1, skipped), (skipped, skipped), (2, 3)] {
                for blocks in [false, true] {
                    let asked = Replay {
                        blocks,
                        ..logs_of(below.number + from..=below.number + to, &filters())
                    };
                    let Replayed {
                        parent_hash,
                        blocks,
                        through,
                    } = source.replay(&asked).await.unwrap();
                    assert_eq!((parent_hash, through, blocks.len()), (below.hash, below, 0));
                }
            }
        }
    }
}

/// Some endpoints have words of their own for a number without a block.
#[tokio::test]
async fn a_range_that_starts_and_ends_in_gaps_is_read_whatever_the_words() {
    let node = Node::start().await;
    node.set_logs(emitted);
    node.mine(10);
    node.skip(3);
    node.mine(5);
    node.skip(3);
    node.mine(5);
    let model = node.chain();
    node.on("eth_getBlockByNumber", move |params| {
        let number = params
            .get()
            .trim_start_matches("[\"0x")
            .split('"')
            .next()
            .unwrap_or_default();
        match u64::from_str_radix(number, 16).map(|number| model.by_number(number)) {
            Ok(None) => Answer::error(-32_000, "there is no tipset at this height"),
            _ => Answer::Default,
        }
    });
    let source = chains(&node.http_url()).source(CHAIN).unwrap();
    let logs = soon(read_all(&node, &source, &logs_of(12..=20, &filters()))).await;
    assert_eq!(logs, wanted(node.chain().range(12..=20), &filters()));
    assert_eq!(logs.len(), 4);
}

#[tokio::test]
async fn a_hole_in_the_past_is_an_error_and_no_gap() {
    for answer in [
        Answer::Result(Value::Null),
        Answer::error(12, "requested epoch was a null round"),
    ] {
        let node = node(60, false).await;
        let hidden = node.chain().canonical()[33].clone();
        let number = hidden.number;
        node.on("eth_getBlockByNumber", move |params| {
            match params.get().starts_with(&format!("[\"{number:#x}\"")) {
                true => answer.clone(),
                false => Answer::Default,
            }
        });
        let source = chains(&node.http_url()).source(CHAIN).unwrap();
        for blocks in [false, true] {
            for to in [number, number + 1, node.chain().head().number] {
                let asked = Replay {
                    blocks,
                    ..logs_of(number..=to, &filters())
                };
                source.replay(&asked).await.unwrap_err();
            }
        }
        // The blocks below the hole are read, and no block beyond it.
        let asked = Replay {
            blocks: true,
            ..logs_of(1..=node.chain().head().number, &filters())
        };
        let mut next = 1;
        while next < number {
            let wanted = Replay {
                numbers: next..=*asked.numbers.end(),
                ..asked.clone()
            };
            next = source.replay(&wanted).await.unwrap().through.number + 1;
            assert!(next <= number);
        }
        assert!(
            source
                .replay(&Replay {
                    numbers: number..=*asked.numbers.end(),
                    ..asked
                })
                .await
                .is_err()
        );
    }
}

/// Behind one URL, the node that is asked first may be a block behind.
#[tokio::test]
async fn a_head_that_the_first_node_lacks_is_in_no_gap() {
    let node = node(41, false).await;
    // The head's number is odd, so that the head has wanted logs.
    node.mine(41 - node.chain().head().number % 2);
    let [parent, head] = [2, 1].map(|depth| node.chain().canonical().iter().nth_back(depth - 1).unwrap().clone());
    let (number, looks) = (head.number, Arc::new(AtomicUsize::new(0)));
    let its = Arc::clone(&looks);
    node.on("eth_getBlockByNumber", move |params| {
        let is_asked = params.get().starts_with(&format!("[\"{number:#x}\""));
        // The first two batches reach the node that is behind.
        match is_asked && its.fetch_add(1, Ordering::SeqCst) < 2 {
            true => Answer::Result(Value::Null),
            false => Answer::Default,
        }
    });
    for blocks in [false, true] {
        looks.store(0, Ordering::SeqCst);
        let source = chains(&node.http_url()).source(CHAIN).unwrap();
        let asked = Replay {
            blocks,
            ..logs_of(number..=number, &filters())
        };
        let replayed = source.replay(&asked).await.unwrap();
        assert!(looks.load(Ordering::SeqCst) > 2);
        assert_eq!((replayed.parent_hash, replayed.through), (parent.hash, position(&head)));
        let logs: Vec<_> = replayed.blocks.iter().flat_map(|block| block.logs.clone()).collect();
        assert_eq!(logs, wanted([&head], &filters()));
    }
}

#[tokio::test]
async fn the_end_of_an_endpoint_is_no_gap() {
    let node = node(20, false).await;
    let head = node.chain().head().number;
    let source = chains(&node.http_url()).source(CHAIN).unwrap();
    for blocks in [false, true] {
        for numbers in [head + 1..=head + 1, head + 1..=head + 50, u64::MAX..=u64::MAX] {
            let asked = Replay {
                blocks,
                ..logs_of(numbers, &filters())
            };
            source.replay(&asked).await.unwrap_err();
        }
    }
}

/// The expected journal of every block.
fn expected(node: &Node) -> Vec<String> {
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let chain = node.chain();
    let entry = |block: &nexum_testing::Block| format!("block {} {}", block.number, hex(&block.hash));
    chain.canonical()[1..].iter().map(entry).collect()
}

#[tokio::test]
async fn a_module_that_was_off_goes_on_inside_or_beside_a_gap() {
    let journals = Journals::new(&[("blocks", &["kind = \"block\"\nfrom_block = 1"])]);
    // How many blocks are lost while it is off, and what the chain skips before each new one.
    let cases: [(u64, &[u64]); 9] = [
        (0, &[1]),
        (0, &[5, 0, 0]),
        (0, &[0, 1]),
        (0, &[40, 0, 1, 0]),
        // The number of the module's last block has none.
        (1, &[1]),
        (1, &[3, 0]),
        (2, &[0, 2, 0]),
        (3, &[1, 1, 1]),
        (3, &[40, 0]),
    ];
    for refuses in [false, true] {
        for (lost, new) in cases {
            let node = Node::start().await;
            node.refuse_null_rounds(refuses);
            // The first number that the module wants has no block.
            node.skip(3);
            node.mine(5);
            let store = Arc::new(MemoryStore::new());
            let running = journals.start(&chains(&node.http_url()), &store).await;
            running.becomes("blocks", &expected(&node)).await.unwrap();
            // A block that comes while it runs, so that the store knows the way to it.
            node.skip(1);
            node.mine(3);
            running.becomes("blocks", &expected(&node)).await.unwrap();
            running.stop().await;
            node.reorg(lost, 0);
            for skipped in new {
                node.skip(*skipped);
                node.mine(1);
            }
            let running = journals.start(&chains(&node.http_url()), &store).await;
            running.becomes("blocks", &expected(&node)).await.unwrap();
            node.skip(2);
            node.mine(2);
            running.becomes("blocks", &expected(&node)).await.unwrap();
            // Two blocks are lost, after an outage of more numbers than a reorganisation may have blocks.
            node.skip(200);
            node.mine(1);
            running.becomes("blocks", &expected(&node)).await.unwrap();
            node.reorg_unannounced(2, 0);
            node.skip(300);
            node.mine(3);
            running.becomes("blocks", &expected(&node)).await.unwrap();
            running.stop().await;
        }
    }
}
