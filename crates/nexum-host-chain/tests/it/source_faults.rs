use std::sync::Arc;

use nexum_core::source::Event;
use nexum_core::source::LogEntry;
use nexum_host_chain::Chains;
use nexum_testing::{Answer, Block, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::support::{CHAIN, Following, chains, config, config_of, position};

/// Some networks count in nanoseconds.
#[tokio::test]
async fn a_timestamp_beyond_all_time_does_not_stop_the_chain() {
    let node = Arc::new(Node::start().await);
    let its = Arc::downgrade(&node);
    node.on("eth_getBlockByNumber", move |params| {
        let (id, _) = serde_json::from_str::<(String, bool)>(params.get()).unwrap();
        let chain = its.upgrade().unwrap().chain();
        let number = match id.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => chain.head().number,
        };
        let mut block = chain.by_number(number).map_or(Value::Null, Block::to_json);
        if !block.is_null() {
            block["timestamp"] = json!("0x187174c6515d89a4");
        }
        Answer::Result(block)
    });
    let following = Following::start(&chains(&node.http_url()));
    following.reaches(node.mine(3).last().unwrap()).await;
    let timestamps = following.entries().into_iter().map(|entry| match entry {
        LogEntry::Advance(routed) => match routed.block.block_event() {
            Some(Event::Block(block)) => block.timestamp,
            other => panic!("{other:?}"),
        },
        LogEntry::Revert(to) => panic!("{to}"),
    });
    assert!(timestamps.into_iter().all(|timestamp| timestamp == u64::MAX));
}

#[tokio::test]
async fn an_outage_is_waited_out_and_its_blocks_are_not_missed() {
    for url in [Node::http_url, Node::ws_url] {
        let mut node = Node::start().await;
        let following = Following::start(&chains(&url(&node)));
        following.reaches(node.mine(3).last().unwrap()).await;
        for _ in 0..2 {
            node.stop().await;
            node.mine(40);
            node.restart().await;
            following.reaches(node.chain().head()).await;
        }
        let canonical: Vec<_> = node.chain().canonical().iter().map(position).collect();
        assert!(canonical.ends_with(&following.chain()));
        assert_eq!(following.chain().last().unwrap().number, 83);
    }
}

#[tokio::test]
async fn a_source_whose_endpoint_is_down_at_the_start_begins_when_it_is_up() {
    for url in [Node::http_url, Node::ws_url] {
        let mut node = Node::start().await;
        node.mine(1);
        node.stop().await;
        let following = Following::start(&chains(&url(&node)));
        tokio::task::yield_now().await;
        node.restart().await;
        following.reaches(node.chain().head()).await;
    }
}

#[tokio::test]
async fn a_dropped_subscription_is_made_again_and_its_gap_filled() {
    let node = Node::start().await;
    let following = Following::start(&chains(&node.ws_url()));
    following.reaches(&node.mine(1)[0]).await;
    for connections in 2..5 {
        node.drop_connections();
        node.mine(7);
        node.until(|node| node.ws_connections() == connections && node.subscribers() == 1)
            .await;
        following.reaches(&node.mine(1)[0]).await;
    }
    assert_eq!(following.chain().len(), 1 + 3 * 8);
}

#[tokio::test]
async fn a_reorg_during_an_outage_is_reverted() {
    for url in [Node::http_url, Node::ws_url] {
        let mut node = Node::start().await;
        let following = Following::start(&chains(&url(&node)));
        node.until(|node| node.count("eth_getBlockByNumber") > 0).await;
        following.reaches(node.mine(10).last().unwrap()).await;
        node.stop().await;
        node.reorg(4, 6);
        node.restart().await;
        following.reaches(node.chain().head()).await;
        assert_eq!(following.reverts(), [position(node.chain().by_number(6).unwrap())]);
    }
}

