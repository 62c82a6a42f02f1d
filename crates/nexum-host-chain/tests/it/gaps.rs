//! Chains whose numbers have gaps, as Filecoin's: a missing number between two linked headers is not waited for, and every other
//! one is.

use std::sync::Arc;

use nexum_config::topic::Finality;
use nexum_testing::{Answer, Block, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::support::{Following, chains, config_of, position, soon};
use crate::wanted::{check_logs, emitted, filters};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

/// Each transport, and each answer for a number without a block: null or an error.
fn kinds() -> impl Iterator<Item = (fn(&Node) -> String, bool)> {
    URLS.into_iter()
        .flat_map(|url| [false, true].map(|refuses| (url, refuses)))
}

pub(crate) async fn node(refuses: bool) -> Node {
    let node = Node::start().await;
    node.set_logs(emitted);
    node.refuse_null_rounds(refuses);
    node.mine(8);
    node
}

async fn follow(node: &Node, url: fn(&Node) -> String) -> Following {
    let following = Following::start_with(&chains(&url(node)), Finality::Latest, &filters());
    following.reaches(node.chain().head()).await;
    following
}

/// A block for each of these counts of numbers without one, which come before it.
fn mine_unannounced(node: &Node, skipped: &[u64]) {
    for numbers in skipped {
        node.skip(*numbers);
        node.mine_unannounced(1);
    }
}

/// The parameters of `eth_getBlockByNumber` for this number.
pub(crate) fn asks_for(params: &str, number: u64) -> bool {
    params.starts_with(&format!("[\"{number:#x}\""))
}

/// The endpoint has no answer for a block by its number.
fn hide(node: &Node, hidden: &Block, answer: Answer) {
    let number = hidden.number;
    node.on("eth_getBlockByNumber", move |params| {
        match asks_for(params.get(), number) {
            true => answer.clone(),
            false => Answer::Default,
        }
    });
}

pub(crate) fn numbers(following: &Following) -> Vec<u64> {
    following.chain().iter().map(|block| block.number).collect()
}

#[tokio::test]
async fn a_gap_at_the_head_costs_no_request() {
    for refuses in [false, true] {
        let node = node(refuses).await;
        let following = Following::start(&chains(&node.ws_url()));
        following.reaches(node.chain().head()).await;
        following.reaches(&node.mine(1)[0]).await;
        let before = node.counts();
        for skipped in [1, 2, 7, 31, 32, 100, 1_023] {
            node.skip(skipped);
            following.reaches(&node.mine(1)[0]).await;
        }
        assert_eq!(node.counts(), before);
        assert_eq!(numbers(&following), [8, 9, 11, 14, 22, 54, 87, 188, 1_212]);
    }
}

#[tokio::test]
async fn gaps_at_the_head_are_passed_over_every_transport() {
    for (url, refuses) in kinds() {
        let node = node(refuses).await;
        let following = follow(&node, url).await;
        for skipped in [1, 0, 3, 40, 0, 1_023] {
            node.skip(skipped);
            following.reaches(&node.mine(1)[0]).await;
        }
        assert_eq!(numbers(&following), [8, 10, 11, 15, 56, 57, 1_081]);
        check_logs(&node, &following);
        assert_eq!(following.reverts(), []);
    }
}

#[tokio::test]
async fn a_wider_gap_than_the_bound_is_not_believed() {
    for url in URLS {
        let log = Log::default();
        let _guard = log.capture();
        let node = node(false).await;
        let following = follow(&node, url).await;
        node.skip(1_024);
        node.mine(1);
        let said = "block 1033 names block 8 as its parent: between the two, nexum believes at most 1023 numbers without a block";
        soon(async {
            while !log.text().contains(said) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(numbers(&following), [8]);
    }
}

#[tokio::test]
async fn blocks_that_were_missed_are_read_over_gaps() {
    // One gap is wider than a batch, and the number in which the search for its end looks for a block is in another gap.
    let wide: Vec<u64> = [40].into_iter().chain([0; 22]).chain([1]).chain([0; 40]).collect();
    let narrow: Vec<u64> = (0..150).map(|block| [0, 0, 1, 0, 5][block % 5]).collect();
    let single = vec![700];
    for (url, refuses) in kinds() {
        for skipped in [&wide, &narrow, &single] {
            let node = node(refuses).await;
            let following = follow(&node, url).await;
            mine_unannounced(&node, skipped);
            node.skip(2);
            following.reaches(&node.mine(1)[0]).await;
            assert_eq!(numbers(&following).len(), skipped.len() + 2);
            check_logs(&node, &following);
        }
    }
}

#[tokio::test]
async fn a_log_begins_over_gaps() {
    for (url, refuses) in kinds() {
        for skipped in [
            &[0, 1, 0, 2, 0][..],
            &[200],
            &[0, 60, 0, 3],
            &[50, 0, 0, 50, 1],
            &[127, 0],
        ] {
            let node = node(refuses).await;
            mine_unannounced(&node, skipped);
            let following = follow(&node, url).await;
            let head = node.chain().head().clone();
            assert_eq!(numbers(&following), [head.number]);
            // Its past is known, and so a reorganisation across a gap finds its way.
            let ancestor = node.chain().canonical().iter().rev().nth(1).unwrap().clone();
            node.reorg_unannounced(1, 0);
            node.skip(250);
            node.mine(2);
            following.reaches(node.chain().head()).await;
            assert_eq!(following.reverts(), [position(&ancestor)]);
            let model = node.chain();
            let canonical = model.range(ancestor.number..=u64::MAX).iter().map(position);
            assert_eq!(following.chain(), canonical.collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn reorganisations_across_gaps_are_reverted_to_the_block_below_them() {
    // The numbers that the chain skips before each of its last blocks, how many of these blocks it
    // loses, and the numbers that it skips before each new one.
    let cases: [(&[u64], u64, &[u64]); 9] = [
        (&[0, 0], 1, &[1]),
        (&[0, 1], 1, &[0, 0]),
        (&[0, 5], 1, &[2]),
        (&[0, 5], 1, &[2, 0, 0, 4]),
        (&[3, 0, 2], 3, &[0, 0, 0, 0]),
        (&[0, 0, 0], 3, &[40, 0]),
        (&[40, 0, 0], 3, &[0, 50, 1]),
        (&[0, 0, 0, 0, 0], 5, &[1, 1, 1, 1]),
        (&[2, 2, 2, 2, 2], 4, &[0, 3, 0, 1, 0, 0]),
    ];
    for (url, refuses) in kinds() {
        for (old, depth, new) in cases {
            for is_announced in [false, true] {
                let node = node(refuses).await;
                let following = follow(&node, url).await;
                mine_unannounced(&node, old);
                node.mine_unannounced(0);
                node.announce(node.chain().head());
                following.reaches(node.chain().head()).await;
                let kept = old.len() - usize::try_from(depth).unwrap();
                let ancestor = node.chain().canonical()[8 + kept].clone();
                node.reorg_unannounced(depth, 0);
                for skipped in new {
                    node.skip(*skipped);
                    match is_announced {
                        true => node.mine(1),
                        false => node.mine_unannounced(1),
                    };
                }
                following.reaches(&node.mine(1)[0]).await;
                let reverts = following.reverts();
                assert_eq!(reverts, [position(&ancestor)], "{old:?} {depth} {new:?} {is_announced}");
                check_logs(&node, &following);
            }
        }
    }
}

#[tokio::test]
async fn a_hole_that_no_hash_proves_is_waited_for() {
    for answer in [
        Answer::Result(Value::Null),
        Answer::error(12, "requested epoch was a null round"),
    ] {
        for url in URLS {
            for hole in [0, 1, 20, 40] {
                for by_hash in [true, false] {
                    let node = node(false).await;
                    let following = follow(&node, url).await;
                    let hidden = node.mine_unannounced(50)[hole].clone();
                    hide(&node, &hidden, answer.clone());
                    if by_hash {
                        node.on("eth_getBlockByHash", |_| Answer::Result(Value::Null));
                    }
                    let head = node.mine(1).remove(0);
                    let asked = node.count("eth_getBlockByNumber");
                    node.until(|node| node.count("eth_getBlockByNumber") > asked + 100)
                        .await;
                    following
                        .reaches_position(position(node.chain().by_number(hidden.number - 1).unwrap()))
                        .await;
                    node.restore("eth_getBlockByNumber");
                    node.restore("eth_getBlockByHash");
                    following.reaches(&head).await;
                    check_logs(&node, &following);
                    assert_eq!(following.reverts(), []);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hole_beside_a_gap_is_waited_for() {
    for (url, refuses) in kinds() {
        let node = node(refuses).await;
        let following = follow(&node, url).await;
        node.skip(2);
        let hidden = node.mine_unannounced(1).remove(0);
        node.skip(3);
        node.mine_unannounced(1);
        hide(&node, &hidden, Answer::Result(Value::Null));
        let head = node.mine(1).remove(0);
        let asked = node.count("eth_getBlockByNumber");
        node.until(|node| node.count("eth_getBlockByNumber") > asked + 20).await;
        assert_eq!(numbers(&following), [8]);
        node.restore("eth_getBlockByNumber");
        following.reaches(&head).await;
        assert_eq!(numbers(&following), [8, 11, 15, 16]);
        check_logs(&node, &following);
    }
}

#[tokio::test]
async fn an_endpoint_that_makes_up_a_gap_is_left_for_one_that_knows_better() {
    let log = Log::default();
    let _guard = log.capture();
    let liar = node(false).await;
    let honest = liar.replica().await;
    let urls = [liar.http_url(), honest.http_url()];
    let following = Following::start_with(&chains_of(&urls), Finality::Latest, &filters());
    following.reaches(liar.chain().head()).await;
    let tip = liar.chain().head().clone();
    let model = liar.replica().await;
    liar.on("eth_getBlockByNumber", move |params| {
        let chain = model.chain();
        let mut forged = chain.by_number(tip.number + 2).map(Block::to_json);
        if let Some(forged) = &mut forged {
            forged["parentHash"] = json!(alloy_primitives::B256::from(tip.hash));
        }
        match forged {
            Some(_) if asks_for(params.get(), tip.number + 1) => Answer::Result(Value::Null),
            Some(forged) if params.get().contains("latest") || asks_for(params.get(), tip.number + 2) => {
                Answer::Result(forged)
            }
            _ => Answer::Default,
        }
    });
    let mined = liar.mine(2);
    following.reaches(&mined[1]).await;
    assert_eq!(numbers(&following), [8, 9, 10]);
    check_logs(&honest, &following);
    assert!(
        log.text().contains("it is on another fork than the others"),
        "{}",
        log.text()
    );
}

pub(crate) fn chains_of(urls: &[String]) -> nexum_host_chain::Chains {
    nexum_host_chain::Chains::new([config_of(urls)])
}

#[tokio::test]
async fn an_endpoint_that_agrees_about_a_gap_confirms_it() {
    for url in URLS {
        let node = node(false).await;
        let other = node.replica().await;
        let following = Following::start(&chains_of(&[url(&node), url(&other)]));
        following.reaches(node.chain().head()).await;
        node.skip(2);
        following.reaches(&node.mine(1)[0]).await;
        assert_eq!(numbers(&following), [8, 11]);
        assert_eq!(other.count("eth_getBlockByHash"), 1);
        assert_eq!(node.count("eth_getBlockByHash"), 0);
    }
}

#[tokio::test]
async fn settled_blocks_come_over_gaps() {
    let finalities = [
        Finality::Confirmations(1.try_into().unwrap()),
        Finality::Confirmations(3.try_into().unwrap()),
        Finality::Safe,
        Finality::Finalized,
    ];
    for (url, refuses) in kinds() {
        for (finality, depth) in finalities.into_iter().zip([1, 3, 2, 4]) {
            let node = node(refuses).await;
            node.set_finality(2, 4);
            let following = Following::start_with(&chains(&url(&node)), finality, &filters());
            let settled = || node.chain().canonical().iter().rev().nth(depth).unwrap().clone();
            following.reaches(&settled()).await;
            for skipped in [0, 1, 0, 7, 40, 2, 0, 0] {
                node.skip(skipped);
                node.mine(1);
                following.reaches(&settled()).await;
            }
            mine_unannounced(&node, &[0, 3, 0, 0, 50, 0, 1, 1]);
            node.mine(1);
            following.reaches(&settled()).await;
            assert_eq!(following.reverts(), []);
            // Deeper than what is settled, across gaps.
            let ancestor = node.chain().canonical().iter().rev().nth(6).unwrap().clone();
            node.reorg_unannounced(6, 0);
            mine_unannounced(&node, &[1, 0, 2, 0, 50, 0, 0, 0, 0]);
            node.mine(1);
            following.reaches(&settled()).await;
            assert_eq!(following.reverts(), [position(&ancestor)], "{finality:?}");
            check_logs(&node, &following);
        }
    }
}

#[tokio::test]
async fn confirmations_that_reach_below_what_is_known_begin_over_gaps() {
    for (url, refuses) in kinds() {
        let node = node(refuses).await;
        mine_unannounced(&node, &(0..200).map(|block| block % 3).collect::<Vec<_>>());
        let finality = Finality::Confirmations(150.try_into().unwrap());
        let following = Following::start_with(&chains(&url(&node)), finality, &filters());
        soon(async {
            while following.log.head().is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        mine_unannounced(&node, &(0..150).map(|block| block % 3).collect::<Vec<_>>());
        node.mine(1);
        let settled = node.chain().canonical().iter().rev().nth(150).unwrap().clone();
        following.reaches(&settled).await;
        check_logs(&node, &following);
        assert_eq!(following.reverts(), []);
    }
}

/// The supervisor reads a log that many share; a test of one reader is enough here.
#[tokio::test]
async fn a_late_head_in_a_gap_changes_nothing() {
    let node = Arc::new(node(true).await);
    let following = follow(&node, Node::ws_url).await;
    let lost = node.mine(1).remove(0);
    following.reaches(&lost).await;
    node.reorg_unannounced(1, 0);
    node.skip(1);
    let head = node.mine(1).remove(0);
    following.reaches(&head).await;
    // The number of the lost block has none now.
    node.announce(&lost);
    node.announce(&head);
    following.reaches(&node.mine(1)[0]).await;
    assert_eq!(numbers(&following), [8, 10, 11]);
    check_logs(&node, &following);
    assert_eq!(following.reverts().len(), 1);
}
