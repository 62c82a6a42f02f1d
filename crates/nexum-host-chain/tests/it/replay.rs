//! Past logs, read by range.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_core::source::Log;
use nexum_core::source::{EventSource, Replay, Replayed};
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl, VerifyLogs};
use nexum_testing::{Answer, Blooms, LogsLimit, LostLogs, Node, Provider};
use serde_json::Value;

use crate::support::{CHAIN, chains, config, config_of, position, soon};
use crate::wanted::{filter, filters, node_with_logs, spec, wanted};

/// A replay of only the logs of these blocks.
pub(crate) fn logs_of(numbers: RangeInclusive<u64>, filters: &[LogFilter]) -> Replay {
    Replay {
        numbers,
        blocks: false,
        filters: filters.into(),
    }
}

/// Replays in parts, as runners do, with one retry after a failure. Each part must follow the
/// previous one, on the node's chain.
pub(crate) async fn read_all(node: &Node, source: &Arc<dyn EventSource>, asked: &Replay) -> Vec<Log> {
    let model = node.chain();
    let mut logs = Vec::new();
    let mut wanted = asked.clone();
    while !wanted.numbers.is_empty() {
        let Ok(part) = source.replay(&wanted).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Replayed {
            parent_hash,
            blocks,
            through,
        } = part;
        let first = *wanted.numbers.start();
        let below = model.range(0..=first - 1).last().unwrap();
        assert_eq!(parent_hash, below.hash);
        if through == position(below) {
            assert_eq!(model.range(wanted.numbers.clone()), []);
            assert!(blocks.is_empty());
            break;
        }
        assert!(wanted.numbers.contains(&through.number));
        assert_eq!(through, position(model.by_number(through.number).unwrap()));
        for block in &blocks {
            assert_eq!(
                block.position,
                position(model.by_number(block.position.number).unwrap())
            );
            assert!((first..=through.number).contains(&block.position.number));
            assert!(block.logs.iter().all(|log| log.block_number == block.position.number));
            assert!(asked.blocks || !block.logs.is_empty());
            logs.extend_from_slice(&block.logs);
        }
        wanted.numbers = through.number + 1..=*wanted.numbers.end();
    }
    logs
}

/// Reads the logs of these blocks, and compares them with the model's.
pub(crate) async fn check(node: &Node, config: ChainConfig, numbers: RangeInclusive<u64>, filters: &[LogFilter]) {
    let source = Chains::new([config]).source(CHAIN).unwrap();
    let logs = soon(read_all(node, &source, &logs_of(numbers.clone(), filters))).await;
    let model = node.chain();
    let blocks = model.canonical().iter().filter(|block| numbers.contains(&block.number));
    let expected = wanted(blocks, filters);
    assert_eq!(logs.len(), expected.len());
    assert_eq!(logs, expected);
}

/// The start and the number of blocks of each `eth_getLogs` for a range, in order.
pub(crate) fn spans(node: &Node) -> Vec<(u64, u64)> {
    let calls = node.calls().into_iter().filter(|call| call.method == "eth_getLogs");
    let span = |params: String| {
        let filter = serde_json::from_str::<Value>(&params).unwrap()[0].take();
        let number = |key: &str| u64::from_str_radix(filter[key].as_str()?.strip_prefix("0x")?, 16).ok();
        let (from, to) = (number("fromBlock")?, number("toBlock")?);
        Some((from, to - from + 1))
    };
    calls.filter_map(|call| span(call.params)).collect()
}

fn limit(provider: Provider, range_max: Option<u64>, results_max: Option<usize>) -> Option<LogsLimit> {
    Some(LogsLimit {
        provider,
        range_max,
        results_max,
    })
}