#[tokio::test]
async fn one_bad_answer_costs_no_block() {
    let faults = [
        Answer::Drop,
        Answer::Truncated,
        Answer::status(429),
        Answer::status(503),
        Answer::error(-32_000, "header not found"),
        Answer::Result(json!(null)),
        Answer::Result(json!({})),
        Answer::Result(json!({ "number": "0xzz" })),
        Answer::Result(json!([[[]]])),
        Answer::Huge { bytes: 2_000_000 },
        Answer::Hang,
    ];
    for url in [Node::http_url, Node::ws_url] {
        let node = Node::start().await;
        let mut config = config(&url(&node));
        config.request_timeout_ms = 100;
        config.response_bytes_max = 1_024 * 1_024;
        let following = Following::start(&Chains::new([config]));
        following.reaches(&node.mine(1)[0]).await;
        for fault in &faults {
            node.once("eth_getBlockByNumber", fault.clone());
            node.mine_unannounced(3);
            node.mine(1);
            // A ws source without an announcement of this block waits for the next head.
            following.reaches(&node.mine(1)[0]).await;
        }
        let canonical: Vec<_> = node.chain().canonical().iter().map(position).collect();
        assert!(canonical.ends_with(&following.chain()));
        assert_eq!(following.chain().len(), 1 + 5 * faults.len());
    }
}

#[tokio::test]
async fn an_endpoint_without_subscriptions_is_polled_over_its_connection() {
    let node = Node::start().await;
    node.on("eth_subscribe", |_| {
        Answer::error(-32_601, "the method eth_subscribe does not exist/is not available")
    });
    let other = node.replica().await;
    let urls = [node.ws_url(), other.ws_url()];
    for config in [config_of(&urls[..1]), config_of(&urls)] {
        let asked = node.count("eth_subscribe");
        let connections = node.ws_connections();
        let following = Following::start(&Chains::new([config]));
        following.reaches(node.chain().head()).await;
        for _ in 0..3 {
            following.reaches(&node.mine(1)[0]).await;
        }
        assert_eq!(
            (node.count("eth_subscribe"), node.ws_connections()),
            (asked + 1, connections + 1)
        );
        assert_eq!(other.count("eth_subscribe"), 0);
        following.stop().await;
    }
}

/// A single endpoint is polled, because there is no other to follow. The log says so once, also while
/// nexum tries to follow the chain again and again.
#[tokio::test]
async fn a_lone_endpoint_that_refuses_subscriptions_is_polled() {
    let log = Log::default();
    let _guard = log.capture();
    let node = Node::start().await;
    node.on("eth_subscribe", |_| {
        Answer::error(-32_000, "subscriptions need an upgraded plan")
    });
    node.on("eth_getBlockByNumber", |_| Answer::error(-32_000, "out of order"));
    let following = Following::start(&chains(&node.ws_url()));
    node.until(|node| node.count("eth_subscribe") >= 3).await;
    node.restore("eth_getBlockByNumber");
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(3).last().unwrap()).await;
    let text = log.text();
    assert_eq!(text.matches("the endpoint announces no heads").count(), 1, "{text}");
}

#[tokio::test]
async fn an_announced_header_with_another_hash_is_a_hint() {
    let node = Node::start().await;
    node.announce_other_hashes();
    let following = Following::start(&chains(&node.ws_url()));
    following.reaches(node.chain().head()).await;
    node.until(|node| node.subscribers() == 1).await;
    for _ in 0..5 {
        following.reaches(&node.mine(1)[0]).await;
    }
    following.reaches(node.mine(20).last().unwrap()).await;
    assert!(following.reverts().is_empty());
    let canonical: Vec<_> = node.chain().canonical().iter().map(position).collect();
    assert_eq!(following.chain(), canonical);
}

#[tokio::test]
async fn binary_frames_are_read_as_text() {
    let node = Node::start().await;
    node.send_binary();
    let following = Following::start(&chains(&node.ws_url()));
    following.reaches(node.chain().head()).await;
    node.until(|node| node.subscribers() == 1).await;
    following.reaches(node.mine(3).last().unwrap()).await;
    assert_eq!(node.ws_connections(), 1);
}

