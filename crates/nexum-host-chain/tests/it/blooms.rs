//! Headers whose bloom does not match the block's logs.

use nexum_config::topic::Finality;
use nexum_core::source::Log as Event;
use nexum_host_chain::{Chains, VerifyLogs, metrics as names};
use nexum_testing::{Answer, Blooms, Counts, LogSpec, Node};
use serde_json::{Value, json};

use crate::captured::Log;
use crate::support::{CHAIN, Following, config, config_of};
use crate::wanted::{check_logs, filter, filters, node_with_logs, spec, wanted};

const MODES: [VerifyLogs; 3] = [VerifyLogs::Off, VerifyLogs::Bloom, VerifyLogs::Receipts];

const FALSE_BLOOMS: [Blooms; 3] = [Blooms::Empty, Blooms::Unrelated, Blooms::OfFirstLog];

const CHAIN_LABEL: &str = "chain=11155111";

fn start(urls: &[String], verify_logs: VerifyLogs, counts: &Counts) -> Following {
    let mut config = config_of(urls);
    config.verify_logs = verify_logs;
    let chains = metrics::with_local_recorder(counts, || Chains::new([config]));
    Following::start_with(&chains, Finality::Latest, &filters())
}

/// The log records that contain this text.
fn lines(log: &Log, words: &str) -> Vec<String> {
    let text = log.text();
    text.lines()
        .filter(|line| line.contains(words))
        .map(str::to_owned)
        .collect()
}

fn warnings(log: &Log) -> Vec<String> {
    lines(log, "the header's bloom lacks a log of its block")
}

/// A block with a log that no test's filter wants.
fn others(_: u64, _: u64) -> Vec<LogSpec> {
    vec![spec(0xc, &[9], &[])]
}

/// A block with a log that [`filters`] want.
fn ours(_: u64, _: u64) -> Vec<LogSpec> {
    vec![spec(0xa, &[1], &[])]
}

#[tokio::test]
async fn no_log_is_lost_to_a_false_bloom_and_the_operator_is_warned_once() {
    for url in [Node::http_url, Node::ws_url] {
        for verify_logs in MODES {
            for blooms in FALSE_BLOOMS {
                let (log, counts) = (Log::default(), Counts::default());
                let _guard = log.capture();
                let node = node_with_logs(5).await;
                node.show_blooms(blooms);
                let following = start(&[url(&node)], verify_logs, &counts);
                following.reaches(node.chain().head()).await;
                following.reaches(node.mine(3).last().unwrap()).await;
                node.mine_unannounced(40);
                following.reaches(node.mine(1).last().unwrap()).await;
                node.reorg(3, 5);
                following.reaches(node.chain().head()).await;
                check_logs(&node, &following);

                let what = format!("{verify_logs:?} {blooms:?}: {}", log.text());
                let is_noticed = verify_logs == VerifyLogs::Bloom;
                assert_eq!(warnings(&log).len(), usize::from(is_noticed), "{what}");
                let untrue = counts.sum(names::UNTRUE_BLOOMS, &[CHAIN_LABEL]);
                assert_eq!(untrue > 0, is_noticed, "{what}");
                assert_eq!(counts.sum(names::UNVERIFIED, &[CHAIN_LABEL]) > 0, is_noticed, "{what}");
                assert_eq!(lines(&log, "the endpoint is rested"), Vec::<String>::new());
            }
        }
    }
}

#[tokio::test]
async fn a_bloom_that_cannot_be_read_rules_nothing_out() {
    for verify_logs in MODES {
        let (log, counts) = (Log::default(), Counts::default());
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        node.show_blooms(Blooms::Unreadable);
        let following = start(&[node.http_url()], verify_logs, &counts);
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(9).last().unwrap()).await;
        check_logs(&node, &following);
        assert_eq!(warnings(&log), Vec::<String>::new());
    }
}

