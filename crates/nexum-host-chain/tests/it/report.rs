//! The report of a chain: its head, its endpoints, and its trouble.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use nexum_core::source::{ChainLogs, EndpointReport, EndpointState, EventSource, SourceReport, Trouble};
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl, metrics as names};
use nexum_testing::{Answer, Counts, Node, Record, Records, WAIT_MAX};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{CHAIN, Following, chains, config, config_of, soon};

fn source(chains: &Chains) -> Arc<dyn EventSource> {
    chains.source(CHAIN).unwrap()
}

/// Waits until the report fulfils a condition.
async fn until(chains: &Chains, is_it: impl Fn(&SourceReport) -> bool) -> SourceReport {
    let source = source(chains);
    let reached = async {
        loop {
            let report = source.report();
            if is_it(&report) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = tokio::time::timeout(WAIT_MAX, reached).await;
    limit.unwrap_or_else(|_| panic!("not reported: {:#?}", source.report()))
}

/// Waits until a gauge of the chain has this value.
async fn gauge_is(counts: &Counts, name: &str, value: f64) {
    soon(async {
        while counts.gauge(name, &["chain=11155111"]) != Some(value) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Waits for a record whose message contains this part.
async fn found(records: &Records, part: &str) -> Record {
    loop {
        match records.find(part) {
            Some(record) => return record,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn is_in_use(endpoint: &EndpointReport) -> bool {
    matches!(endpoint.state, EndpointState::InUse { .. })
}

#[tokio::test]
async fn an_unused_chain_reports_nothing_that_nexum_does_not_know() {
    let node = Node::start().await;
    let report = source(&chains(&node.http_url())).report();
    assert_eq!((report.head, report.following, report.trouble), (None, None, None));
    let [endpoint] = &*report.endpoints else { panic!() };
    assert_eq!(endpoint.label, node.http_url());
    assert_eq!(endpoint.state, EndpointState::Untested);
    assert_eq!(
        (endpoint.latency, endpoint.error_rate, endpoint.budget),
        (None, None, None)
    );
    assert_eq!((endpoint.requests, endpoint.errors), (0, 0));
    assert_eq!(endpoint.last_error, None);
}

#[tokio::test]
async fn a_followed_chain_reports_its_head_and_the_use_of_its_endpoints() {
    let node = Node::start().await;
    let other = node.replica().await;
    node.mine(5);
    for (url, is_pushed) in [(Node::http_url as fn(&Node) -> String, false), (Node::ws_url, true)] {
        let chains = Chains::new([config_of(&[url(&node), url(&other)])]);
        let following = Following::start(&chains);
        let head = node.mine(1).pop().unwrap();
        following.reaches(&head).await;
        let report = until(&chains, |report| {
            report.following.is_some()
                && report
                    .head
                    .is_some_and(|head| head.number == node.chain().head().number)
                && matches!(report.endpoints[1].state, EndpointState::Standby { .. })
        })
        .await;
        let seen = report.head.unwrap();
        assert_eq!((seen.hash, seen.timestamp_ms), (head.hash, head.timestamp_s * 1_000));
        assert!(seen.seen_ms > seen.timestamp_ms);
        let followed = report.following.clone().unwrap();
        assert_eq!((followed.endpoint, followed.is_pushed), (url(&node), is_pushed));
        assert_eq!(report.trouble, None);
        assert!(is_in_use(&report.endpoints[0]), "{report:?}");
        assert_eq!(
            report.endpoints.iter().map(|one| one.priority).collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!((report.follow_failovers, report.request_failovers), (0, 0));
        following.stop().await;
    }
}

#[tokio::test]
async fn a_chain_whose_endpoints_are_all_down_for_a_minute_is_in_trouble_until_a_head_arrives() {
    let mut node = Node::start().await;
    let mut other = node.replica().await;
    node.mine(5);
    let (records, _guard) = Records::capture();
    let counts = Counts::default();
    let config = config_of(&[node.http_url(), other.http_url()]);
    let chains = metrics::with_local_recorder(&counts, || Chains::new([config]));
    let following = Following::start(&chains);
    following.reaches(node.chain().head()).await;
    until(&chains, |report| {
        matches!(report.endpoints[1].state, EndpointState::Standby { .. })
    })
    .await;
    assert!(
        until(&chains, |report| report.following.is_some())
            .await
            .trouble
            .is_none()
    );
    let chain = "chain=11155111";
    gauge_is(&counts, names::UP, 1.0).await;

    node.stop().await;
    other.stop().await;
    let report = until(&chains, |report| report.trouble.is_some()).await;
    let Trouble {
        text,
        since_ms,
        next_try_ms,
    } = report.trouble.unwrap();
    let failure = "the endpoint cannot be reached: connection refused";
    let [one, two] = [&node, &other].map(|node| format!("{}: {failure}", node.http_url()));
    assert_eq!(&*text, format!("2 of 2 endpoints down: {one}; {two}"));
    // Every later answer has the begin of the first one.
    let again = source(&chains).trouble().unwrap();
    assert_eq!(again.since_ms, since_ms);
    let until_ms = next_try_ms.or(again.next_try_ms).unwrap();
    assert!(until_ms.saturating_sub(since_ms) < 20_000, "{until_ms}");
    assert!(since_ms >= report.head.unwrap().seen_ms, "{since_ms}");
    assert_eq!(report.following, None);
    for endpoint in &report.endpoints {
        let EndpointState::Rested { reason, until_ms } = &endpoint.state else {
            panic!("{endpoint:?}");
        };
        assert_eq!(&*reason.text, "the endpoint cannot be reached: connection refused");
        assert!(*until_ms > reason.since_ms, "{endpoint:?}");
        assert_eq!(endpoint.last_error.as_ref().unwrap().text, &*reason.text);
    }
    gauge_is(&counts, names::UP, 0.0).await;
    for endpoint in &report.endpoints {
        let endpoint = format!("endpoint={}", endpoint.label);
        assert_eq!(counts.gauge(names::ENDPOINT_UP, &[chain, &endpoint]), Some(0.0));
        assert_eq!(counts.gauge(names::ENDPOINT_FOLLOWING, &[chain, &endpoint]), Some(0.0));
    }
    node.restart().await;
    other.restart().await;
    let report = until(&chains, |report| report.following.is_some()).await;
    assert_eq!(report.trouble, None);
    following.reaches(node.mine(2).last().unwrap()).await;
    following.stop().await;

    let all = records.all();
    let of = |message: &str| all.iter().filter(|record| record.message.contains(message)).count();
    assert_eq!(of("the chain cannot be followed: nexum retries until it can"), 1);
    assert_eq!(of("the chain can be followed again: the outage is over"), 1);
    let warning = records.find("the chain cannot be followed: nexum").unwrap();
    assert_eq!(warning.fields["endpoints"], "2");
    assert!(warning.fields["endpoint"].contains("127.0.0.1:"), "{warning:?}");
}

#[tokio::test]
async fn a_lost_connection_that_reconnects_is_no_trouble() {
    let node = Node::start().await;
    node.mine(5);
    let chains = chains(&node.ws_url());
    let following = Following::start(&chains);
    following.reaches(node.chain().head()).await;
    for _ in 0..3 {
        node.drop_connections();
        following.reaches(node.mine(1).last().unwrap()).await;
        assert_eq!(source(&chains).trouble(), None);
    }
}

#[tokio::test]
async fn a_chain_that_no_module_follows_is_in_trouble_too() {
    let mut node = Node::start().await;
    node.stop().await;
    let chains = chains(&node.http_url());
    let (records, _guard) = Records::capture();
    let (source, stop) = (source(&chains), CancellationToken::new());
    let mut task = JoinSet::new();
    let its_stop = stop.clone();
    task.spawn(async move { source.follow(&ChainLogs::new(CHAIN), &its_stop).await });
    let trouble = until(&chains, |report| report.trouble.is_some()).await.trouble.unwrap();
    let expected = format!(
        "1 of 1 endpoints down: {}: the endpoint cannot be reached",
        node.http_url()
    );
    assert!(trouble.text.starts_with(&expected), "{trouble:?}");
    let warning = soon(found(&records, "the chain cannot be read: nexum retries until it can")).await;
    assert!(warning.fields["reason"].contains(&node.http_url()), "{warning:?}");
    node.restart().await;
    until(&chains, |report| report.trouble.is_none()).await;
    soon(found(&records, "the chain can be read again: the outage is over")).await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_trouble() {
    let node = Node::start().await;
    node.on("*", |_| Answer::Hang);
    let mut config = config(&node.http_url());
    config.request_timeout_ms = 200;
    let chains = Chains::new([config]);
    let following = Following::start(&chains);
    let trouble = until(&chains, |report| report.trouble.is_some()).await.trouble.unwrap();
    let expected = format!(
        "1 of 1 endpoints down: {}: the endpoint did not answer within 200 ms",
        node.http_url()
    );
    assert_eq!(&*trouble.text, expected);
    following.stop().await;
}

#[tokio::test]
async fn a_chain_that_an_endpoint_cannot_serve_names_the_endpoint_and_the_request() {
    let node = Node::start().await;
    node.mine(5);
    node.on("eth_getBlockByNumber", |_| Answer::error(-32_000, "no such\nmethod"));
    let chains = chains(&node.http_url());
    let following = Following::start(&chains);
    let trouble = until(&chains, |report| report.trouble.is_some()).await.trouble.unwrap();
    let expected = format!(
        "cannot be followed: 0 of 1 endpoints down: {}: eth_getBlockByNumber: no such\\nmethod",
        node.http_url()
    );
    assert_eq!(&*trouble.text, expected);
    following.stop().await;
}

#[tokio::test]
async fn a_failover_is_counted_and_the_failed_endpoint_has_its_reason() {
    let mut node = Node::start().await;
    let other = node.replica().await;
    node.mine(5);
    for one in [&node, &other] {
        one.on("eth_call", |_| Answer::Result(json!("0x")));
    }
    let counts = Counts::default();
    let config = config_of(&[node.http_url(), other.http_url()]);
    let chains = metrics::with_local_recorder(&counts, || Chains::new([config]));
    node.once("eth_call", Answer::status(503));
    chains.request(CHAIN, "eth_call", "[]").await.unwrap();
    let following = Following::start(&chains);
    following.reaches(node.chain().head()).await;
    node.stop().await;
    let is_changed = |report: &SourceReport| {
        let followed = report.following.as_ref();
        followed.is_some_and(|followed| followed.endpoint == other.http_url())
    };
    let report = until(&chains, is_changed).await;
    assert_eq!((report.follow_failovers, report.request_failovers), (1, 1));
    assert_eq!(report.trouble, None);
    assert!(is_in_use(&report.endpoints[1]), "{report:#?}");
    let EndpointState::Rested { reason, .. } = &report.endpoints[0].state else {
        panic!("{report:#?}");
    };
    assert_eq!(&*reason.text, "the endpoint cannot be reached: connection refused");
    let chain = "chain=11155111";
    assert_eq!(counts.sum(names::FOLLOW_FAILOVERS, &[chain]), 1);
    let [first, second] = [&node, &other].map(|node| format!("endpoint={}", node.http_url()));
    assert_eq!(counts.gauge(names::ENDPOINT_FOLLOWING, &[chain, &first]), Some(0.0));
    assert_eq!(counts.gauge(names::ENDPOINT_FOLLOWING, &[chain, &second]), Some(1.0));
    assert_eq!(counts.gauge(names::ENDPOINT_UP, &[chain, &first]), Some(0.0));
    assert_eq!(counts.gauge(names::ENDPOINT_UP, &[chain, &second]), Some(1.0));
    following.stop().await;
}

#[tokio::test]
async fn a_slow_endpoint_shows_its_latency_errors_and_budget() {
    let node = Node::start().await;
    node.set_delay(Duration::from_millis(60));
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    endpoint.requests_per_second = NonZeroU32::new(25);
    let mut config = ChainConfig::new(CHAIN, endpoint);
    config.retries = 0;
    let chains = Chains::new([config]);
    node.on("eth_call", |_| Answer::error(-32_000, "out of order"));
    for _ in 0..3 {
        chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
    }
    chains.request(CHAIN, "eth_call", "[]").await.unwrap_err();
    let endpoint = source(&chains).report().endpoints.pop().unwrap();
    let latency = endpoint.latency.unwrap();
    let least = Duration::from_millis(60);
    assert!(latency.p50 >= least && latency.p99 >= latency.p50, "{latency:?}");
    assert_eq!(latency.count, 4);
    assert_eq!((endpoint.requests, endpoint.errors), (4, 1));
    assert_eq!(endpoint.error_rate, Some(0.25));
    assert_eq!(endpoint.last_error.unwrap().text, "out of order");
    let budget = endpoint.budget.unwrap();
    assert_eq!(budget.requests_per_second, 25);
    assert!(budget.available >= 21, "{budget:?}");
    let restored = |report: &SourceReport| report.endpoints[0].budget.unwrap().available == 25;
    until(&chains, restored).await;
}

#[tokio::test]
async fn an_endpoint_that_rests_waits_or_serves_another_chain_says_so() {
    let node = Node::start().await;
    node.set_chain_id(5);
    let wrong = chains(&node.http_url());
    wrong.request(CHAIN, "eth_blockNumber", "[]").await.unwrap_err();
    let endpoint = source(&wrong).report().endpoints.pop().unwrap();
    let EndpointState::WrongChain { reason, until_ms } = endpoint.state else {
        panic!("{endpoint:?}");
    };
    assert_eq!(&*reason.text, "the endpoint serves chain 5, not chain 11155111");
    assert!(until_ms > reason.since_ms);

    let node = Node::start().await;
    let slow = chains(&node.http_url());
    node.once(
        "eth_blockNumber",
        Answer::Status {
            status: 429,
            retry_after: Some(1),
            body: "slower, please".to_owned(),
        },
    );
    let asked = slow.request(CHAIN, "eth_blockNumber", "[]");
    let seen = until(&slow, |report| {
        matches!(report.endpoints[0].state, EndpointState::Paused { .. })
    });
    let (asked, seen) = tokio::join!(asked, seen);
    asked.unwrap();
    let EndpointState::Paused { reason, until_ms } = &seen.endpoints[0].state else {
        panic!();
    };
    assert!(reason.text.contains("HTTP status 429: slower, please"), "{reason:?}");
    assert!(
        (900..=1_100).contains(&(until_ms - reason.since_ms)),
        "{reason:?} {until_ms}"
    );
}
