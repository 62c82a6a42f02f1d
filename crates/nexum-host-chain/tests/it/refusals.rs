//! Endpoints that refuse `eth_getLogs` in forms that others accept: wide ranges, block hashes, many
//! addresses, large blocks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU64;
use std::sync::Arc;

use futures_util::future::join_all;
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::Finality;
use nexum_core::source::{self as log, ChainLogs};
use nexum_host_chain::{Chains, EndpointConfig, EndpointUrl, RequestError};
use nexum_testing::{Answer, LogSpec, Node};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::captured::Log;
use crate::replay::{check, logs_of, spans};
use crate::support::{CHAIN, Following, chains_without_retries, config, soon, texts};
use crate::wanted::{check_logs, filter, filters, node_with_logs, spec, wanted};

pub(crate) const MIB: usize = 1_024 * 1_024;

/// The log records that contain this text.
pub(crate) fn lines(log: &Log, words: &str) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains(words));
    lines.map(str::to_owned).collect()
}

/// The filter of an `eth_getLogs`.
pub(crate) fn asked(params: &serde_json::value::RawValue) -> Value {
    serde_json::from_str::<Value>(params.get()).unwrap()[0].take()
}

/// The number of blocks in a filter. None for a filter with a hash.
pub(crate) fn span(filter: &Value) -> Option<u64> {
    let number = |key: &str| u64::from_str_radix(filter[key].as_str()?.strip_prefix("0x")?, 16).ok();
    Some(number("toBlock")? - number("fromBlock")? + 1)
}

fn with_status(status: u16, code: i64, message: &str) -> Answer {
    Answer::ErrorStatus {
        status,
        code,
        message: message.to_owned(),
    }
}

/// The errors of providers for a range that is too wide, with and without a text that nexum knows.
fn width_refusals() -> Vec<Answer> {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-32000,"message":"too wide"}}"#;
    vec![
        Answer::Error {
            code: -32_602,
            message: "invalid params".to_owned(),
            data: Some(json!(
                "Query returned more than 50000 results. Try with this block range [0x1000000, 0x1080000]."
            )),
        },
        Answer::error(35, "ranges over 10000 blocks are not supported on free plan"),
        Answer::error(-32_000, "too wide blocks range, the limit is 100"),
        with_status(500, -32_020, "backend response too large"),
        Answer::Text(text.to_owned()),
        Answer::error(-32_005, "limit exceeded"),
        Answer::error(
            -32_600,
            "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range",
        ),
        Answer::error(-32_603, "internal error"),
        Answer::error(-32_000, "exceed maximum block range: 5000"),
        Answer::error(
            -32_000,
            "requested too many blocks from 1 to 700, maximum is set to 500",
        ),
        Answer::error(
            -32_701,
            "Please specify an address in your request or order a dedicated full node",
        ),
        Answer::error(-32_000, "One of the blocks specified in filter cannot be found."),
        Answer::error(-32_002, "request timed out"),
        Answer::error(-32_001, "Resource not found."),
        Answer::error(-32_601, "method not available for archive"),
        Answer::error(0, ""),
        Answer::status(400),
        Answer::status(413),
        Answer::status(422),
        Answer::status(500),
        Answer::status(502),
    ]
}

#[tokio::test]
async fn a_range_that_is_refused_twice_is_halved_whatever_the_words() {
    let of_one = async |refusal: Answer| {
        let node = node_with_logs(700).await;
        let its = refusal.clone();
        node.on("eth_getLogs", move |params| match span(&asked(params)) {
            Some(501..) => its.clone(),
            _ => Answer::Default,
        });
        check(&node, config(&node.http_url()), 1..=700, &filters()).await;
        let spans = spans(&node);
        assert!(spans.iter().any(|(_, span)| *span == 350), "{refusal:?}: {spans:?}");
        assert!(spans.len() < 12, "{refusal:?}: {spans:?}");
    };
    join_all(width_refusals().into_iter().map(of_one)).await;
}

