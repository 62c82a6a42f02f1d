//! Several endpoints: the one that the source follows, and the blocks after a change.

use alloy_primitives::B256;
use nexum_config::topic::Finality;
use nexum_core::source::ChainLogs;
use nexum_core::source::EventLog;
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};
use nexum_testing::{Answer, Node};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::captured::Log;
use crate::support::{CHAIN, Following, config_of, position, soon, texts};
use crate::wanted::{check_logs, filters, node_with_logs};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

struct Followed {
    chains: Chains,
    following: Following,
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

/// Follows the first of these nodes, and the others when they are better.
fn follow(nodes: &[&Node], url: fn(&Node) -> String, change: impl FnOnce(&mut ChainConfig)) -> Followed {
    let log = Log::default();
    let guard = log.capture();
    let mut config = config_of(&nodes.iter().map(|node| url(node)).collect::<Vec<_>>());
    change(&mut config);
    let chains = Chains::new([config]);
    Followed {
        following: Following::start_with(&chains, Finality::Latest, &filters()),
        chains,
        log,
        _guard: guard,
    }
}

impl Followed {
    /// The indexes of the followed endpoints, in order.
    fn followed(&self) -> Vec<usize> {
        let endpoints = self.chains.endpoints(CHAIN).unwrap();
        let labels = endpoints.all();
        let place = |line: &str| {
            labels
                .iter()
                .position(|endpoint| line.contains(&format!("\"{}\"", endpoint.label())))
        };
        let text = self.log.text();
        let lines = text.lines().filter(|line| line.contains("following the chain"));
        lines.map(|line| place(line).unwrap()).collect()
    }

