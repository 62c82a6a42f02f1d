//! Probes of endpoints: findings with their remedies.

use std::num::NonZeroU64;
use std::time::Duration;

use nexum_host_chain::probe::{self, Check, EndpointProbe, Finding, Verdict};
use nexum_host_chain::{ChainConfig, EndpointConfig, EndpointUrl};
use nexum_testing::{Answer, Anvil, BatchFault, LogsLimit, Node, Provider};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{CHAIN, config};

async fn probe_one(config: ChainConfig) -> EndpointProbe {
    let mut probes = probe::probe(&[config]).await;
    let probe = probes.remove(0);
    assert!(probes.is_empty());
    let checks: Vec<Check> = probe.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, Check::ALL);
    for finding in &probe.findings {
        let needs_remedy = matches!(finding.verdict, Verdict::Warning | Verdict::Failure);
        assert!(finding.remedy.is_some() || !needs_remedy, "{finding:?}");
    }
    probe
}

fn found(probe: &EndpointProbe, check: Check) -> &Finding {
    probe.findings.iter().find(|finding| finding.check == check).unwrap()
}

fn text(probe: &EndpointProbe, check: Check) -> (Verdict, &str) {
    let finding = found(probe, check);
    (finding.verdict, &finding.text)
}

/// The number of the block in the parameters of `eth_getBalance`.
fn asked_block(params: &serde_json::value::RawValue) -> u64 {
    let params: Value = serde_json::from_str(params.get()).unwrap();
    u64::from_str_radix(params[1].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test]
async fn a_real_node_passes() {
    let anvil = Anvil::start();
    anvil.mine(200).await;
    for url in [anvil.http_url(), anvil.ws_url()] {
        let mut config = config(&url);
        // Each mined block is a second later than the one before it.
        config.head_stall_seconds = 86_400;
        let probe = probe_one(config).await;
        assert_eq!(probe.endpoint, url);
        for check in [
            Check::Reachable,
            Check::ChainId,
            Check::Latency,
            Check::Head,
            Check::LogRange,
            Check::Batches,
            Check::Archive,
            Check::Push,
        ] {
            assert_eq!(text(&probe, check).0, Verdict::Ok, "{probe:#?}");
        }
        assert!(text(&probe, Check::Head).1.starts_with("block 200, "), "{probe:#?}");
        assert_eq!(
            text(&probe, Check::Archive).1,
            "the endpoint has the state of every block"
        );
    }
}

#[tokio::test]
async fn limits_of_an_endpoint_are_found_in_few_requests() {
    let node = Node::start().await;
    node.mine(5_000);
    node.limit_logs(Some(LogsLimit {
        provider: Provider::Alchemy,
        range_max: Some(500),
        results_max: None,
    }));
    node.break_batches(Some(BatchFault::Whole(Answer::error(-32_600, "no batches"))));
    node.on("eth_getBalance", |params| match asked_block(params) {
        4_000.. => Answer::Result(json!("0x0")),
        _ => Answer::error(-32_000, "missing trie node"),
    });
    let probe = probe_one(config(&node.http_url())).await;
    let range = found(&probe, Check::LogRange);
    assert_eq!(range.verdict, Verdict::Warning);
    assert!(
        range
            .text
            .starts_with("eth_getLogs answers for 100 blocks, and not for 10000: "),
        "{range:?}"
    );
    let remedy = "set max_log_range_blocks of the endpoint in [chains.11155111] to 100";
    assert_eq!(range.remedy.as_deref(), Some(remedy));
    let (verdict, batches) = text(&probe, Check::Batches);
    assert_eq!(verdict, Verdict::Warning);
    assert!(batches.ends_with(": no batches"), "{batches}");
    let (verdict, archive) = text(&probe, Check::Archive);
    assert_eq!(verdict, Verdict::Ok);
    let words: Vec<u64> = archive.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [blocks, oldest] = words[..] else {
        panic!("{archive}")
    };
    assert!(
        (4_000..=4_100).contains(&oldest) && blocks == 5_001 - oldest,
        "{archive}"
    );
    // The scripted chain is old.
    let (verdict, head) = text(&probe, Check::Head);
    assert_eq!(verdict, Verdict::Warning);
    assert!(head.starts_with("block 5000, "), "{head}");
    assert_eq!(text(&probe, Check::Clock).0, Verdict::Unknown);
    let asked = node.counts().values().sum::<usize>();
    assert!(asked <= 30, "{asked}: {:?}", node.counts());
}

#[tokio::test]
async fn a_configured_range_that_works_is_ok() {
    let node = Node::start().await;
    node.mine(5_000);
    node.limit_logs(Some(LogsLimit {
        provider: Provider::Reth,
        range_max: Some(500),
        results_max: None,
    }));
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    for (configured, verdict) in [(500, Verdict::Ok), (2_000, Verdict::Warning)] {
        endpoint.max_log_range_blocks = NonZeroU64::new(configured);
        let probe = probe_one(ChainConfig::new(CHAIN, endpoint.clone())).await;
        let range = found(&probe, Check::LogRange);
        assert_eq!(range.verdict, verdict, "{range:?}");
        if verdict == Verdict::Warning {
            let remedy = "lower max_log_range_blocks of the endpoint in [chains.11155111] to 100";
            assert_eq!(range.remedy.as_deref(), Some(remedy));
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_used_has_one_failure_and_nothing_else_is_known() {
    let wrong = Node::start().await;
    wrong.set_chain_id(5);
    let mut dead = Node::start().await;
    dead.stop().await;
    let hanging = Node::start().await;
    hanging.on("*", |_| Answer::Hang);
    let endless = Node::start().await;
    endless.on("*", |_| Answer::Huge { bytes: u64::MAX });
    let noise = Node::start().await;
    noise.on("*", |_| Answer::Text("<html>\u{7}secret page</html>".to_owned()));
    for (node, check, said, remedy) in [
        (
            &wrong,
            Check::ChainId,
            "the endpoint serves chain 5, not chain 11155111",
            "[chains.5]",
        ),
        (
            &dead,
            Check::Reachable,
            "the endpoint cannot be reached: connection refused",
            "firewall",
        ),
        (
            &hanging,
            Check::Reachable,
            "the endpoint did not answer within 300 ms",
            "request_timeout_ms",
        ),
        (
            &endless,
            Check::Reachable,
            "the answer is larger than 1048576 bytes",
            "response_bytes_max",
        ),
        (
            &noise,
            Check::Reachable,
            "the endpoint's answer is not a JSON-RPC response to the request",
            "JSON-RPC endpoint",
        ),
    ] {
        let mut config = config(&format!("{}/secret-key", node.http_url()));
        config.request_timeout_ms = 300;
        if check == Check::Reachable && said.contains("larger") {
            config.request_timeout_ms = 10_000;
            config.response_bytes_max = 1_024 * 1_024;
        }
        let began = Instant::now();
        let probe = probe_one(config).await;
        assert!(began.elapsed() < probe::PROBE_TIME_MAX);
        assert_eq!(text(&probe, check), (Verdict::Failure, said));
        assert!(
            found(&probe, check).remedy.as_ref().unwrap().contains(remedy),
            "{probe:?}"
        );
        for finding in probe.findings.iter().filter(|finding| finding.check > check) {
            assert_eq!(finding.verdict, Verdict::Unknown, "{finding:?}");
            assert_eq!(finding.text, "not checked, because an earlier check failed");
        }
        assert_eq!(probe.verdict(), Verdict::Failure);
        assert_eq!(probe.endpoint, node.http_url());
        assert!(!format!("{probe:?}").contains("secret"), "{probe:?}");
    }
}

#[tokio::test]
async fn a_hostile_endpoint_that_fails_in_the_middle_fails_only_those_checks() {
    let node = Node::start().await;
    node.mine(10);
    node.on("eth_getLogs", |_| Answer::Text("nonsense".to_owned()));
    node.on("eth_getBalance", |_| Answer::Drop);
    node.on("eth_subscribe", |_| Answer::error(-32_601, "no such\u{1b}[31m method"));
    let probe = probe_one(config(&node.ws_url())).await;
    assert_eq!(text(&probe, Check::Reachable).0, Verdict::Ok);
    assert_eq!(text(&probe, Check::LogRange).0, Verdict::Failure);
    assert_eq!(text(&probe, Check::Archive).0, Verdict::Unknown);
    assert_eq!(text(&probe, Check::Batches).0, Verdict::Ok);
    let printed = probe
        .findings
        .iter()
        .all(|finding| !finding.text.contains(char::is_control));
    assert!(printed, "{probe:?}");
}

#[tokio::test]
async fn a_clock_that_is_behind_the_newest_block_fails() {
    let node = Node::start().await;
    node.on("eth_getBlockByNumber", |_| {
        Answer::Result(json!({"number": "0x5", "timestamp": "0xffffffffff"}))
    });
    let probe = probe_one(config(&node.http_url())).await;
    let clock = found(&probe, Check::Clock);
    assert_eq!(clock.verdict, Verdict::Failure);
    assert!(clock.text.ends_with("ahead of this machine's clock"), "{clock:?}");
    assert!(clock.remedy.as_ref().unwrap().contains("chrony"));
}

#[tokio::test]
async fn a_slow_endpoint_is_a_warning() {
    let node = Node::start().await;
    node.set_delay(Duration::from_millis(510));
    let probe = probe_one(config(&node.http_url())).await;
    let (verdict, latency) = text(&probe, Check::Latency);
    assert_eq!(verdict, Verdict::Warning);
    assert!(latency.ends_with(" ms, the median of 3 requests"), "{latency}");
}
