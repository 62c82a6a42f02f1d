//! Several endpoints of one chain: the choice between them.

use std::sync::Arc;
use std::time::Duration;

use nexum_host_chain::{BLOCKS_BEHIND_MAX, ChainConfig, Endpoint, Endpoints};
use nexum_testing::{Answer, Call, Node, Transport};
use serde_json::json;
use tokio::task::JoinSet;

use crate::captured::Log;
use crate::support::{CHAIN, config_of, request, soon};

/// A primary and a secondary that answer `eth_call` with their index.
async fn pair() -> [Node; 2] {
    let nodes = [Node::start().await, Node::start().await];
    for (place, node) in nodes.iter().enumerate() {
        node.on("eth_call", move |_| Answer::Result(json!(place)));
    }
    nodes
}

/// The pair's configuration over http, and over ws.
fn configs(nodes: &[Node; 2]) -> [ChainConfig; 2] {
    [Node::http_url, Node::ws_url].map(|url| config_of(&nodes.iter().map(url).collect::<Vec<_>>()))
}

/// The index of the endpoint that answers.
async fn asked(endpoints: &Endpoints) -> usize {
    let answer = endpoints.request(&request("eth_call", "[]")).await.unwrap();
    answer.get().parse().unwrap()
}

fn preferred(endpoints: &Endpoints) -> usize {
    let preferred = endpoints.preferred();
    endpoints
        .all()
        .iter()
        .position(|one| Arc::ptr_eq(one, &preferred))
        .unwrap()
}

fn one(endpoints: &Endpoints, place: usize) -> &Endpoint {
    &endpoints.all()[place]
}

/// Tends the endpoints until the result is dropped.
fn tended(endpoints: &Arc<Endpoints>) -> JoinSet<()> {
    let endpoints = Arc::clone(endpoints);
    let mut task = JoinSet::new();
    task.spawn(async move { endpoints.tend().await });
    task
}

#[tokio::test]
async fn the_primary_is_left_when_it_is_down_and_gone_back_to() {
    let mut nodes = pair().await;
    for config in configs(&nodes) {
        let endpoints = Arc::new(Endpoints::new(&config));
        let _tended = tended(&endpoints);
        assert_eq!(asked(&endpoints).await, 0);
        nodes[0].stop().await;
        soon(async { while asked(&endpoints).await != 1 {} }).await;
        assert_eq!(preferred(&endpoints), 1);
        nodes[0].restart().await;
        soon(endpoints.changed(one(&endpoints, 1))).await;
        assert_eq!(preferred(&endpoints), 0);
        assert_eq!(asked(&endpoints).await, 0);
    }
}

