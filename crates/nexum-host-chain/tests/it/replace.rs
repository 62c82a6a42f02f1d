//! Another configuration for chains that are in use.

use std::num::NonZeroU32;

use nexum_config::hint::Hint as _;
use nexum_config::topic::Finality;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::source::{EndpointState, SourceReport};
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl, HttpHeaders, ReplaceError};
use nexum_testing::{Answer, Node};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{CHAIN, Following, config, config_of, soon};
use crate::wanted::{check_logs, filters, node_with_logs};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

fn report(chains: &Chains) -> SourceReport {
    chains.source(CHAIN).unwrap().report()
}

fn replace(chains: &Chains, config: ChainConfig) {
    chains.replace([config]).unwrap().commit();
}

/// Waits until nexum follows the chain over this endpoint.
async fn follows(chains: &Chains, label: &str) {
    let source = chains.source(CHAIN).unwrap();
    soon(async {
        while source
            .report()
            .following
            .is_none_or(|followed| followed.endpoint != label)
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn other_endpoints_continue_without_a_lost_or_a_repeated_block() {
    for url in URLS {
        let node = node_with_logs(10).await;
        let other = node.replica().await;
        let chains = Chains::new([config(&url(&node))]);
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        for round in 0..6 {
            let (from, to) = match round % 2 {
                0 => (&node, &other),
                _ => (&other, &node),
            };
            // Some of the blocks arrive before the change, and some after it.
            node.mine(3);
            replace(&chains, config(&url(to)));
            following.reaches(node.mine(3).last().unwrap()).await;
            follows(&chains, &url(to)).await;
            let before = from.count("eth_getBlockByNumber");
            following.reaches(node.mine(3).last().unwrap()).await;
            assert_eq!(from.count("eth_getBlockByNumber"), before);
        }
        check_logs(&node, &following);
        assert!(following.reverts().is_empty());
        let numbers: Vec<u64> = following.chain().iter().map(|block| block.number).collect();
        let first = numbers[0];
        let expected: Vec<u64> = (first..=node.chain().head().number).collect();
        assert_eq!(numbers, expected);
        assert_eq!(report(&chains).follow_failovers, 6);
        assert_eq!(chains.source(CHAIN).unwrap().describe(), url(&node));
        following.stop().await;
    }
}

#[tokio::test]
async fn a_wait_for_the_chain_goes_on_at_the_new_endpoints() {
    let mut dead = Node::start().await;
    let node = dead.replica().await;
    dead.stop().await;
    for url in URLS {
        let config = |node: &Node| {
            let mut config = config(&url(node));
            config.startup_timeout_ms = 3_600_000;
            config
        };
        let chains = Chains::new([config(&dead)]);
        let source = chains.source(CHAIN).unwrap();
        let change = async {
            // The wait has begun. An attempt does not wait.
            source.attempt().await;
            let trouble = source.trouble().map(|trouble| trouble.text.to_string());
            let expected = format!("1 of 1 endpoints down: {}: ", url(&dead));
            assert!(
                trouble.as_ref().is_some_and(|text| text.starts_with(&expected)),
                "{trouble:?}"
            );
            replace(&chains, config(&node));
            assert_eq!(source.trouble(), None);
        };
        let (ready, ()) = soon(async { tokio::join!(source.ready(), change) }).await;
        ready.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_of_both_configurations_keeps_its_connection_health_and_counters() {
    let mut dead = Node::start().await;
    let node = dead.replica().await;
    let added = node.replica().await;
    dead.stop().await;
    node.on("eth_call", |_| Answer::Result(json!("0x")));
    let urls = [dead.ws_url(), node.ws_url()];
    let chains = Chains::new([config_of(&urls)]);
    let following = Following::start(&chains);
    following.reaches(node.mine(2).last().unwrap()).await;
    chains.request(CHAIN, "eth_call", "[]").await.unwrap();
    follows(&chains, &node.ws_url()).await;
    let (before, connections) = (report(&chains), node.ws_connections());

    let mut changed = config_of(&[dead.ws_url(), node.ws_url(), added.ws_url()]);
    changed.retries = 7;
    changed.poll_interval_ms = 20;
    replace(&chains, changed);
    following.reaches(node.mine(2).last().unwrap()).await;
    follows(&chains, &node.ws_url()).await;
    chains.request(CHAIN, "eth_call", "[]").await.unwrap();
    assert_eq!(node.ws_connections(), connections);
    let after = report(&chains);
    assert_eq!(after.endpoints.len(), 3);
    for (before, after) in before.endpoints.iter().zip(&after.endpoints) {
        assert_eq!(before.label, after.label);
        assert!(after.requests >= before.requests, "{before:?} {after:?}");
    }
    assert!(after.endpoints[1].requests > before.endpoints[1].requests);
    // The dead endpoint is known to be dead.
    let state = |report: &SourceReport| std::mem::discriminant(&report.endpoints[0].state);
    assert_eq!(state(&after), state(&before));
    following.stop().await;
}

#[tokio::test]
async fn an_endpoint_with_another_path_has_no_failures_of_the_old_one() {
    let mut node = Node::start().await;
    node.stop().await;
    for url in URLS {
        let chains = Chains::new([config(&format!("{}/old", url(&node)))]);
        let following = Following::start(&chains);
        soon(async {
            while report(&chains).trouble.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let before = report(&chains).endpoints[0].clone();
        assert!(before.errors > 0, "{before:?}");
        assert!(matches!(before.state, EndpointState::Rested { .. }), "{before:?}");
        replace(&chains, config(&format!("{}/new", url(&node))));
        let after = report(&chains).endpoints[0].clone();
        assert_eq!(
            (&after.label, after.errors, &after.last_error),
            (&before.label, 0, &None)
        );
        assert_eq!(after.state, EndpointState::Untested);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_request_in_flight_ends_at_the_endpoint_at_which_it_began() {
    let node = Node::start().await;
    let other = node.replica().await;
    for (place, node) in [&node, &other].into_iter().enumerate() {
        node.on("eth_call", move |_| Answer::Result(json!(place)));
    }
    node.set_delay(std::time::Duration::from_millis(100));
    let chains = Chains::new([config(&node.http_url())]);
    let mut asking = JoinSet::new();
    let clone = chains.clone();
    asking.spawn(async move { clone.request(CHAIN, "eth_call", "[1]").await });
    node.until(|node| node.http_requests() > 1).await;
    replace(&chains, config(&other.http_url()));
    assert_eq!(chains.request(CHAIN, "eth_call", "[2]").await.unwrap(), "1");
    assert_eq!(soon(asking.join_next()).await.unwrap().unwrap().unwrap(), "0");
}

#[tokio::test]
async fn a_change_that_needs_a_restart_is_refused_before_anything_changes() {
    let node = Node::start().await;
    let other = node.replica().await;
    let chains = Chains::new([config(&node.http_url()), ChainConfig::new(1, url(&node.http_url()))]);
    let mut changed = config(&other.http_url());
    changed.reorg_depth_max = 64;
    let new = ChainConfig::new(5, url(&node.http_url()));
    let errors = chains.replace([changed, new]).unwrap_err();
    let expected = [
        ReplaceError::Removed { chain_id: 1 },
        ReplaceError::Added { chain_id: 5 },
        ReplaceError::Fixed {
            chain_id: CHAIN,
            key: "reorg_depth_max",
            before: "128".to_owned(),
            after: "64".to_owned(),
        },
    ];
    assert_eq!(errors, expected);
    assert_eq!(
        errors[2].to_string(),
        "chains.11155111.reorg_depth_max cannot change from 128 to 64 while nexum runs"
    );
    assert!(
        errors
            .iter()
            .all(|error| error.hint().unwrap().starts_with("restart nexum"))
    );
    assert_eq!(chains.source(CHAIN).unwrap().describe(), node.http_url());
}

fn url(text: &str) -> EndpointUrl {
    EndpointUrl::parse(text).unwrap()
}

#[tokio::test]
async fn a_prepared_change_takes_effect_when_it_is_committed_and_excludes_others() {
    let node = Node::start().await;
    node.on("debug_traceCall", |_| Answer::Result(json!("traced")));
    let chains = Chains::new([config(&node.http_url())]);
    let mut changed = config(&node.http_url());
    changed.extra_methods.insert("debug_traceCall".to_owned());
    let ask = || chains.request(CHAIN, "debug_traceCall", "[]");
    let denied = async || assert_eq!(ask().await.unwrap_err().to_host_error().kind, HostErrorKind::Denied);

    let prepared = chains.replace([changed.clone()]).unwrap();
    denied().await;
    assert_eq!(chains.replace([changed.clone()]).unwrap_err(), [ReplaceError::Busy]);
    drop(prepared);
    denied().await;
    chains.replace([changed.clone()]).unwrap().commit();
    assert_eq!(ask().await.unwrap(), "\"traced\"");
    let prepared = chains.replace([changed]).unwrap();
    assert_eq!(prepared.changes(), &[] as &[String]);
}

#[tokio::test]
async fn the_changes_are_named_without_secrets() {
    let endpoint = |address: &str, priority, key: &str| {
        let mut endpoint = EndpointConfig::from(url(address));
        endpoint.priority = priority;
        endpoint.headers = HttpHeaders::new(&[("x-api-key".to_owned(), key.to_owned())].into()).unwrap();
        endpoint
    };
    let before = ChainConfig::new(1, endpoint("https://one.example/secret-key-1", 0, "secret-header-1"))
        .with_endpoint(endpoint("https://two.example/secret-key-2", 1, "secret-header-2"));
    let mut kept = endpoint("https://one.example/secret-key-1", 3, "secret-header-3");
    kept.requests_per_second = NonZeroU32::new(25);
    let mut after =
        ChainConfig::new(1, kept).with_endpoint(endpoint("wss://three.example/secret-key-3", 1, "secret-4"));
    after.retries = 5;
    after.use_proxy = true;
    let chains = Chains::new([before]);
    let prepared = chains.replace([after]).unwrap();
    assert_eq!(
        prepared.changes(),
        [
            "chains.1.retries: 3 -> 5",
            "chains.1.use_proxy: false -> true",
            "chains.1.endpoints: https://two.example:443 removed",
            "chains.1.endpoints: https://one.example:443: priority: 0 -> 3",
            "chains.1.endpoints: https://one.example:443: requests_per_second: none -> 25",
            "chains.1.endpoints: https://one.example:443: headers: {\"x-api-key\"} -> {\"x-api-key\"} with other values",
            "chains.1.endpoints: wss://three.example:443 added",
        ]
    );
    assert!(!format!("{prepared:?}").contains("secret-"));
    prepared.commit();
    let labels: Vec<_> = chains
        .endpoints(1)
        .unwrap()
        .all()
        .iter()
        .map(|one| one.label().to_owned())
        .collect();
    assert_eq!(labels, ["https://one.example:443", "wss://three.example:443"]);
}

#[tokio::test]
async fn an_endpoint_keeps_its_label_when_another_one_of_its_host_is_removed() {
    let chains = Chains::new([config_of(&["https://a/key-1", "https://a/key-2"].map(str::to_owned))]);
    let labels = || -> Vec<String> {
        let endpoints = chains.endpoints(CHAIN).unwrap();
        endpoints.all().iter().map(|one| one.label().to_owned()).collect()
    };
    assert_eq!(labels(), ["https://a:443", "https://a:443#2"]);
    replace(
        &chains,
        config_of(&["https://a/key-2", "https://a/key-3"].map(str::to_owned)),
    );
    assert_eq!(labels(), ["https://a:443#2", "https://a:443"]);
}