#[tokio::test]
async fn the_first_refusal_of_a_width_is_logged_with_method_range_and_text() {
    let log = Log::default();
    let _guard = log.capture();
    let node = node_with_logs(700).await;
    node.on("eth_getLogs", |params| match span(&asked(params)) {
        Some(101..) => Answer::error(35, "not on the free plan"),
        _ => Answer::Default,
    });
    check(&node, config(&node.http_url()), 1..=700, &filters()).await;
    let lines = lines(&log, "the endpoint refuses the range twice");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for words in ["WARN", "eth_getLogs", "from=1", "to=700", "not on the free plan"] {
        assert!(lines[0].contains(words), "{words}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_refusal_that_a_single_block_shares_narrows_nothing_and_names_method_range_and_text() {
    let node = node_with_logs(700).await;
    node.on("eth_getLogs", |_| Answer::error(-32_000, "your plan has expired"));
    node.on("eth_getBlockReceipts", |_| {
        Answer::error(-32_000, "your plan has expired")
    });
    let source = Chains::new([config(&node.http_url())]).source(CHAIN).unwrap();
    let error = source.replay(&logs_of(1..=700, &filters())).await.unwrap_err();
    let said = texts(&error).join(": ");
    assert!(
        said.contains("eth_getLogs for blocks 1 to 700: your plan has expired"),
        "{said}"
    );
    assert!(spans(&node).iter().all(|(_, span)| matches!(span, 1 | 700)));
}

#[tokio::test]
async fn a_too_large_answer_over_ws_is_that() {
    let node = Node::start().await;
    node.on("eth_call", |_| Answer::Huge { bytes: 2_000_000 });
    let mut config = config(&node.ws_url());
    config.response_bytes_max = MIB;
    config.retries = 0;
    let chains = Chains::new([config]);
    let error = chains.request(CHAIN, "eth_call", "[]").await.unwrap_err();
    assert_eq!(error, RequestError::TooLarge { bytes_max: MIB });
    // A lost connection still counts as one.
    node.on("eth_call", |_| Answer::Drop);
    let error = chains_without_retries(&node.ws_url())
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err();
    assert_eq!(error, RequestError::Lost { cause: None });
}

#[tokio::test]
async fn an_endpoint_that_refuses_block_hashes_is_asked_by_number() {
    for refusal in [
        Answer::error(-32_602, "invalid argument 0: blockHash is not supported"),
        Answer::error(-32_000, "missing fromBlock"),
        Answer::error(-32_603, "internal error"),
        Answer::status(400),
        Answer::status(500),
    ] {
        let log = Log::default();
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        let its = refusal.clone();
        node.on("eth_getLogs", move |params| match params.get().contains("blockHash") {
            true => its.clone(),
            false => Answer::Default,
        });
        let chains = Chains::new([config(&node.http_url())]);
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(20).last().unwrap()).await;
        node.reorg(3, 5);
        following.reaches(node.chain().head()).await;
        check_logs(&node, &following);
        let by_hash = || {
            let calls = node.calls();
            calls.iter().filter(|call| call.params.contains("blockHash")).count()
        };
        let before = by_hash();
        following.reaches(node.mine(20).last().unwrap()).await;
        assert_eq!(by_hash(), before, "{refusal:?}: it is not asked by hash any more");
        check(&node, config(&node.http_url()), 1..=20, &filters()).await;
        check_logs(&node, &following);
        let lines = lines(&log, "the endpoint refuses blocks by hash");
        assert_eq!(lines.len(), 1, "{refusal:?}: {lines:#?}");
    }
}

/// Behind one URL, a node that lacks a block may answer by number with an empty list.
#[tokio::test]
async fn logs_by_number_are_not_taken_from_an_endpoint_that_lacks_the_block() {
    let node = node_with_logs(5).await;
    // The numbers with a false answer, and whether the block was requested afterwards.
    let lacking: Arc<Mutex<BTreeMap<String, bool>>> = Arc::default();
    let its = Arc::clone(&lacking);
    node.on("eth_getLogs", move |params| {
        let filter = asked(params);
        let Some(number) = filter["fromBlock"].as_str() else {
            return Answer::error(-32_602, "blockHash is not supported");
        };
        match its.lock().entry(number.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(false);
                Answer::Json("[]".to_owned())
            }
            Entry::Occupied(_) => Answer::Default,
        }
    });
    let its = Arc::clone(&lacking);
    node.on("eth_getBlockByNumber", move |params| {
        let number: Value = serde_json::from_str(params.get()).unwrap();
        let mut lacking = its.lock();
        let is_asked = lacking.get_mut(number[0].as_str().unwrap());
        match is_asked.map(|is_asked| std::mem::replace(is_asked, true)) {
            Some(false) => Answer::Result(Value::Null),
            _ => Answer::Default,
        }
    });
    let chains = Chains::new([config(&node.http_url())]);
    let following = Following::start_with(&chains, Finality::Latest, &filters());
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(4).last().unwrap()).await;
    check_logs(&node, &following);
    assert!(!lacking.lock().is_empty());
}