#[tokio::test]
async fn requests_go_back_to_the_primary_when_nobody_probes_it() {
    let mut nodes = pair().await;
    for config in configs(&nodes) {
        let endpoints = Endpoints::new(&config);
        nodes[0].stop().await;
        assert_eq!(asked(&endpoints).await, 1);
        nodes[0].restart().await;
        soon(async {
            while asked(&endpoints).await != 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_at_the_first_connect_is_passed_over() {
    let mut nodes = pair().await;
    nodes[0].stop().await;
    for config in configs(&nodes) {
        let endpoints = Endpoints::new(&config);
        endpoints.ready().await.unwrap();
        assert_eq!(asked(&endpoints).await, 1);
        assert_eq!(preferred(&endpoints), 1);
    }
}

#[tokio::test]
async fn a_primary_that_hangs_is_passed_over_and_not_asked_again() {
    let nodes = pair().await;
    nodes[0].on("eth_call", |_| Answer::Hang);
    for mut config in configs(&nodes) {
        config.request_timeout_ms = 250;
        let endpoints = Endpoints::new(&config);
        let before = nodes[0].count("eth_call");
        for _ in 0..3 {
            assert_eq!(asked(&endpoints).await, 1);
        }
        assert_eq!(nodes[0].count("eth_call") - before, 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_others_is_not_blamed_for_what_takes_long() {
    let nodes = pair().await;
    nodes[0].on("eth_call", |params| match params.get() {
        "[\"heavy\"]" => Answer::Hang,
        _ => Answer::Result(json!(0)),
    });
    for mut config in configs(&nodes) {
        config.request_timeout_ms = 500;
        config.retries = 0;
        let endpoints = Endpoints::new(&config);
        let heavy = request("eth_call", "[\"heavy\"]");
        let (heavy, light) = tokio::join!(endpoints.request(&heavy), asked(&endpoints));
        heavy.unwrap_err();
        assert_eq!(light, 0);
        assert_eq!(preferred(&endpoints), 0);
    }
}

#[tokio::test]
async fn one_that_is_rate_limited_is_left_alone_and_still_preferred_unless_that_takes_long() {
    // Time is real here, so only the first request is sure to meet a short pause.
    for (retry_after, requests, followed) in [(None, 1, 0), (Some(1), 1, 0), (Some(30), 3, 1)] {
        let nodes = pair().await;
        nodes[0].on("eth_call", move |_| Answer::Status {
            status: 429,
            retry_after,
            body: String::new(),
        });
        let endpoints = Endpoints::new(&configs(&nodes)[0]);
        for _ in 0..requests {
            assert_eq!(asked(&endpoints).await, 1);
        }
        assert_eq!(nodes[0].count("eth_call"), 1);
        assert_eq!(preferred(&endpoints), followed, "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_lone_endpoint_is_waited_for_as_long_as_it_asks() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Result(json!(0)));
    for (retry_after, seconds) in [(Some(1), 1), (None, 1)] {
        let endpoints = Endpoints::new(&config_of(&[node.http_url()]));
        let before = node.count("eth_call");
        node.once(
            "eth_call",
            Answer::Status {
                status: 429,
                retry_after,
                body: String::new(),
            },
        );
        let began = tokio::time::Instant::now();
        assert_eq!(asked(&endpoints).await, 0);
        assert!(began.elapsed() >= Duration::from_secs(seconds));
        assert_eq!(node.count("eth_call") - before, 2);
    }
}

#[tokio::test]
async fn a_pause_that_takes_longer_than_a_request_may_is_not_waited_for() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Status {
        status: 429,
        retry_after: Some(u64::MAX),
        body: String::new(),
    });
    let mut config = config_of(&[node.http_url()]);
    config.request_timeout_ms = 1_000;
    let endpoints = Endpoints::new(&config);
    for _ in 0..2 {
        let error = soon(endpoints.request(&request("eth_call", "[]"))).await.unwrap_err();
        assert_eq!(error.to_host_error().code, 429);
    }
    assert_eq!(node.count("eth_call"), 1);
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_named_once_and_not_used() {
    let log = Log::default();
    let _guard = log.capture();
    let nodes = pair().await;
    nodes[0].set_chain_id(5);
    for config in configs(&nodes) {
        let before = log.text().len();
        let endpoints = Arc::new(Endpoints::new(&config));
        let _tended = tended(&endpoints);
        for _ in 0..5 {
            assert_eq!(asked(&endpoints).await, 1);
        }
        let text = log.text()[before..].to_owned();
        let named: Vec<_> = text
            .lines()
            .filter(|line| line.contains("serves another chain"))
            .collect();
        assert_eq!(named.len(), 1, "{text}");
        for part in ["ERROR", one(&endpoints, 0).label(), "expected=11155111", "actual=5"] {
            assert!(named[0].contains(part), "{named:?}");
        }
    }
    assert_eq!(nodes[0].count("eth_call"), 0);
}

#[tokio::test]
async fn an_endpoint_that_comes_back_as_another_chain_is_not_used() {
    for transport in 0..2 {
        let nodes = pair().await;
        let endpoints = Endpoints::new(&configs(&nodes)[transport]);
        assert_eq!(asked(&endpoints).await, 0);
        nodes[0].set_chain_id(5);
        // Over http, only a failure shows that another node may answer.
        nodes[0].once("eth_call", Answer::Drop);
        nodes[0].drop_connections();
        soon(async { while asked(&endpoints).await != 1 {} }).await;
        // After its rest, the endpoint is checked again, and serves another chain.
        let before = nodes[0].count("eth_call");
        soon(async {
            while !nodes[0].calls().ends_with(&[chain_id_call(transport)]) {
                assert_eq!(asked(&endpoints).await, 1);
            }
        })
        .await;
        for _ in 0..3 {
            assert_eq!(asked(&endpoints).await, 1);
        }
        assert_eq!(nodes[0].count("eth_call"), before);
    }
}

/// The first call of each connection.
fn chain_id_call(transport: usize) -> Call {
    Call {
        transport: [Transport::Http, Transport::Ws][transport],
        method: "eth_chainId".to_owned(),
        params: "[]".to_owned(),
    }
}

#[tokio::test]
async fn a_chain_is_ready_when_one_endpoint_is_and_says_why_none_is() {
    let mut nodes = pair().await;
    nodes[0].set_chain_id(5);
    for mut config in configs(&nodes) {
        Endpoints::new(&config).ready().await.unwrap();
        // Long enough for answers of both endpoints on a busy machine.
        config.startup_timeout_ms = 1_500;
        nodes[1].stop().await;
        let endpoints = Endpoints::new(&config);
        let labels = [0, 1].map(|place| one(&endpoints, place).label().to_owned());
        let error = endpoints.ready().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no endpoint of chain 11155111 could be used within 1500 ms: {}: the endpoint serves chain 5, not chain \
                 11155111; {}: the endpoint cannot be reached: connection refused",
                labels[0], labels[1]
            )
        );
        nodes[1].restart().await;
    }
}

#[tokio::test]
async fn the_start_waits_for_an_endpoint_that_is_not_up_yet() {
    let mut node = Node::start().await;
    for url in [node.http_url(), node.ws_url()] {
        node.stop().await;
        let endpoints = Endpoints::new(&config_of(&[url]));
        let (ready, ()) = tokio::join!(endpoints.ready(), node.restart());
        ready.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_far_behind_is_not_preferred_until_it_has_caught_up() {
    let nodes = pair().await;
    nodes[1].mine(BLOCKS_BEHIND_MAX + 1);
    let endpoints = Arc::new(Endpoints::new(&configs(&nodes)[0]));
    let _tended = tended(&endpoints);
    soon(endpoints.changed(one(&endpoints, 0))).await;
    assert_eq!(preferred(&endpoints), 1);
    assert_eq!(endpoints.by_preference().len(), 1);
    assert_eq!(asked(&endpoints).await, 1);

    endpoints.saw_head(one(&endpoints, 0), 1).await;
    assert_eq!(preferred(&endpoints), 0);
    assert_eq!(endpoints.by_preference().len(), 2);
}

/// `0x7fff...` is higher than any chain's head, but a valid encoding.
#[tokio::test]
async fn a_claimed_head_without_its_block_takes_no_other_endpoint_out_of_use() {
    for config in configs(&pair().await) {
        let liar = Node::start().await;
        let honest = Node::start().await;
        liar.on("eth_blockNumber", |_| Answer::Result(json!("0x7fffffffffffffff")));
        honest.mine(40);
        liar.mine(25);
        let urls = [&honest, &liar].map(|node| match config.endpoints()[0].url.to_string().starts_with("ws") {
            true => node.ws_url(),
            false => node.http_url(),
        });
        let endpoints = Arc::new(Endpoints::new(&config_of(&urls)));
        let _tended = tended(&endpoints);
        // A request for the block that would prove the claim.
        liar.until(|liar| liar.count("eth_getBlockByNumber") > 0).await;
        let asked = |node: &Node| {
            let calls = node
                .calls()
                .into_iter()
                .filter(|call| call.method == "eth_getBlockByNumber");
            calls.map(|call| call.params).collect::<Vec<_>>()
        };
        assert_eq!(asked(&liar), [r#"["0x39",false]"#]);
        assert!(asked(&honest).is_empty());
        endpoints.saw_head(one(&endpoints, 0), 40).await;
        assert_eq!(preferred(&endpoints), 0);
        assert_eq!(endpoints.by_preference().len(), 2);
    }
}

#[tokio::test]
async fn one_that_the_source_finds_at_fault_rests() {
    let nodes = pair().await;
    let endpoints = Endpoints::new(&configs(&nodes)[0]);
    endpoints.rest(one(&endpoints, 0), "it has stalled");
    assert_eq!(preferred(&endpoints), 1);
    soon(endpoints.changed(one(&endpoints, 0))).await;
    assert_eq!(asked(&endpoints).await, 1);
}

#[tokio::test]
async fn labels_tell_endpoints_of_one_host_apart() {
    let urls = [
        "https://a/key-1",
        "https://a/key-2",
        "wss://a",
        "https://b",
        "https://a",
    ]
    .map(str::to_owned);
    let endpoints = Endpoints::new(&config_of(&urls));
    let labels: Vec<_> = endpoints.all().iter().map(|one| one.label()).collect();
    assert_eq!(
        labels,
        [
            "https://a:443",
            "https://a:443#2",
            "wss://a:443",
            "https://b:443",
            "https://a:443#3"
        ]
    );
    let push: Vec<_> = endpoints.all().iter().map(|one| one.supports_push()).collect();
    assert_eq!(push, [false, false, true, false, false]);
}

#[tokio::test]
async fn of_equal_priority_the_first_is_used_and_whichever_works_is_kept() {
    let mut nodes = pair().await;
    let urls = nodes.each_ref().map(Node::http_url);
    let endpoint = nexum_host_chain::EndpointUrl::parse(&urls[1]).unwrap();
    let endpoints = Endpoints::new(&crate::support::config(&urls[0]).with_endpoint(endpoint));
    assert_eq!(asked(&endpoints).await, 0);
    nodes[0].stop().await;
    assert_eq!(asked(&endpoints).await, 1);
    nodes[0].restart().await;
    let over = tokio::time::Instant::now() + Duration::from_millis(1_100);
    while tokio::time::Instant::now() < over {
        assert_eq!(asked(&endpoints).await, 1);
    }
}

#[tokio::test]
async fn nothing_is_lost_to_a_limit_of_requests_per_second() {
    let nodes = pair().await;
    let mut endpoint =
        nexum_host_chain::EndpointConfig::from(nexum_host_chain::EndpointUrl::parse(&nodes[0].http_url()).unwrap());
    endpoint.requests_per_second = std::num::NonZeroU32::new(5);
    let endpoints = Endpoints::new(&ChainConfig::new(CHAIN, endpoint));
    let began = tokio::time::Instant::now();
    let calls = futures_util::future::join_all((0..11).map(|_| asked(&endpoints)));
    assert_eq!(calls.await, [0; 11]);
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "five at once, and five a second"
    );
    assert_eq!(nodes[0].count("eth_call"), 11);

    // Each call of a batch counts, and a batch above the limit of a second is split.
    let before = nodes[0].http_requests();
    let requests = vec![request("eth_call", "[]"); 7];
    let answers = endpoints.batch(&requests).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(nodes[0].http_requests() - before, 2);
}