#[tokio::test]
async fn logs_that_a_bloom_lacks_are_believed_from_two_endpoints_that_agree() {
    for blooms in FALSE_BLOOMS {
        let (log, counts) = (Log::default(), Counts::default());
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        let second = node.replica().await;
        node.show_blooms(blooms);
        second.show_blooms(blooms);
        let urls = [node.http_url(), second.http_url()];
        let following = start(&urls, VerifyLogs::Bloom, &counts);
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(9).last().unwrap()).await;
        check_logs(&node, &following);
        assert_eq!(warnings(&log).len(), 1, "{blooms:?}");
        assert_eq!(lines(&log, "the endpoint is rested"), Vec::<String>::new());
        // The second endpoint confirms the first check, or the first log. Afterwards the first
        // endpoint is accepted.
        assert_eq!(second.count("eth_getLogs"), 1, "{blooms:?}");
    }
}

#[tokio::test]
async fn a_log_that_a_bloom_lacks_is_refused_where_another_endpoint_does_not_have_it() {
    let (log, counts) = (Log::default(), Counts::default());
    let _guard = log.capture();
    let liar = std::sync::Arc::new(node_with_logs(5).await);
    let honest = liar.replica().await;
    crate::hostile_logs::answer_with(&liar, |logs| {
        let mut more = logs[0].clone();
        more["topics"] = json!([alloy_primitives::B256::repeat_byte(0xee)]);
        more["logIndex"] = json!("0x99");
        logs.push(more);
    });
    let urls = [liar.http_url(), honest.http_url()];
    let following = start(&urls, VerifyLogs::Bloom, &counts);
    following.reaches(liar.chain().head()).await;
    following.reaches(liar.mine(4).last().unwrap()).await;
    check_logs(&liar, &following);
    let rested = lines(&log, "the endpoint is rested");
    assert!(
        rested[0].contains("it has logs that the block does not have"),
        "{rested:?}"
    );
    assert_eq!(warnings(&log), Vec::<String>::new());
    assert_eq!(counts.sum(names::UNTRUE_BLOOMS, &[CHAIN_LABEL]), 0);
}

/// As documented: nexum requests the first 16 blocks that a bloom rules out, then one of 127.
#[tokio::test]
async fn few_of_the_blocks_that_true_blooms_rule_out_are_asked_for() {
    let counts = Counts::default();
    let node = Node::start().await;
    node.set_logs(others);
    node.mine(1);
    let following = start(&[node.ws_url()], VerifyLogs::Bloom, &counts);
    following.reaches(node.chain().head()).await;
    for _ in 2..=20 {
        following.reaches(&node.mine(1)[0]).await;
    }
    assert_eq!(node.count("eth_getLogs"), 16);
    following.reaches(node.mine(280).last().unwrap()).await;
    assert_eq!(node.count("eth_getLogs"), 18);
    assert_eq!(counts.sum(names::LOG_FETCHES_SAVED, &[CHAIN_LABEL]), 300 - 18);
    assert_eq!(counts.sum(names::UNVERIFIED, &[CHAIN_LABEL]), 0);
    for call in node.calls().iter().filter(|call| call.method == "eth_getLogs") {
        let question = serde_json::from_str::<Value>(&call.params).unwrap();
        assert_eq!(
            question[0].as_object().unwrap().len(),
            1,
            "all logs of the block: {question}"
        );
    }
}

#[tokio::test]
async fn blocks_without_transactions_are_not_asked_for() {
    let counts = Counts::default();
    let node = Node::start().await;
    let following = start(&[node.http_url()], VerifyLogs::Bloom, &counts);
    following.reaches(node.chain().head()).await;
    following.reaches(node.mine(40).last().unwrap()).await;
    assert_eq!(node.count("eth_getLogs"), 0);
}

