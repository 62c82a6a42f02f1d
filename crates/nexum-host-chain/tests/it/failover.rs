//! Endpoints that refuse with a JSON-RPC error of any code and text: nexum asks another one.

use std::sync::Arc;

use futures_util::future::join_all;
use nexum_config::topic::Finality;
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::source::Replay;
use nexum_host_chain::{Chains, Endpoints};
use nexum_testing::{Answer, Node};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::captured::Log;
use crate::support::{CHAIN, Following, config, config_of, soon};
use crate::wanted::{check_logs, filters, node_with_logs};

fn with_status(status: u16, code: i64, message: &str) -> Answer {
    Answer::ErrorStatus {
        status,
        code,
        message: message.to_owned(),
    }
}

fn in_plain_text(status: u16, body: &str) -> Answer {
    Answer::Status {
        status,
        retry_after: None,
        body: body.to_owned(),
    }
}

/// The refusals of endpoints: expired keys, used-up quotas, paywalls, and missing methods.
fn refusals() -> Vec<Answer> {
    vec![
        Answer::error(-32_000, "your plan has expired"),
        Answer::error(-32_000, "daily request count exceeded"),
        Answer::error(-32_001, "unauthorized"),
        Answer::error(-32_002, "resource unavailable"),
        Answer::error(-32_003, "project disabled"),
        Answer::error(-32_004, "not supported"),
        Answer::error(-32_005, "monthly capacity limit reached"),
        Answer::error(-32_600, "Must be authenticated!"),
        Answer::error(-32_601, "the method does not exist/is not available"),
        Answer::error(-32_602, "invalid project id"),
        Answer::error(-32_603, "internal error"),
        Answer::error(-32_701, "order a dedicated full node"),
        Answer::error(35, "not available on free plan"),
        Answer::error(0, ""),
        with_status(400, -32_600, "unsupported key"),
        with_status(401, -32_600, "Must be authenticated!"),
        with_status(402, -32_000, "payment required"),
        with_status(403, -32_000, "this origin is not allowed"),
        with_status(404, -32_601, "no such project"),
        with_status(429, -32_005, "Too Many Requests"),
        with_status(429, -32_029, "your compute units are used up"),
        with_status(451, -32_000, "not in your country"),
        with_status(500, -32_603, "internal error"),
        with_status(503, -32_000, "no backend available"),
        in_plain_text(400, "bad request"),
        in_plain_text(401, "Unauthorized"),
        in_plain_text(402, ""),
        in_plain_text(403, "<html><body>Attention Required!</body></html>"),
        in_plain_text(404, "404 page not found"),
        in_plain_text(429, "Too Many Requests"),
        in_plain_text(451, "blocked"),
        in_plain_text(500, "oops"),
        in_plain_text(503, "down for maintenance"),
    ]
}

/// A primary, and a second endpoint of its chain.
struct Pair {
    first: Node,
    second: Node,
    chains: Chains,
}

impl Pair {
    async fn start() -> Self {
        Self::start_over(Node::http_url).await
    }

    async fn start_over(url: fn(&Node) -> String) -> Self {
        let first = node_with_logs(30).await;
        let second = first.replica().await;
        for (place, node) in [&first, &second].into_iter().enumerate() {
            node.on("eth_call", move |_| Answer::Result(json!(place)));
        }
        let mut config = config_of(&[url(&first), url(&second)]);
        config.reorg_depth_max = 5;
        Self {
            first,
            second,
            chains: Chains::new([config]),
        }
    }

    fn endpoints(&self) -> Arc<Endpoints> {
        self.chains.endpoints(CHAIN).unwrap()
    }

    fn refuse(&self, method: &str, refusal: &Answer) {
        let refusal = refusal.clone();
        self.first.on(method, move |_| refusal.clone());
    }

    fn follow(&self) -> Following {
        Following::start_with(&self.chains, Finality::Latest, &filters())
    }