#[tokio::test]
async fn every_log_comes_once_whatever_the_provider_limits_and_however_it_says_so() {
    let node = node_with_logs(400).await;
    for url in [node.http_url(), node.ws_url()] {
        for provider in Provider::ALL {
            for (range_max, results_max) in [(Some(60), None), (None, Some(70)), (Some(200), Some(120))] {
                node.limit_logs(limit(provider, range_max, results_max));
                check(&node, config(&url), 1..=400, &filters()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_block_with_more_logs_than_the_provider_gives_for_a_range_is_asked_for_by_its_hash() {
    let node = node_with_logs(30).await;
    for provider in Provider::ALL {
        node.limit_logs(limit(provider, None, Some(1)));
        check(&node, config(&node.http_url()), 1..=30, &filters()).await;
    }
}

#[tokio::test]
async fn chunks_halve_and_grow_again() {
    let node = Node::start().await;
    node.set_logs(|number, _| {
        let count = if (600..700).contains(&number) { 50 } else { 1 };
        vec![spec(0xa, &[1], &number.to_be_bytes()); count]
    });
    node.mine(4_000);
    node.limit_logs(limit(Provider::Infura, None, Some(500)));
    check(&node, config(&node.http_url()), 1..=4_000, &filters()).await;
    let spans = spans(&node);
    let widest = |from: u64, to: u64| {
        let within = spans
            .iter()
            .filter(|(start, span)| *start >= from && start + span <= to);
        within.map(|(_, span)| *span).max().unwrap()
    };
    // The endpoint refuses the first queries there.
    assert!(widest(650, 700) <= 10, "{spans:?}");
    assert!(widest(700, 4_001) >= 100, "{spans:?}");
    assert!(spans.len() < 200, "{spans:?}");
}

#[tokio::test]
async fn no_question_is_wider_than_the_operator_allows() {
    let node = node_with_logs(200).await;
    let mut endpoint = EndpointConfig::from(EndpointUrl::parse(&node.http_url()).unwrap());
    endpoint.max_log_range_blocks = NonZeroU64::new(7);
    check(&node, ChainConfig::new(CHAIN, endpoint), 1..=200, &filters()).await;
    let spans = spans(&node);
    assert!(spans.iter().all(|(_, span)| *span <= 7), "{spans:?}");
    assert_eq!(spans.len(), 29, "and none is much narrower: {spans:?}");
}

#[tokio::test]
async fn an_endpoint_that_answers_wide_ranges_by_an_empty_list_loses_nothing() {
    type Logs = fn(u64, u64) -> Vec<nexum_testing::LogSpec>;
    let chains: [(&str, Logs); 4] = [
        ("many", |number, fork| crate::wanted::emitted(number, fork)),
        ("few, and nothing else", |number, _| match number % 200 {
            70 => vec![spec(0xa, &[1], b"rare")],
            _ => Vec::new(),
        }),
        ("few among others", |number, _| match number % 200 {
            70 => vec![spec(0xa, &[1], b"rare"), spec(0xc, &[1], b"")],
            _ => vec![spec(0xc, &[1], &number.to_be_bytes())],
        }),
        ("none", |_, _| Vec::new()),
    ];
    for (_, logs) in chains {
        for lost in [LostLogs::Ranges(100), LostLogs::Ranges(2)] {
            let node = Node::start().await;
            node.set_logs(logs);
            node.mine(500);
            node.lose_logs(lost);
            check(&node, config(&node.http_url()), 1..=500, &filters()).await;
        }
    }
}

#[tokio::test]
async fn false_blooms_cost_no_log_of_the_past() {
    for blooms in [Blooms::Empty, Blooms::Unrelated, Blooms::OfFirstLog, Blooms::Unreadable] {
        for lost in [LostLogs::Nothing, LostLogs::Ranges(100), LostLogs::Ranges(2)] {
            for verify_logs in [VerifyLogs::Bloom, VerifyLogs::Receipts] {
                let node = node_with_logs(300).await;
                node.show_blooms(blooms);
                node.lose_logs(lost);
                let mut config = config(&node.http_url());
                config.verify_logs = verify_logs;
                check(&node, config, 1..=300, &filters()).await;
            }
        }
    }
}

#[tokio::test]
async fn logs_of_the_past_with_equal_indexes_are_told_apart_by_their_transactions() {
    for verify_logs in [VerifyLogs::Off, VerifyLogs::Bloom] {
        let node = Node::start().await;
        node.set_logs(|number, _| (0..4).map(|log| spec(0xa, &[1], &[number as u8, log])).collect());
        node.mine(100);
        node.index_logs_in_transactions(true);
        let mut config = config(&node.http_url());
        config.verify_logs = verify_logs;
        let source = Chains::new([config]).source(CHAIN).unwrap();
        for blocks in [false, true] {
            let asked = Replay {
                blocks,
                ..logs_of(1..=100, &filters())
            };
            let logs = soon(read_all(&node, &source, &asked)).await;
            let mut expected = wanted(&node.chain().canonical()[1..], &filters());
            assert_eq!(expected.len(), 400);
            expected.iter_mut().for_each(|log| log.log_index %= 2);
            assert_eq!(logs, expected);
        }
    }
}

#[tokio::test]
async fn an_empty_answer_for_a_range_is_taken_where_nothing_is_verified() {
    let node = node_with_logs(1_000).await;
    node.lose_logs(LostLogs::All);
    let mut config = config(&node.http_url());
    config.verify_logs = VerifyLogs::Off;
    let source = Chains::new([config]).source(CHAIN).unwrap();
    assert!(
        read_all(&node, &source, &logs_of(1..=1_000, &filters()))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn logs_over_a_range_are_proven_by_receipts_where_the_operator_wants_it() {
    let node = node_with_logs(100).await;
    let mut config = config(&node.http_url());
    config.verify_logs = VerifyLogs::Receipts;
    check(&node, config, 1..=100, &filters()).await;
    assert_eq!(node.count("eth_getLogs"), 0);
}

#[tokio::test]
async fn blocks_come_with_their_logs_where_both_are_wanted() {
    let node = node_with_logs(100).await;
    for url in [node.http_url(), node.ws_url()] {
        let source = chains(&url).source(CHAIN).unwrap();
        let everything = Replay {
            blocks: true,
            ..logs_of(1..=100, &filters())
        };
        let logs = read_all(&node, &source, &everything).await;
        assert_eq!(logs, wanted(&node.chain().canonical()[1..], &filters()));
    }
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_asked_for_fewer_blocks() {
    for fault in [Answer::Hang, Answer::status(504), Answer::Huge { bytes: 2_000_000 }] {
        for url in [Node::http_url, Node::ws_url] {
            let node = node_with_logs(1_000).await;
            let fault = fault.clone();
            node.on("eth_getLogs", move |params| {
                let filter = serde_json::from_str::<Value>(params.get()).unwrap()[0].take();
                let number =
                    |key: &str| u64::from_str_radix(filter[key].as_str().unwrap_or("0x0").trim_start_matches("0x"), 16);
                match number("toBlock").unwrap() - number("fromBlock").unwrap() >= 100 {
                    true => fault.clone(),
                    false => Answer::Default,
                }
            });
            let mut config = config(&url(&node));
            config.request_timeout_ms = 150;
            config.response_bytes_max = 1_024 * 1_024;
            check(&node, config, 1..=1_000, &filters()).await;
        }
    }
}

#[tokio::test]
async fn a_failure_that_has_nothing_to_do_with_the_range_does_not_narrow_it() {
    let node = node_with_logs(1_000).await;
    let mut config = config(&node.http_url());
    // Enough for a true answer on a busy machine.
    config.request_timeout_ms = 1_000;
    for fault in [Answer::Hang, Answer::Drop, Answer::status(503), Answer::Truncated] {
        node.once("eth_getBlockByNumber", fault);
        check(&node, config.clone(), 1..=1_000, &filters()).await;
    }
    assert_eq!(spans(&node), [(1, 1_000); 4]);
}

#[tokio::test]
async fn what_one_endpoint_cannot_say_another_one_does() {
    let mut first = node_with_logs(1_000).await;
    let second = first.replica().await;
    for fault in [
        Answer::Drop,
        Answer::status(401),
        Answer::error(-32_601, "no such method"),
    ] {
        first.on("eth_getLogs", move |_| fault.clone());
        let urls = [first.http_url(), second.http_url()];
        check(&first, config_of(&urls), 1..=1_000, &filters()).await;
    }
    first.stop().await;
    check(
        &second,
        config_of(&[first.ws_url(), second.ws_url()]),
        1..=1_000,
        &filters(),
    )
    .await;
}

#[tokio::test]
async fn a_range_without_wanted_logs_is_read_to_its_end() {
    let node = node_with_logs(1_000).await;
    check(&node, config(&node.http_url()), 1..=1_000, &[filter(&[0xee], &[])]).await;
    assert!(node.count("eth_getLogs") < 20, "{:?}", node.counts());
}