#[tokio::test]
async fn a_connection_that_its_server_closes_is_no_warning_and_an_outage_is_one() {
    let log = Log::default();
    let _guard = log.capture();
    let mut node = Node::start().await;
    let following = Following::start(&chains(&node.ws_url()));
    following.reaches(node.chain().head()).await;
    for connections in 2..4 {
        node.drop_connections();
        node.until(|node| node.ws_connections() == connections && node.subscribers() == 1)
            .await;
        following.reaches(&node.mine(1)[0]).await;
    }
    let count = |level: &str, said: &str| {
        let text = log.text();
        text.lines()
            .filter(|line| line.contains(level) && line.contains(said))
            .count()
    };
    let failed = "the chain cannot be followed: nexum retries";
    assert_eq!(
        (count("WARN", failed), count("INFO", "nexum reconnects")),
        (0, 2),
        "{}",
        log.text()
    );
    node.stop().await;
    crate::support::soon(async {
        while count("DEBUG", "the chain can still not be followed") < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(count("WARN", failed), 1, "{}", log.text());
}

#[tokio::test]
async fn a_hostile_head_is_not_believed() {
    let node = Node::start().await;
    let following = Following::start(&chains(&node.ws_url()));
    let head = node.mine(2).pop().unwrap();
    following.reaches(&head).await;
    let mut far = head.to_json();
    far["number"] = json!("0xffffffffffffffff");
    let mut late = node.chain().head().to_json();
    late["number"] = json!("0x3");
    late["parentHash"] = late["hash"].clone();
    late["timestamp"] = json!("0xffffffffffffffff");
    let mut orphan = node.chain().head().to_json();
    orphan["number"] = json!("0x3");
    for hostile in [far, late, orphan, json!(null), json!("0x"), json!({ "number": -1 })] {
        let connections = node.ws_connections();
        node.announce_raw(&hostile);
        following.reaches(&node.mine(1)[0]).await;
        // Unreadable heads end a session. The next head must not be announced in the pause between
        // two sessions.
        node.until(|node| node.subscribers() == 1 && node.ws_connections() >= connections)
            .await;
    }
    let canonical: Vec<_> = node.chain().canonical().iter().map(position).collect();
    assert!(canonical.ends_with(&following.chain()), "{:?}", following.chain());
    assert!(following.reverts().is_empty());
}

#[tokio::test]
async fn nothing_is_taken_from_an_endpoint_that_has_become_one_of_another_chain() {
    for url in [Node::http_url, Node::ws_url] {
        let node = Node::start().await;
        let other = node.replica().await;
        let config = config_of(&[url(&node), url(&other)]);
        let following = Following::start(&Chains::new([config]));
        following.reaches(&node.mine(1)[0]).await;
        node.set_chain_id(1);
        let asked = node.count("eth_chainId");
        node.once("eth_getBlockByNumber", Answer::Drop);
        node.drop_connections();
        other.mine(1);
        node.until(|node| node.count("eth_chainId") > asked).await;
        // The other endpoint continues where the first one stopped.
        following.reaches(&other.mine(3)[2]).await;
        assert_eq!(following.chain().len(), 5);
    }
}

#[tokio::test]
async fn a_source_stops_at_once_whatever_it_is_waiting_for() {
    for url in [Node::http_url, Node::ws_url] {
        let mut node = Node::start().await;
        for method in ["eth_chainId", "eth_getBlockByNumber"] {
            node.on(method, |_| Answer::Hang);
            let calls = node.count(method);
            let following = Following::start(&chains(&url(&node)));
            node.until(|node| node.count(method) > calls).await;
            following.stop().await;
            node.restore(method);
        }
        let following = Following::start(&chains(&url(&node)));
        following.reaches(&node.mine(1)[0]).await;
        following.stop().await;

        node.stop().await;
        let following = Following::start(&chains(&url(&node)));
        tokio::task::yield_now().await;
        following.stop().await;
    }
}

#[tokio::test]
async fn what_a_module_asks_ends_no_subscription() {
    let node = Node::start().await;
    let mut config = config(&node.ws_url());
    config.response_bytes_max = 1_000_000;
    config.retries = 0;
    let chains = Chains::new([config]);
    let following = Following::start(&chains);
    following.reaches(&node.mine(1)[0]).await;
    node.once("eth_call", Answer::Huge { bytes: 2_000_000 });
    assert!(chains.request(CHAIN, "eth_call", "[]").await.is_err());
    following.reaches(&node.mine(1)[0]).await;
    assert_eq!((node.count("eth_subscribe"), node.subscribers()), (1, 1));
    following.stop().await;
}
