//! The way of transactions from their first submission to a final block.

use std::time::Duration;

use alloy_primitives::U256;
use nexum_core::capability::{Submission, SubmitTo};
use nexum_host_tx::{Purpose, TransactionState};
use nexum_testing::accounts::ACCOUNTS;
use serde_json::json;

use crate::gateway::Fate;
use crate::world::{FINAL_DEPTH, SHOPS, Settings, World, account};

/// A base fee of 100 gwei.
const HIGH: &str = "0x174876e800";

impl World {
    /// Mines blocks with a high base fee until this holds.
    async fn mine_high_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mined = async {
            while !holds(self) {
                self.anvil
                    .request("anvil_setNextBlockBaseFeePerGas", json!([HIGH]))
                    .await;
                self.anvil.mine(1).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(nexum_testing::WAIT_MAX, mined).await.is_err() {
            panic!("waited for {what}: {:#?}", self.rows());
        }
    }

    fn waits(&self) -> String {
        self.newest().transaction.waits.unwrap_or_default()
    }
}

/// ethers #972: a refused transaction leaves a gap before one that was sent meanwhile.
#[tokio::test]
async fn an_empty_transaction_takes_the_nonce_of_a_refused_one_before_a_later_one() {
    let settings = Settings {
        modules: 2,
        ..Settings::new().with("errors", "fail")
    };
    let world = World::start(settings).await;
    world.gateway.fates(&[Fate::RefusedAfterNext("insufficient funds")]);
    world.next().await;
    world.finish().await;
    world.check().await;
    let rows = world.rows();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].transaction.newest().purpose, Purpose::Cancel);
    let empty = &world.paid().await[&0];
    assert_eq!((empty.to, empty.value), (account(), 0));
}

#[tokio::test]
async fn the_transaction_of_a_reverted_event_is_cancelled_if_the_operator_wants_that() {
    let settings = Settings {
        on_revert: "cancel",
        ..Settings::new()
    };
    let world = World::start(settings).await;
    world.gateway.always(Some(Fate::LostBefore));
    world.next().await;
    world.events.reorg(1);
    let newest = || world.newest().transaction.newest().purpose;
    world
        .mine_until("an empty version", || newest() == Purpose::Cancel)
        .await;
    world.gateway.always(None);
    world.finish().await;
    assert_eq!(world.values(SHOPS[0]).await, [0; 0]);
    assert_eq!(world.paid().await[&0].to, account());
    // The event comes again in another block.
    world.next().await;
    let said = world.said().pop().expect("a record");
    assert!(
        said.contains("nexum has cancelled the transaction with nonce 0"),
        "{said}"
    );
    assert_eq!(world.spent("one").value_of_day, U256::ZERO);
}

#[tokio::test]
async fn relays_get_a_transaction_with_each_block_and_everyone_gets_it_afterwards() {
    for fallback in [true, false] {
        let world = World::start(Settings::new()).await;
        world.gateway.set_submission(Submission {
            is_private: true,
            blocks: 3,
            fallback,
        });
        world.gateway.always(Some(Fate::LostBefore));
        world.next().await;
        let gateway = world.gateway.clone();
        let public = || gateway.seen().iter().filter(|seen| seen.to == SubmitTo::Public).count();
        let is_over = || gateway.seen().len() > 8;
        world.mine_until("submissions", is_over).await;
        let relayed = gateway
            .seen()
            .iter()
            .take_while(|seen| seen.to == SubmitTo::Configured)
            .count();
        assert_eq!((public() > 0, relayed < gateway.seen().len()), (fallback, fallback));
        assert!(relayed >= 2, "{:?}", gateway.seen());
        world.gateway.always(None);
        world.finish().await;
        world.check().await;
    }
}

#[tokio::test]
async fn the_state_forgets_settled_transactions_and_no_nonce() {
    let mut settings = Settings::new();
    settings.tx.keep = Duration::from_secs(60);
    let world = World::start(settings).await;
    world.next().await;
    world.finish().await;
    world.check().await;
    world.clock.advance(Duration::from_secs(61));
    world.until("an empty state", || world.rows().is_empty()).await;
    world.next().await;
    world.finish().await;
    assert_eq!(world.newest().nonce, 1);
    assert_eq!(world.values(SHOPS[0]).await, [1, 2]);
}

