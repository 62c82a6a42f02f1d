//! Gaps that an endpoint shows and the chain does not have.

use std::sync::atomic::{AtomicUsize, Ordering};

use nexum_config::topic::Finality;
use nexum_core::source::LogEntry;
use nexum_host_chain::Chains;
use nexum_testing::{Answer, Block, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::gaps::{asks_for, chains_of, node, numbers};
use crate::support::{Following, config_of, position, soon};
use crate::wanted::{check_logs, filters};

/// The node hides the blocks between `parent` and its head, and shows the head as the child of `parent`.
fn hide_above(node: &Node, parent: &Block) {
    let (parent, head) = (parent.clone(), node.chain().head().clone());
    node.on("eth_getBlockByNumber", move |params| {
        let mut forged = head.to_json();
        forged["parentHash"] = json!(alloy_primitives::B256::from(parent.hash));
        let hidden = parent.number + 1..head.number;
        match params.get() {
            params if hidden.into_iter().any(|number| asks_for(params, number)) => Answer::Result(Value::Null),
            params if params.contains("latest") || asks_for(params, head.number) => Answer::Result(forged),
            _ => Answer::Default,
        }
    });
}

/// A module whose cursor is at the block below the gap would miss the blocks in it.
#[tokio::test]
async fn an_endpoint_that_makes_up_a_gap_below_its_first_head_is_left() {
    // How many blocks a reorganisation may revert: more blocks than are hidden, and fewer.
    for depth in [128, 5] {
        let log = Log::default();
        let _guard = log.capture();
        let liar = node(false).await;
        let honest = liar.replica().await;
        let parent = liar.chain().head().clone();
        liar.mine(10);
        hide_above(&liar, &parent);
        let mut config = config_of(&[liar.http_url(), honest.http_url()]);
        config.reorg_depth_max = depth;
        let chains = Chains::new([config]);
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        following.reaches(liar.chain().head()).await;
        let entries = following.entries();
        let LogEntry::Advance(first) = &entries[0] else {
            panic!("{entries:#?}");
        };
        assert_eq!(first.block.parent_hash, liar.chain().by_number(17).unwrap().hash);
        assert!(
            log.text().contains("it is on another fork than the others"),
            "{}",
            log.text()
        );
    }
}

/// The liar is the first with a new head. Of the others, one has none of the new blocks yet, and one has only the hidden block.
#[tokio::test]
async fn an_endpoint_that_makes_up_a_gap_is_left_while_the_others_are_a_block_behind() {
    let log = Log::default();
    let _guard = log.capture();
    let liar = node(false).await;
    let (late, later) = (liar.replica().await, liar.replica().await);
    let urls = [liar.http_url(), later.http_url(), late.http_url()];
    let following = Following::start_with(&chains_of(&urls), Finality::Latest, &filters());
    following.reaches(liar.chain().head()).await;
    let tip = liar.chain().head().clone();
    late.set_lag(1);
    later.set_lag(2);
    liar.freeze();
    let mined = liar.mine(2);
    hide_above(&liar, &tip);
    liar.thaw();
    soon(async {
        while !log.text().contains("it is on another fork than the others") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    late.set_lag(0);
    later.set_lag(0);
    following.reaches(&mined[1]).await;
    assert_eq!(numbers(&following), [8, 9, 10]);
    check_logs(&late, &following);
}

/// Behind one URL, the node that is asked first may be some blocks behind.
#[tokio::test]
async fn a_node_that_is_behind_at_the_start_shortens_no_reorganisation() {
    // How many blocks a reorganisation may revert, the numbers of the first batch that has no block, and the blocks that the
    // chain loses.
    for (depth, hidden, lost) in [(3, 57..60, 2), (40, 20..52, 20)] {
        let node = node(false).await;
        node.mine(52);
        let asked = AtomicUsize::new(0);
        node.on("eth_getBlockByNumber", move |params| {
            let is_hidden = hidden.clone().any(|number| asks_for(params.get(), number));
            match is_hidden && asked.fetch_add(1, Ordering::SeqCst) < hidden.clone().count() {
                true => Answer::Result(Value::Null),
                false => Answer::Default,
            }
        });
        let mut config = config_of(&[node.http_url()]);
        config.reorg_depth_max = depth;
        let following = Following::start_with(&Chains::new([config]), Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        let ancestor = position(node.chain().by_number(60 - lost).unwrap());
        node.reorg(lost, lost + 1);
        following.reaches(node.chain().head()).await;
        assert_eq!(following.reverts(), [ancestor]);
    }
}
