//! The logs of new blocks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::B256;
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::Finality;
use nexum_core::source::ChainLogs;
use nexum_host_chain::{Chains, VerifyLogs};
use nexum_testing::{Answer, Block, LostLogs, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::support::{CHAIN, Following, chains, config, config_of};
use crate::wanted::{check_logs, filter, filters, has_wanted, node_with_logs, wanted};

const URLS: [fn(&Node) -> String; 2] = [Node::http_url, Node::ws_url];

fn start(chains: &Chains) -> Following {
    Following::start_with(chains, Finality::Latest, &filters())
}

/// The parameter of every `eth_getLogs` so far.
fn questions(node: &Node) -> Vec<Value> {
    let calls = node.calls().into_iter().filter(|call| call.method == "eth_getLogs");
    calls
        .map(|call| serde_json::from_str::<Value>(&call.params).unwrap()[0].take())
        .collect()
}

#[tokio::test]
async fn every_wanted_log_comes_once_with_its_block_over_gaps_reorgs_and_drops() {
    for url in URLS {
        let mut node = node_with_logs(5).await;
        let following = start(&chains(&url(&node)));
        following.reaches(node.chain().head()).await;
        node.mine(3);
        following.reaches(node.chain().head()).await;
        node.mine_unannounced(70);
        node.mine(1);
        following.reaches(node.chain().head()).await;
        for (depth, new_blocks) in [(1, 1), (3, 4), (6, 2), (5, 40)] {
            node.reorg(depth, new_blocks);
            following.reaches(node.chain().head()).await;
            check_logs(&node, &following);
        }
        node.drop_connections();
        node.mine(7);
        following.reaches(node.chain().head()).await;
        node.stop().await;
        node.reorg(5, 90);
        node.restart().await;
        following.reaches(node.chain().head()).await;
        check_logs(&node, &following);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_block_is_asked_for_once_however_many_want_its_logs_and_for_all_logs_if_its_bloom_excludes_them() {
    for url in URLS {
        let node = node_with_logs(8).await;
        let logs = ChainLogs::new(CHAIN);
        for finality in [Finality::Latest, Finality::Confirmations(2.try_into().unwrap())] {
            for _ in 0..10 {
                logs.open(finality).subscribe(std::sync::Arc::default(), filters());
            }
        }
        let following = Following::start_on(&chains(&url(&node)), logs, Finality::Latest);
        following.reaches(node.chain().head()).await;
        for _ in 0..8 {
            following.reaches(&node.mine(1)[0]).await;
        }
        following.reaches(node.mine(50).last().unwrap()).await;
        check_logs(&node, &following);

        // A few requests check blocks that their blooms rule out.
        let (questions, looks): (Vec<_>, Vec<_>) = questions(&node)
            .into_iter()
            .partition(|question| question.get("address").is_some());
        let hashes = |questions: &[Value]| -> BTreeSet<String> {
            let hashes = questions.iter().map(|question| question["blockHash"].to_string());
            hashes.collect()
        };
        let asked = hashes(&questions);
        let looked = hashes(&looks);
        assert_eq!(looked.len(), looks.len(), "no block twice");
        assert!(looked.is_disjoint(&asked));
        assert_eq!(asked.len(), questions.len(), "no block twice");
        // The log of the head starts at block 8, and the log two blocks behind at block 6.
        let model = node.chain();
        let with_wanted = model.canonical()[9..].iter().filter(|block| has_wanted(block.number));
        let expected: BTreeSet<_> = with_wanted
            .map(|block| json!(B256::from(block.hash)).to_string())
            .collect();
        let seven = json!(B256::from(model.by_number(7).unwrap().hash)).to_string();
        assert!(asked.is_superset(&expected));
        assert!(
            asked.iter().all(|hash| expected.contains(hash) || *hash == seven),
            "{asked:?}"
        );
        for question in &questions {
            assert!(question.get("fromBlock").is_none() && question.get("toBlock").is_none());
        }
    }
}

#[tokio::test]
async fn one_question_has_what_all_filters_want() {
    let address = |contract: u8| format!("{}", alloy_primitives::Address::repeat_byte(contract));
    let topic = |byte: u8| B256::repeat_byte(byte);
    let mut narrow = filter(&[0xa], &[2]);
    narrow.topics[2] = vec![[3; 32], [7; 32]];
    let mut other = filter(&[0xa], &[2]);
    other.topics[1] = vec![[2; 32]];
    let many = |count: u32| LogFilter {
        addresses: (0..count)
            .map(|n| [n.to_be_bytes().as_slice(), &[0xa; 16]].concat().try_into().unwrap())
            .chain([[0xa; 20]])
            .collect(),
        ..LogFilter::default()
    };
    let cases: Vec<(Vec<LogFilter>, Value)> = vec![
        (vec![LogFilter::default()], json!({})),
        (
            vec![filter(&[0xb, 0xa], &[])],
            json!({ "address": [address(0xa), address(0xb)] }),
        ),
        (filters(), json!({ "address": [address(0xa), address(0xb)] })),
        (
            vec![filter(&[0xa], &[2]), filter(&[0xa, 0xb], &[1, 2])],
            json!({ "address": [address(0xa), address(0xb)], "topics": [[topic(1), topic(2)]] }),
        ),
        (
            vec![filter(&[], &[1]), filter(&[0xa], &[2])],
            json!({ "topics": [[topic(1), topic(2)]] }),
        ),
        (vec![filter(&[], &[1]), filter(&[0xa], &[])], json!({})),
        (
            vec![narrow.clone()],
            json!({ "address": [address(0xa)], "topics": [[topic(2)], null, [topic(3), topic(7)]] }),
        ),
        (
            vec![narrow, other],
            json!({ "address": [address(0xa)], "topics": [[topic(2)]] }),
        ),
        (vec![many(1_000)], json!({})),
    ];
    for (filters, mut expected) in cases {
        let node = node_with_logs(2).await;
        let following = Following::start_with(&chains(&node.http_url()), Finality::Latest, &filters);
        following.reaches(node.chain().head()).await;
        let block = node.mine(1).remove(0);
        following.reaches(&block).await;
        expected["blockHash"] = json!(B256::from(block.hash));
        assert_eq!(questions(&node).last().unwrap(), &expected, "{filters:?}");
        let of_block = |log: &nexum_core::source::Log| log.block_number == block.number;
        let logs: Vec<_> = following.logs().into_iter().filter(of_block).collect();
        assert_eq!(logs, wanted([&block], &filters));
        assert!(!logs.is_empty());
    }
}

#[tokio::test]
async fn a_failed_question_costs_no_log_and_no_block() {
    let faults = [
        Answer::Drop,
        Answer::Truncated,
        Answer::Status {
            status: 429,
            retry_after: Some(0),
            body: String::new(),
        },
        Answer::status(503),
        Answer::error(-32_000, "unknown block"),
        Answer::error(-32_603, "internal error"),
        Answer::error(-32_602, "invalid argument"),
        Answer::Result(json!(null)),
        Answer::Result(json!({})),
        Answer::Result(json!([{}])),
        Answer::Huge { bytes: 2_000_000 },
        Answer::Hang,
    ];
    for url in URLS {
        let node = node_with_logs(4).await;
        let mut config = config(&url(&node));
        config.request_timeout_ms = 150;
        config.response_bytes_max = 1_024 * 1_024;
        let following = start(&Chains::new([config]));
        following.reaches(node.chain().head()).await;
        for fault in &faults {
            node.once("eth_getLogs", fault.clone());
            // Some blocks are in a gap, with their logs read together; some arrive one by one.
            node.mine_unannounced(6);
            following.reaches(node.mine(2).last().unwrap()).await;
            check_logs(&node, &following);
        }
        assert_eq!(following.chain().len(), 1 + 8 * faults.len());
    }
}

#[tokio::test]
async fn a_gap_is_filled_from_an_endpoint_that_answers_only_so_much_at_a_time() {
    for url in URLS {
        let node = node_with_logs(4).await;
        let following = start(&chains(&url(&node)));
        following.reaches(node.chain().head()).await;
        // One in three queries is too many, without a rhythm that a retry could match.
        let asked = AtomicUsize::new(0);
        node.on("eth_getLogs", move |_| {
            match asked.fetch_add(1, Ordering::Relaxed).count_ones() % 3 {
                2 => Answer::error(-32_000, "header not found"),
                _ => Answer::Default,
            }
        });
        node.mine_unannounced(30);
        following.reaches(&node.mine(1)[0]).await;
        check_logs(&node, &following);
    }
}

#[tokio::test]
async fn sessions_that_end_leave_no_subscription_behind() {
    let node = node_with_logs(4).await;
    let following = start(&chains(&node.ws_url()));
    following.reaches(node.chain().head()).await;
    for _ in 0..4 {
        node.once("eth_getLogs", Answer::error(-32_000, "unknown block"));
        following.reaches(node.mine(2).last().unwrap()).await;
    }
    node.until(|node| node.subscribers() == 1).await;
    following.reaches(node.mine(2).last().unwrap()).await;
    check_logs(&node, &following);
}

#[tokio::test]
async fn logs_that_one_endpoint_loses_come_from_another_and_the_first_is_rested() {
    for (lost, url) in URLS
        .iter()
        .flat_map(|url| [(LostLogs::ByHash, url), (LostLogs::All, url)])
    {
        let log = Log::default();
        let _guard = log.capture();
        let liar = node_with_logs(4).await;
        let honest = liar.replica().await;
        liar.lose_logs(lost);
        let chains = Chains::new([config_of(&[url(&liar), url(&honest)])]);
        let following = start(&chains);
        following.reaches(liar.chain().head()).await;
        for _ in 0..3 {
            following.reaches(liar.mine(3).last().unwrap()).await;
        }
        check_logs(&liar, &following);
        let rested: Vec<_> = log
            .text()
            .lines()
            .filter(|line| line.contains("the endpoint is rested"))
            .map(str::to_owned)
            .collect();
        assert_eq!(rested.len(), 1, "{rested:?}");
        let label = chains.endpoints(CHAIN).unwrap().all()[0].label().to_owned();
        assert!(
            rested[0].contains(&label) && rested[0].contains("no logs for a block that has some"),
            "{rested:?}"
        );
        assert_eq!(
            honest.count("eth_getBlockReceipts") + liar.count("eth_getBlockReceipts"),
            0
        );
    }
}

/// Follows a single endpoint that loses logs. Returns these blocks as they arrived.
async fn follow_liar(node: &Node, verify_logs: VerifyLogs) -> (Following, Vec<Block>) {
    node.lose_logs(LostLogs::ByHash);
    let mut config = config(&node.http_url());
    config.verify_logs = verify_logs;
    let following = start(&Chains::new([config]));
    following.reaches(node.chain().head()).await;
    let blocks = node.mine(9);
    following.reaches(blocks.last().unwrap()).await;
    (following, blocks)
}

#[tokio::test]
async fn logs_that_a_lone_endpoint_loses_come_from_the_receipts() {
    let node = node_with_logs(4).await;
    let (following, _) = follow_liar(&node, VerifyLogs::Bloom).await;
    check_logs(&node, &following);
    assert!(node.count("eth_getBlockReceipts") > 0);
}

#[tokio::test]
async fn an_empty_answer_is_taken_where_nothing_is_verified() {
    let node = node_with_logs(4).await;
    let (following, blocks) = follow_liar(&node, VerifyLogs::Off).await;
    assert_eq!(following.chain().len(), 1 + blocks.len());
    assert!(following.logs().is_empty());
    assert_eq!(node.count("eth_getBlockReceipts"), 0);
}

/// A bloom may match by chance, and a chain must not stop because of it.
#[tokio::test]
async fn an_empty_answer_is_taken_from_a_lone_endpoint_that_has_no_receipts() {
    for refusal in [
        Answer::error(-32_601, "the method eth_getBlockReceipts does not exist"),
        Answer::error(-32_600, "not in your plan"),
        Answer::error(-32_000, "unsupported"),
        Answer::status(403),
    ] {
        let node = node_with_logs(4).await;
        node.on("eth_getBlockReceipts", move |_| refusal.clone());
        let (following, blocks) = follow_liar(&node, VerifyLogs::Bloom).await;
        assert_eq!(following.chain().len(), 1 + blocks.len());
        assert!(following.logs().is_empty());
    }
}