/// Two hundred contracts, among them those of [`filters`].
fn many() -> Vec<LogFilter> {
    let contracts: Vec<u8> = (0..200).collect();
    vec![filter(&contracts, &[])]
}

/// Refuses more than `max` addresses, as providers do.
fn refuse_addresses(node: &Node, max: usize) {
    node.on("eth_getLogs", move |params| {
        let addresses = asked(params)["address"].as_array().map_or(0, Vec::len);
        match addresses > max {
            true => Answer::error(-32_602, "exceed max addresses or topics per search position"),
            false => Answer::Default,
        }
    });
}

fn refused_addresses(node: &Node, max: usize) -> usize {
    let calls = node.calls().into_iter().filter(|call| call.method == "eth_getLogs");
    let addresses = calls.map(|call| {
        let filter = serde_json::from_str::<Value>(&call.params).unwrap()[0].take();
        filter["address"].as_array().map_or(0, Vec::len)
    });
    addresses.filter(|addresses| *addresses > max).count()
}

#[tokio::test]
async fn more_addresses_than_an_endpoint_takes_are_divided() {
    for max in [100, 30] {
        let log = Log::default();
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        refuse_addresses(&node, max);
        let chains = Chains::new([config(&node.http_url())]);
        let following = Following::start_with(&chains, Finality::Latest, &many());
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(12).last().unwrap()).await;
        let model = node.chain();
        assert_eq!(following.logs(), wanted(&model.canonical()[5..], &many()));
        let refused = refused_addresses(&node, max);
        following.reaches(node.mine(8).last().unwrap()).await;
        assert_eq!(refused_addresses(&node, max), refused, "it has been learned");
        assert!(!lines(&log, "set max_addresses for this endpoint").is_empty());
        node.mine(300);
        check(&node, config(&node.http_url()), 1..=300, &many()).await;
    }
}

#[tokio::test]
async fn no_request_names_more_addresses_than_the_operator_allows() {
    let node = node_with_logs(50).await;
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    endpoint.max_addresses = NonZeroU64::new(100);
    let config = nexum_host_chain::ChainConfig::new(CHAIN, endpoint);
    check(&node, config, 1..=50, &many()).await;
    assert_eq!(refused_addresses(&node, 100), 0);
    assert_eq!(spans(&node), [(1, 50); 2]);
}

/// Logs of one contract with this many bytes.
fn large(contract: u8, bytes: usize) -> Vec<LogSpec> {
    vec![spec(contract, &[1], &vec![7; 16 * 1_024]); bytes / (16 * 1_024)]
}

/// Block 8 has large logs of some contracts, and a small one of 0xa.
async fn node_with_large_block(contracts: &'static [u8], bytes: usize) -> Node {
    let node = Node::start().await;
    node.set_logs(move |number, fork| match number {
        8 => contracts
            .iter()
            .flat_map(|contract| large(*contract, bytes))
            .chain([spec(0xa, &[1], b"small")])
            .collect(),
        _ => vec![spec(0xa, &[1], &[number.to_be_bytes(), fork.to_be_bytes()].concat())],
    });
    node.mine(5);
    node
}

#[tokio::test]
async fn only_those_who_want_the_logs_of_a_huge_block_wait_and_the_warning_names_block_and_key() {
    for url in [Node::http_url, Node::ws_url] {
        check_huge_block(url, None).await;
    }
}