#[tokio::test]
async fn a_chain_whose_blooms_become_false_is_found_out_and_the_skipped_blocks_are_named() {
    let (log, counts) = (Log::default(), Counts::default());
    let _guard = log.capture();
    let node = Node::start().await;
    node.set_logs(others);
    node.mine(1);
    let following = start(&[node.ws_url()], VerifyLogs::Bloom, &counts);
    following.reaches(node.chain().head()).await;
    for _ in 2..=40 {
        following.reaches(&node.mine(1)[0]).await;
    }
    assert_eq!(warnings(&log), Vec::<String>::new());
    node.set_logs(ours);
    node.show_blooms(Blooms::Empty);
    // Block 16 was the last of the first checks.
    following.reaches(node.mine(102).last().unwrap()).await;
    assert_eq!(following.logs(), Vec::<Event>::new());
    following.reaches(node.mine(20).last().unwrap()).await;
    let model = node.chain();
    assert_eq!(following.logs(), wanted(&model.canonical()[143..], &filters()));
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1);
    for words in [
        "WARN",
        "chain=11155111",
        &format!("endpoint=\"{}\"", node.ws_url()),
        "block=143",
        "126 blocks from 17 to 142 were skipped before",
        "verify_logs = \"off\"",
    ] {
        assert!(warnings[0].contains(words), "{words}: {warnings:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_give_all_logs_of_a_block_is_asked_for_the_wanted_ones() {
    for refusal in [
        Answer::error(-32_602, "specify an address"),
        Answer::error(-32_005, "query returned more than 10000 results"),
        Answer::Huge { bytes: 2_000_000 },
    ] {
        for verify_logs in MODES {
            let (log, counts) = (Log::default(), Counts::default());
            let _guard = log.capture();
            let node = node_with_logs(5).await;
            node.show_blooms(Blooms::Empty);
            let refusal = refusal.clone();
            node.on("eth_getLogs", move |params| {
                let question = serde_json::from_str::<Value>(params.get()).unwrap();
                match question[0].get("address") {
                    None => refusal.clone(),
                    Some(_) => Answer::Default,
                }
            });
            let mut config = config(&node.http_url());
            config.verify_logs = verify_logs;
            config.response_bytes_max = 1_024 * 1_024;
            let chains = metrics::with_local_recorder(&counts, || Chains::new([config]));
            let following = Following::start_with(&chains, Finality::Latest, &filters());
            following.reaches(node.chain().head()).await;
            following.reaches(node.mine(9).last().unwrap()).await;
            check_logs(&node, &following);
            assert_eq!(warnings(&log).len(), usize::from(verify_logs == VerifyLogs::Bloom));
        }
    }
}

/// Each of a block's four logs, two per transaction, is delivered.
#[tokio::test]
async fn logs_with_equal_indexes_are_told_apart_by_their_transactions() {
    for verify_logs in MODES {
        let node = Node::start().await;
        node.set_logs(|number, _| (0..4).map(|log| spec(0xa, &[1], &[number as u8, log])).collect());
        node.mine(1);
        node.index_logs_in_transactions(true);
        let following = start(&[node.http_url()], verify_logs, &Counts::default());
        following.reaches(node.chain().head()).await;
        let blocks = node.mine(3);
        following.reaches(blocks.last().unwrap()).await;

        let model = node.chain();
        let mut expected = wanted(&model.canonical()[1..], &filters());
        assert_eq!(expected.len(), 4 * 4);
        // The position in the block follows from the order of the receipts.
        if verify_logs != VerifyLogs::Receipts {
            expected.iter_mut().for_each(|log| log.log_index %= 2);
        }
        assert_eq!(following.logs(), expected, "{verify_logs:?}");
    }
}

#[tokio::test]
async fn logs_that_a_reorg_has_removed_are_left_out() {
    for verify_logs in [VerifyLogs::Off, VerifyLogs::Bloom] {
        let node = std::sync::Arc::new(Node::start().await);
        node.set_logs(|_, _| (1..=3).map(|topic| spec(0xa, &[topic], &[])).collect());
        node.mine(1);
        crate::hostile_logs::answer_with(&node, |logs| logs[1]["removed"] = json!(true));
        let following = start(&[node.http_url()], verify_logs, &Counts::default());
        following.reaches(node.chain().head()).await;
        following.reaches(node.mine(2).last().unwrap()).await;
        let model = node.chain();
        let others = [filter(&[0xa], &[1]), filter(&[0xa], &[3])];
        assert_eq!(following.logs(), wanted(&model.canonical()[1..], &others));
        assert_eq!(following.logs().len(), 6);
        assert!(following.logs().iter().all(|log| log.chain_id == CHAIN));
    }
}