#[tokio::test]
async fn the_first_hash_finds_the_receipt_of_the_version_in_a_block() {
    let mut world = World::start(Settings::new()).await;
    world.gateway.always(Some(Fate::LostBefore));
    world.next().await;
    world
        .mine_high_until("a version", |world| world.newest().transaction.versions.len() > 1)
        .await;
    world.gateway.always(None);
    world.finish().await;
    world.check().await;
    let transaction = world.newest().transaction;
    let (first, newest) = (transaction.versions[0].hash, transaction.newest().hash);
    world.stop().await;
    let params = json!([first]).to_string();
    world.settings = world
        .settings
        .clone()
        .with("method", "eth_getTransactionReceipt")
        .with("params", &params);
    world.restart().await;
    world.next().await;
    let said = world.said().pop().expect("a record");
    assert!(
        said.contains(&newest.to_string()) && said.contains("\"status\":\"0x1\""),
        "{said}"
    );
}

#[tokio::test]
async fn a_receipt_that_was_a_lie_loses_no_transaction() {
    let world = World::start(Settings::new()).await;
    world.gateway.always(Some(Fate::LostBefore));
    world.next().await;
    let receipt = json!({
        "transactionHash": world.newest().transaction.newest().hash,
        "blockNumber": "0x1000",
        "blockHash": format!("0x{:064x}", 7),
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "status": "0x1",
    });
    world.gateway.lie("eth_getTransactionReceipt", &receipt.to_string());
    world.gateway.lie("eth_getTransactionCount", "\"0x1\"");
    let is_mined = || matches!(world.newest().transaction.state, TransactionState::Mined(_));
    world.mine_until("the lie", is_mined).await;
    world.gateway.tell_the_truth("eth_getTransactionReceipt");
    world.gateway.tell_the_truth("eth_getTransactionCount");
    world
        .mine_until("the truth", || world.newest().transaction.is_pending())
        .await;
    world.gateway.always(None);
    world.finish().await;
    world.check().await;
}

#[tokio::test]
async fn a_nonce_that_another_program_has_used_halts_the_account_and_is_lost_once_that_is_final() {
    let world = World::start(Settings::new()).await;
    world.gateway.always(Some(Fate::LostBefore));
    world.next().await;
    let foreign = json!([{ "from": account(), "to": ACCOUNTS[0].address, "value": "0x5" }]);
    world.anvil.request("eth_sendTransaction", foreign).await;
    world.anvil.mine(1).await;
    world.until("a halt", || world.report().halt.is_some()).await;
    assert!(world.newest().transaction.is_pending());
    world.anvil.mine(FINAL_DEPTH + 1).await;
    let state = || world.newest().transaction.state;
    world.until("the end", || state() == TransactionState::Lost).await;
    assert_eq!(world.spent("one").in_flight, 0);
    world.next().await;
    let said = world.said().pop().expect("a record");
    assert!(said.contains("nexum account sync hot"), "{said}");
    // The operator has looked at it.
    world.gateway.always(None);
    world
        .transactions()
        .sync(&"hot".parse().unwrap(), None)
        .await
        .expect("a sync");
    world.next().await;
    assert_eq!(world.newest().nonce, 1);
    world.finish().await;
    assert_eq!(world.values(SHOPS[0]).await, [3]);
}

#[tokio::test]
async fn a_limit_stops_higher_fees_and_says_so() {
    for (limits, reason) in [
        (
            "max_fee_gwei = 1, fee_per_day = \"1\", value_per_day = \"1\"",
            "it may pay 1",
        ),
        (
            "max_fee_gwei = 1000, fee_per_day = \"0.0001\", value_per_day = \"1\"",
            "`fee_per_day`",
        ),
    ] {
        let settings = Settings {
            limits,
            ..Settings::new()
        };
        let world = World::start(settings).await;
        world.gateway.always(Some(Fate::LostBefore));
        world.next().await;
        world
            .mine_high_until(reason, |world| world.waits().contains(reason))
            .await;
        assert_eq!(world.newest().transaction.versions.len(), 1);
        world.gateway.always(None);
        world.finish().await;
        world.check().await;
    }
}
