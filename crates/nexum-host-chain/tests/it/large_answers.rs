//! Several endpoints whose answers about logs are larger than nexum accepts.

use nexum_config::topic::Finality;
use nexum_host_chain::Chains;
use nexum_testing::{Answer, Node};

use crate::captured::Log;
use crate::refusals::{MIB, asked, lines, span};
use crate::replay::{check, logs_of};
use crate::support::{CHAIN, Following, config_of, soon};
use crate::wanted::{check_logs, filters, node_with_logs, wanted};

/// An endpoint whose logs are too large for nexum, and that has these receipts.
fn give_too_large_logs(node: &Node, receipts: Answer) {
    node.on("eth_getLogs", |_| Answer::Huge { bytes: 2_000_000 });
    node.on("eth_getBlockReceipts", move |_| receipts.clone());
}

#[tokio::test]
async fn logs_that_are_too_large_come_from_the_receipts_of_another_endpoint() {
    let refusals = [
        Answer::error(-32_601, "the method eth_getBlockReceipts does not exist"),
        Answer::status(503),
        Answer::Huge { bytes: 2_000_000 },
    ];
    for refusal in refusals {
        let log = Log::default();
        let _guard = log.capture();
        let node = node_with_logs(5).await;
        let other = node.replica().await;
        let mut config = config_of(&[node.http_url(), other.http_url()]);
        config.response_bytes_max = MIB;
        let chains = Chains::new([config]);
        let following = Following::start_with(&chains, Finality::Latest, &filters());
        following.reaches(node.chain().head()).await;
        give_too_large_logs(&node, refusal);
        give_too_large_logs(&other, Answer::Default);
        // The endpoint fails to give the receipts of more blocks than it takes for a refusal.
        following.reaches(node.mine(20).last().unwrap()).await;
        check_logs(&node, &following);
        assert_eq!(lines(&log, "too many for one answer"), Vec::<String>::new());
        let source = chains.source(CHAIN).unwrap();
        for number in 1..=20 {
            let read = soon(source.replay(&logs_of(number..=number, &filters())))
                .await
                .unwrap();
            let logs: Vec<_> = read.blocks.iter().flat_map(|block| block.logs.clone()).collect();
            let model = node.chain();
            assert_eq!(logs, wanted(model.by_number(number), &filters()), "{number}");
        }
    }
}

/// The endpoint has no logs for a range, and none of the blocks in it fits into an answer.
#[tokio::test]
async fn a_range_is_read_from_another_endpoint_where_no_log_can_prove_it() {
    let node = node_with_logs(20).await;
    let other = node.replica().await;
    give_too_large_logs(&node, Answer::Huge { bytes: 2_000_000 });
    node.on("eth_getLogs", move |params| match span(&asked(params)) {
        Some(2..) => Answer::Json("[]".to_owned()),
        _ => Answer::Huge { bytes: 2_000_000 },
    });
    let mut config = config_of(&[node.http_url(), other.http_url()]);
    config.response_bytes_max = MIB;
    check(&node, config, 1..=20, &filters()).await;
    assert!(node.count("eth_getLogs") > 0);
}