    /// The answer to a module's request, which names the endpoint.
    async fn asked(&self) -> Value {
        let answer = self.chains.request(CHAIN, "eth_call", "[]").await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Waits until the endpoint with this index is preferred.
    async fn prefers(&self, place: usize) {
        let endpoints = self.endpoints();
        soon(endpoints.changed(&endpoints.all()[1 - place])).await;
    }
}

/// The most attempts at an endpoint that refuses since `began`: each refusal starts a rest of at
/// least half a second.
fn tries_max(began: Instant) -> usize {
    1 + usize::try_from(began.elapsed().as_millis() / 500).unwrap()
}

/// Runs a check for every refusal concurrently.
async fn check(of_one: impl AsyncFn(Answer)) {
    join_all(refusals().into_iter().map(|refusal| of_one(refusal))).await;
}

async fn is_followed_from_the_start(url: fn(&Node) -> String) {
    check(async |refusal| {
        let pair = Pair::start_over(url).await;
        pair.refuse("*", &refusal);
        let following = pair.follow();
        following.reaches(pair.first.chain().head()).await;
        following.reaches(pair.first.mine(4).last().unwrap()).await;
        pair.prefers(1).await;
        check_logs(&pair.first, &following);

        // A probe succeeds, and nexum returns to the endpoint.
        pair.first.restore("*");
        pair.prefers(0).await;
        let before = pair.first.count("eth_getBlockByNumber");
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        pair.first
            .until(|node| node.count("eth_getBlockByNumber") > before)
            .await;
        check_logs(&pair.first, &following);
    })
    .await;
}

#[tokio::test]
async fn a_chain_is_followed_from_the_start_over_an_endpoint_that_does_not_refuse() {
    is_followed_from_the_start(Node::http_url).await;
}

#[tokio::test]
async fn a_chain_is_followed_from_the_start_over_an_endpoint_that_does_not_refuse_over_ws() {
    is_followed_from_the_start(Node::ws_url).await;
}

#[tokio::test]
async fn a_start_needs_one_endpoint_that_does_not_refuse() {
    check(async |refusal| {
        let pair = Pair::start().await;
        pair.refuse("*", &refusal);
        pair.endpoints().ready().await.unwrap();
        assert_eq!(pair.asked().await, json!(1), "{refusal:?}");
    })
    .await;
}

#[tokio::test]
async fn another_endpoint_is_followed_when_one_that_worked_refuses() {
    check(async |refusal| {
        let pair = Pair::start().await;
        let following = pair.follow();
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        assert_eq!(pair.second.count("eth_getBlockByNumber"), 0);
        pair.refuse("*", &refusal);
        following.reaches(pair.first.mine(8).last().unwrap()).await;
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        check_logs(&pair.first, &following);
    })
    .await;
}

fn is_no_method(refusal: &Answer) -> bool {
    match refusal {
        Answer::Error { code, .. } | Answer::ErrorStatus { code, .. } => matches!(code, -32_601 | -32_004),
        _ => false,
    }
}

/// The first endpoint refuses one of the methods that following needs.
async fn is_not_back_before_it_answers(url: fn(&Node) -> String, method: &str) {
    check(async |refusal| {
        let pair = Pair::start_over(url).await;
        if method == "eth_subscribe" && is_no_method(&refusal) {
            // nexum polls the endpoint.
            return;
        }
        pair.refuse(method, &refusal);
        let following = pair.follow();
        following.reaches(pair.first.chain().head()).await;
        following.reaches(pair.first.mine(8).last().unwrap()).await;
        pair.prefers(1).await;
        let before = pair.first.count(method);
        pair.first.until(|node| node.count(method) > before).await;
        let preferred = pair.endpoints().preferred();
        assert!(Arc::ptr_eq(&preferred, &pair.endpoints().all()[1]), "{refusal:?}");
        pair.first.restore(method);
        pair.prefers(0).await;
        following.reaches(pair.first.mine(4).last().unwrap()).await;
        check_logs(&pair.first, &following);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_blocks_is_not_back_before_it_answers() {
    is_not_back_before_it_answers(Node::http_url, "eth_getBlockByNumber").await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_logs_is_not_back_before_it_answers() {
    is_not_back_before_it_answers(Node::http_url, "eth_getLogs").await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_subscriptions_is_not_back_before_it_answers() {
    is_not_back_before_it_answers(Node::ws_url, "eth_subscribe").await;
}

#[tokio::test]
async fn a_read_that_one_endpoint_refuses_is_asked_of_another_and_the_first_is_still_followed() {
    check(async |refusal| {
        let pair = Pair::start().await;
        let following = pair.follow();
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        pair.refuse("eth_call", &refusal);
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(pair.asked().await, json!(1), "{refusal:?}");
        }
        assert!(pair.first.count("eth_call") <= tries_max(began), "{refusal:?}");
        pair.prefers(0).await;
        following.reaches(pair.first.mine(3).last().unwrap()).await;

        pair.first.on("eth_call", |_| Answer::Result(json!(0)));
        soon(async { while pair.asked().await != json!(0) {} }).await;
    })
    .await;
}

#[tokio::test]
async fn reads_of_a_batch_that_one_endpoint_refuses_are_asked_of_another() {
    check(async |refusal| {
        let pair = Pair::start().await;
        pair.refuse("eth_call", &refusal);
        let requests = [("eth_call", "[1]"), ("eth_blockNumber", "[]"), ("eth_call", "[2]")];
        let began = Instant::now();
        for _ in 0..10 {
            let answers = pair.chains.request_batch(CHAIN, &requests).await.unwrap();
            let expected = ["1", "\"0x1e\"", "1"].map(|answer| Ok(answer.to_owned()));
            assert_eq!(answers, expected, "{refusal:?}");
        }
        // Each batch has two calls. After a status for a batch, the first call and then both are
        // sent one by one.
        assert!(pair.first.count("eth_call") <= 3 * tries_max(began), "{refusal:?}");
    })
    .await;
}

/// The errors of nodes for pruned data.
const PRUNED: [(i64, &str); 4] = [
    (-32_000, "missing trie node 0123 (path )"),
    (4_444, "pruned history unavailable"),
    (-32_000, "archive requests need an upgraded plan"),
    (-32_602, "block is older than the retention window"),
];

#[tokio::test]
async fn what_an_endpoint_without_history_cannot_say_another_one_does() {
    for (code, text) in PRUNED {
        let pair = Pair::start().await;
        let following = pair.follow();
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        pair.first.on("eth_getBlockByNumber", move |params| {
            let params: Value = serde_json::from_str(params.get()).unwrap();
            let number = params[0]
                .as_str()
                .and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
            match number {
                Some(..20) => Answer::error(code, text),
                _ => Answer::Default,
            }
        });
        let source = pair.chains.source(CHAIN).unwrap();
        for _ in 0..3 {
            let wanted = Replay {
                numbers: 1..=10,
                blocks: true,
                filters: filters().into(),
            };
            let replayed = source.replay(&wanted).await.unwrap();
            assert_eq!(replayed.through.number, 10, "{text}");
        }
        let read = pair
            .chains
            .request(CHAIN, "eth_getBlockByNumber", r#"["0x5",false]"#)
            .await;
        assert!(read.unwrap().contains(r#""number":"0x5""#), "{text}");
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        pair.prefers(0).await;
        check_logs(&pair.first, &following);
    }
}

#[tokio::test]
async fn another_endpoint_says_how_far_the_chain_is_final_where_one_does_not_know_the_tag() {
    check(async |refusal| {
        let pair = Pair::start().await;
        pair.first.set_finality(2, 4);
        pair.first.on("eth_getBlockByNumber", move |params| {
            match params.get().contains("finalized") {
                true => refusal.clone(),
                false => Answer::Default,
            }
        });
        let following = Following::start_with(&pair.chains, Finality::Finalized, &filters());
        let head = pair.first.mine(8).last().unwrap().number;
        following.reaches(pair.first.chain().by_number(head - 4).unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn parameters_that_every_endpoint_calls_invalid_are_the_modules_fault() {
    let invalid = Answer::error(-32_602, "invalid argument 0");
    let pair = Pair::start().await;
    pair.refuse("eth_call", &invalid);
    pair.second.on("eth_call", {
        let invalid = invalid.clone();
        move |_| invalid.clone()
    });
    let error = pair
        .chains
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err()
        .to_host_error();
    assert_eq!((error.kind, error.code), (HostErrorKind::InvalidInput, -32_602));
    assert_eq!([pair.first.count("eth_call"), pair.second.count("eth_call")], [1, 1]);

    // A failing endpoint confirms nothing, and one that refuses everything counts as absent.
    for (other, kind) in [
        (Answer::status(503), HostErrorKind::Unavailable),
        (Answer::Drop, HostErrorKind::Unavailable),
        (Answer::status(401), HostErrorKind::InvalidInput),
    ] {
        pair.second.on("eth_call", move |_| other.clone());
        let error = pair.chains.request(CHAIN, "eth_call", "[1]").await.unwrap_err();
        assert_eq!(error.to_host_error().kind, kind, "{error:?}");
    }

    let lone = Chains::new([config(&pair.first.http_url())]);
    let before = pair.first.count("eth_call");
    let error = lone.request(CHAIN, "eth_call", "[]").await.unwrap_err().to_host_error();
    assert_eq!(error.kind, HostErrorKind::InvalidInput);
    assert_eq!(pair.first.count("eth_call") - before, 1);
}

#[tokio::test]
async fn nonsense_of_a_module_puts_no_endpoint_to_rest() {
    for answer in [
        Answer::error(-32_602, "invalid argument 0"),
        Answer::error(-32_000, "out of gas"),
        Answer::status(400),
        with_status(500, -32_603, "method handler crashed"),
    ] {
        let pair = Pair::start().await;
        for (place, node) in [&pair.first, &pair.second].into_iter().enumerate() {
            let answer = answer.clone();
            node.on("eth_call", move |params| match params.get() {
                r#"["nonsense"]"# => answer.clone(),
                _ => Answer::Result(json!(place)),
            });
        }
        let following = pair.follow();
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        for _ in 0..2 {
            let nonsense = pair.chains.request(CHAIN, "eth_call", r#"["nonsense"]"#).await;
            nonsense.unwrap_err();
            assert_eq!(pair.asked().await, json!(0), "{answer:?}");
            assert!(
                Arc::ptr_eq(&pair.endpoints().preferred(), &pair.endpoints().all()[0]),
                "{answer:?}"
            );
        }
        following.reaches(pair.first.mine(3).last().unwrap()).await;
        assert_eq!(pair.second.count("eth_getBlockByNumber"), 0, "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_logged_once_with_its_method_and_text_and_so_is_its_end() {
    let log = Log::default();
    let _guard = log.capture();
    let pair = Pair::start().await;
    let following = pair.follow();
    following.reaches(pair.first.mine(3).last().unwrap()).await;
    let refusal = with_status(403, -32_000, "your plan has no such method");
    pair.refuse("eth_getLogs", &refusal);
    pair.refuse("eth_call", &refusal);
    pair.asked().await;
    following.reaches(pair.first.mine(8).last().unwrap()).await;
    pair.prefers(1).await;
    pair.first.until(|node| node.count("eth_getLogs") > 4).await;
    pair.first.restore("eth_getLogs");
    pair.prefers(0).await;
    pair.first.on("eth_call", |_| Answer::Result(json!(0)));
    soon(async { while pair.asked().await != json!(0) {} }).await;

    let text = log.text();
    let endpoints = pair.endpoints();
    let label = endpoints.all()[0].label();
    for (level, said, method) in [
        (
            "WARN",
            "the chain cannot be followed over the endpoint, which is rested",
            Some("eth_getLogs"),
        ),
        (
            "WARN",
            "the endpoint refuses the method: other endpoints receive it",
            Some("eth_call"),
        ),
        ("INFO", "the endpoint answers the method again", Some("eth_call")),
        ("INFO", "the endpoint is back", None),
    ] {
        let matches = |line: &&str| line.contains(level) && line.contains(said) && line.contains(label);
        let lines: Vec<_> = text.lines().filter(matches).collect();
        let of_method: Vec<_> = lines
            .iter()
            .filter(|line| method.is_none_or(|method| line.contains(method)))
            .collect();
        assert_eq!(of_method.len(), 1, "{said}: {lines:#?}");
        assert!(
            level == "INFO" || of_method[0].contains("HTTP status 403: your plan has no such method"),
            "{lines:#?}"
        );
    }
}