/// In words of nexum's list and in others, for good and as of an outage.
#[tokio::test]
async fn only_those_who_want_the_logs_of_a_huge_block_wait_where_its_receipts_are_refused() {
    for refusal in [
        Answer::error(-32_601, "the method eth_getBlockReceipts does not exist"),
        Answer::error(-32_008, "response is too big"),
        Answer::error(-32_005, "limit exceeded"),
        Answer::error(-32_603, "internal error"),
        with_status(503, -32_000, "backend unavailable"),
    ] {
        check_huge_block(Node::http_url, Some(refusal)).await;
    }
}

/// Follows a chain with a block whose logs no answer holds, nor its receipts, which the node answers with `receipts`.
async fn check_huge_block(url: fn(&Node) -> String, receipts: Option<Answer>) {
    let log = Log::default();
    let _guard = log.capture();
    let node = node_with_large_block(&[0xd], 2 * MIB).await;
    if let Some(answer) = receipts {
        node.on("eth_getBlockReceipts", move |_| answer.clone());
    }
    let mut config = config(&url(&node));
    config.response_bytes_max = MIB;
    let chains = Chains::new([config]);
    let logs = ChainLogs::new(CHAIN);
    let opened = logs.open(Finality::Latest);
    let small = opened.subscribe(Arc::default(), [filter(&[0xa], &[])]);
    let large = opened.subscribe(Arc::default(), [filter(&[0xd], &[])]);
    let following = Following::start_on(&chains, logs, Finality::Latest);
    following.reaches(node.chain().head()).await;
    node.mine(5);
    following.reaches(node.chain().head()).await;
    let routed = following.entries().into_iter().find_map(|entry| match entry {
        log::LogEntry::Advance(routed) if routed.block.position.number == 8 => Some(routed),
        _ => None,
    });
    let routed = routed.unwrap();
    // None: the subscriber reads the block by itself.
    assert_eq!([small, large].map(|subscriber| routed.logs_of(subscriber)), [None; 2]);
    assert_eq!(following.chain().last().unwrap().number, 10);
    let source = chains.source(CHAIN).unwrap();
    let read = soon(source.replay(&logs_of(8..=8, &[filter(&[0xa], &[])])))
        .await
        .unwrap();
    assert_eq!(read.blocks[0].logs.len(), 1);
    assert_eq!(read.blocks[0].logs[0].data, b"small");
    soon(source.replay(&logs_of(8..=8, &[filter(&[0xd], &[])])))
        .await
        .unwrap_err();
    let warnings = lines(&log, "too many for one answer");
    let of_block: Vec<_> = warnings.iter().filter(|line| line.contains("block=8")).collect();
    assert_eq!(of_block.len(), 1, "{warnings:#?}");
    assert!(of_block[0].contains("response_bytes_max=1048576"), "{warnings:#?}");
    following.stop().await;
}

#[tokio::test]
async fn a_large_block_is_read_in_parts() {
    for url in [Node::http_url, Node::ws_url] {
        let log = Log::default();
        let _guard = log.capture();
        let node = node_with_large_block(&[0xd, 0xe, 0xf], MIB / 4).await;
        let mut config = config(&url(&node));
        config.response_bytes_max = MIB;
        let wants = [filter(&[0xa, 0xd, 0xe, 0xf], &[])];
        let following = Following::start_with(&Chains::new([config]), Finality::Latest, &wants);
        following.reaches(node.chain().head()).await;
        node.mine(5);
        following.reaches(node.chain().head()).await;
        let model = node.chain();
        assert_eq!(following.logs(), wanted(&model.canonical()[5..], &wants));
        assert_eq!(lines(&log, "too many for one answer"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn logs_that_the_endpoint_calls_too_many_come_from_the_receipts() {
    let node = node_with_logs(5).await;
    node.on("eth_getLogs", |_| {
        Answer::error(-32_005, "query returned more than 10000 results")
    });
    let chains = Chains::new([config(&node.http_url())]);
    let following = Following::start_with(&chains, Finality::Latest, &filters());
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(12).last().unwrap()).await;
    check_logs(&node, &following);
    assert!(node.count("eth_getBlockReceipts") > 0);
}
