//! The logs of a real node.

use alloy_primitives::{Address, Bytes, U64};
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::Finality;
use nexum_core::source::Log;
use nexum_core::source::Replay;
use nexum_host_chain::{Chains, VerifyLogs};
use nexum_testing::{Anvil, AnvilOptions};
use serde::Deserialize as _;
use serde_json::json;

use crate::anvil::head;
use crate::support::{CHAIN, Following, chains, config};
use crate::wanted::spec;

const URLS: [fn(&Anvil) -> String; 2] = [Anvil::http_url, Anvil::ws_url];

/// Block, log index and data of each log of the emitter on the node, from a block on.
async fn truth(anvil: &Anvil, emitter: Address, from: u64) -> Vec<(u64, u32, Vec<u8>)> {
    let filter = json!([{ "address": emitter, "fromBlock": format!("{from:#x}") }]);
    let logs = anvil.request("eth_getLogs", filter).await;
    let number = |value: &serde_json::Value| U64::deserialize(value).unwrap().to::<u64>();
    let read = |log: &serde_json::Value| {
        let index = u32::try_from(number(&log["logIndex"])).unwrap();
        (
            number(&log["blockNumber"]),
            index,
            Bytes::deserialize(&log["data"]).unwrap().to_vec(),
        )
    };
    logs.as_array().unwrap().iter().map(read).collect()
}

fn seen(logs: &[Log]) -> Vec<(u64, u32, Vec<u8>)> {
    let place = |log: &Log| (log.block_number, log.log_index, log.data.clone());
    logs.iter().map(place).collect()
}

fn of(emitter: Address) -> LogFilter {
    LogFilter {
        addresses: vec![emitter.0.0],
        ..LogFilter::default()
    }
}

async fn emit(anvil: &Anvil, emitter: Address, round: u8) {
    let mut logs = [
        spec(0, &[1, 2], &[round, 1]),
        spec(0, &[], &[round, 2]),
        spec(0, &[3], &[]),
    ];
    logs.iter_mut().for_each(|log| log.address = emitter);
    anvil.emit(&logs).await;
}

async fn check(anvil: &Anvil, emitter: Address, following: &Following) {
    following.reaches_position(head(anvil).await).await;
    let first = following.chain()[0].number;
    let logs = seen(&following.logs());
    assert_eq!(logs, truth(anvil, emitter, first).await);
    assert!(!logs.is_empty());
}

#[tokio::test]
async fn logs_of_a_real_contract_arrive_through_reorgs_over_every_way_of_checking() {
    for url in URLS {
        for verify_logs in [VerifyLogs::Bloom, VerifyLogs::Receipts, VerifyLogs::Off] {
            let anvil = Anvil::start();
            let (emitter, other) = (anvil.deploy_emitter().await, anvil.deploy_emitter().await);
            anvil.mine(3).await;
            let mut config = config(&url(&anvil));
            config.verify_logs = verify_logs;
            let following = Following::start_with(&Chains::new([config]), Finality::Latest, &[of(emitter)]);
            following.reaches_position(head(&anvil).await).await;
            for round in 0..3 {
                emit(&anvil, emitter, round).await;
                emit(&anvil, other, round).await;
                check(&anvil, emitter, &following).await;
            }
            // Removes some of the logs permanently.
            anvil.reorg(3).await;
            emit(&anvil, emitter, 9).await;
            check(&anvil, emitter, &following).await;
            assert!(!following.reverts().is_empty());
            following.stop().await;
        }
    }
}

#[tokio::test]
async fn logs_of_a_real_contract_arrive_through_a_restart() {
    for url in URLS {
        let directory = tempfile::tempdir().unwrap();
        let mut anvil = Anvil::start_with(&AnvilOptions {
            state: Some(directory.path().join("state.json")),
            ..AnvilOptions::default()
        });
        let emitter = anvil.deploy_emitter().await;
        let following = Following::start_with(&chains(&url(&anvil)), Finality::Latest, &[of(emitter)]);
        following.reaches_position(head(&anvil).await).await;
        emit(&anvil, emitter, 1).await;
        anvil.mine(2).await;
        check(&anvil, emitter, &following).await;
        anvil.stop();
        anvil.restart();
        emit(&anvil, emitter, 2).await;
        anvil.mine(40).await;
        emit(&anvil, emitter, 3).await;
        check(&anvil, emitter, &following).await;
        assert!(following.reverts().is_empty());

        // A killed anvil loses unwritten blocks, and returns on another fork.
        emit(&anvil, emitter, 4).await;
        anvil.mine(2).await;
        check(&anvil, emitter, &following).await;
        anvil.kill();
        anvil.restart();
        anvil.mine(60).await;
        emit(&anvil, emitter, 5).await;
        check(&anvil, emitter, &following).await;
        assert!(!following.reverts().is_empty());
    }
}

#[tokio::test]
async fn logs_of_a_real_contract_are_read_again() {
    let anvil = Anvil::start();
    let emitter = anvil.deploy_emitter().await;
    for round in 0..5 {
        emit(&anvil, emitter, round).await;
        anvil.mine(30).await;
    }
    let through = head(&anvil).await;
    for url in URLS {
        for blocks in [false, true] {
            let source = chains(&url(&anvil)).source(CHAIN).unwrap();
            let mut numbers = 1..=through.number;
            let mut logs = Vec::new();
            while !numbers.is_empty() {
                let wanted = Replay {
                    numbers: numbers.clone(),
                    blocks,
                    filters: [of(emitter)].into(),
                };
                let replayed = source.replay(&wanted).await.unwrap();
                logs.extend(replayed.blocks.iter().flat_map(|block| block.logs.clone()));
                numbers = replayed.through.number + 1..=through.number;
            }
            assert_eq!(seen(&logs), truth(&anvil, emitter, 1).await);
            assert_eq!(logs.len(), 15);
        }
    }
}