    /// Waits until the log contains this text.
    async fn says(&self, text: &str) {
        soon(async {
            while !self.log.text().contains(text) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Waits until the endpoints with these indexes have been followed in this order.
    async fn follows(&self, places: &[usize]) {
        let followed = async {
            while self.followed() != places {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(nexum_testing::WAIT_MAX, followed).await.is_err() {
            panic!("followed {:?}: {}", self.followed(), self.log.text());
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_has_no_new_heads_is_left_for_another() {
    for url in URLS {
        let node = node_with_logs(5).await;
        let other = node.replica().await;
        let followed = follow(&[&node, &other], url, |config| config.head_stall_seconds = 1);
        followed.following.reaches(node.chain().head()).await;
        node.freeze();
        node.mine(5);
        followed.following.reaches(node.chain().head()).await;
        followed.following.reaches(node.mine(3).last().unwrap()).await;
        check_logs(&node, &followed.following);
        followed.follows(&[0, 1]).await;
        assert!(followed.log.text().contains("it has no new heads"));
    }
}

#[tokio::test]
async fn an_endpoint_that_falls_behind_is_left_for_another() {
    let node = node_with_logs(40).await;
    let other = node.replica().await;
    let followed = follow(&[&node, &other], Node::http_url, |_| {});
    followed.following.reaches(node.chain().head()).await;
    other.until(|other| other.count("eth_blockNumber") > 0).await;
    node.set_lag(20);
    followed.follows(&[0, 1]).await;
    followed.following.reaches(node.mine(5).last().unwrap()).await;
    check_logs(&node, &followed.following);
    assert!(followed.following.reverts().is_empty());
}

#[tokio::test]
async fn a_primary_that_was_killed_is_gone_back_to() {
    for url in URLS {
        let mut node = node_with_logs(5).await;
        let other = node.replica().await;
        let followed = follow(&[&node, &other], url, |_| {});
        followed.following.reaches(node.chain().head()).await;
        node.stop().await;
        followed.following.reaches(node.mine(20).last().unwrap()).await;
        node.restart().await;
        followed.follows(&[0, 1, 0]).await;
        followed.following.reaches(node.mine(3).last().unwrap()).await;
        check_logs(&node, &followed.following);
        assert!(followed.following.reverts().is_empty());
    }
}

/// A node with the chain so far, and its own blocks after it.
async fn on_a_fork(node: &Node, blocks: u64) -> Node {
    let other = Node::start_on(node.chain()).await;
    other.mine(blocks);
    other
}

#[tokio::test]
async fn a_fork_is_not_believed_while_another_endpoint_has_our_head_or_the_node_is_syncing() {
    for url in URLS {
        // Whether the source has seen the last common block, or started above it.
        for (syncing, seen) in [(true, true), (false, true), (true, false), (false, false)] {
            let node = node_with_logs(10).await;
            let mut false_one = on_a_fork(&node, 25).await;
            if syncing {
                false_one.set_syncing(Some(1_000));
            }
            if !seen {
                node.mine(20);
            }
            false_one.stop().await;
            let followed = follow(&[&false_one, &node], url, |_| {});
            followed.following.reaches(node.chain().head()).await;
            if seen {
                followed.following.reaches(node.mine(20).last().unwrap()).await;
            }
            false_one.restart().await;
            followed.says("it is on another fork than the others").await;
            followed.following.reaches(node.mine(3).last().unwrap()).await;
            check_logs(&node, &followed.following);
            assert!(followed.following.reverts().is_empty());
        }
    }
}

#[tokio::test]
async fn a_lone_endpoint_that_is_syncing_on_a_fork_is_waited_for() {
    let mut node = node_with_logs(10).await;
    let mut fork = on_a_fork(&node, 25).await;
    fork.set_syncing(Some(1_000));
    fork.stop().await;
    let followed = follow(&[&fork, &node], Node::http_url, |_| {});
    followed.following.reaches(node.chain().head()).await;
    followed.following.reaches(node.mine(20).last().unwrap()).await;
    let common = position(node.chain().by_number(10).unwrap());
    node.stop().await;
    fork.restart().await;
    fork.until(|fork| fork.count("eth_syncing") > 0).await;
    assert!(followed.following.reverts().is_empty());
    fork.set_syncing(None);
    followed.following.reaches(fork.chain().head()).await;
    assert_eq!(followed.following.reverts(), [common]);
    check_logs(&fork, &followed.following);
}

#[tokio::test]
async fn another_fork_is_followed_once_nobody_has_the_old_one() {
    for url in URLS {
        let mut node = node_with_logs(5).await;
        let followed = follow(&[&node], url, |config| config.reorg_depth_max = 20);
        followed.following.reaches(node.chain().head()).await;
        followed.following.reaches(node.mine(25).last().unwrap()).await;
        // Like a node that restarts with another database.
        node.stop().await;
        node.reorg(20, 22);
        node.restart().await;
        followed.following.reaches(node.chain().head()).await;
        assert_eq!(
            followed.following.reverts(),
            [position(node.chain().by_number(10).unwrap())]
        );
        check_logs(&node, &followed.following);
    }
}

#[tokio::test]
async fn a_fork_that_is_too_deep_ends_the_source_with_both_hashes_and_the_remedy() {
    for url in URLS {
        let mut node = node_with_logs(5).await;
        let followed = follow(&[&node], url, |config| config.reorg_depth_max = 20);
        followed.following.reaches(node.chain().head()).await;
        followed.following.reaches(node.mine(25).last().unwrap()).await;
        let old = node.chain();
        node.stop().await;
        node.reorg(21, 30);
        node.restart().await;
        let error = followed.following.fails().await;
        let text = &texts(&error)[1];
        let named = (0..=30)
            .find(|number| text.contains(&format!("block {number} where")))
            .unwrap();
        for chain in [&old, &node.chain()] {
            let hash = B256::from(chain.by_number(named).unwrap().hash).to_string();
            assert!(text.contains(&hash), "{text}");
        }
        assert!(text.contains("raise reorg_depth_max"), "{text}");
    }
}

/// Like a node whose operator removed its database.
#[tokio::test]
async fn a_chain_that_was_reset_is_reported_with_both_heads() {
    for url in URLS {
        let node = node_with_logs(103).await;
        let followed = follow(&[&node], url, |config| config.head_stall_seconds = 1);
        let source = followed.chains.source(CHAIN).unwrap();
        followed.following.reaches(node.chain().head()).await;
        assert_eq!(source.trouble(), None);
        let old = position(node.chain().head());

        let reset = Node::start().await;
        let its = std::sync::Arc::new(reset);
        let young = std::sync::Arc::clone(&its);
        node.on("eth_getBlockByNumber", move |params| {
            // The node has a new head at every request.
            young.mine(u64::from(young.chain().head().number < 5));
            let (id, _) = serde_json::from_str::<(String, bool)>(params.get()).unwrap();
            let chain = young.chain();
            let number = id
                .strip_prefix("0x")
                .map(|digits| u64::from_str_radix(digits, 16).unwrap());
            let block = number.map_or(Some(chain.head()), |number| chain.by_number(number));
            Answer::Result(block.map_or(serde_json::Value::Null, nexum_testing::Block::to_json))
        });
        if url(&node).starts_with("ws") {
            node.drop_connections();
        }
        followed.says("far below block").await;
        let trouble = source.trouble().expect("a reason");
        let new = its.chain().head().clone();
        assert_eq!(source.report().endpoints[0].head, None, "rested");
        for named in [old, position(&new)] {
            let named = format!("block {} {}", named.number, B256::from(named.hash));
            assert!(trouble.text.contains(&named), "{named}: {trouble:?}");
        }
        let text = followed.log.text();
        let line = text.lines().find(|line| line.contains("far below block")).unwrap();
        assert!(line.contains("WARN"), "{line}");

        // The old chain returns.
        node.restore("eth_getBlockByNumber");
        followed.following.reaches(node.mine(1).last().unwrap()).await;
        soon(async {
            while source.trouble().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        check_logs(&node, &followed.following);
    }
}

#[tokio::test]
async fn a_chain_whose_endpoint_is_dead_does_not_hold_up_another() {
    const OTHER: u64 = 1;
    let (node, mut dead) = (node_with_logs(5).await, Node::start().await);
    dead.set_chain_id(OTHER);
    for hangs in [true, false] {
        if hangs {
            dead.on("*", |_| Answer::Hang);
        } else {
            dead.stop().await;
        }
        let other = ChainConfig::new(OTHER, EndpointUrl::parse(&dead.http_url()).unwrap());
        let chains = Chains::new([other, config_of(&[node.http_url()])]);
        let logs = ChainLogs::new(OTHER);
        let silent: std::sync::Arc<EventLog> = logs.open(Finality::Latest);
        let source = chains.source(OTHER).unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { source.follow(&logs, &CancellationToken::new()).await });
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(3).last().unwrap()).await;
        check_logs(&node, &following);
        assert_eq!(silent.head(), None);
    }
}
