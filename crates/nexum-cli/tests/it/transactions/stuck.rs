//! Transactions that blocks do not take at once, or lose again.

use std::time::Duration;

use nexum_testing::accounts::ACCOUNTS;
use serde_json::json;

use super::{Module, World, assert_each_once};

/// The base fee rises above what the transaction pays, so nexum replaces it, and a block takes the replacement.
#[tokio::test]
async fn a_transaction_with_low_fees_is_replaced_until_a_block_takes_it() {
    let world = World::new(vec![Module::payer("first = 1\nlast = 1\n")], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    log.until(|line| line.contains("ok "));
    // Anvil's pool keeps it, and no block takes it.
    let high = json!(["0x12a05f2000"]);
    for _ in 0..4 {
        world
            .anvil
            .request("anvil_setNextBlockBaseFeePerGas", high.clone())
            .await;
        world.anvil.mine(1).await;
    }
    log.until(|line| line.contains("nexum replaces a transaction"));
    let pool = async {
        loop {
            world
                .anvil
                .request("anvil_setNextBlockBaseFeePerGas", high.clone())
                .await;
            world.anvil.mine(1).await;
            if !world.paid(0).await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(nexum_testing::WAIT_MAX, pool)
        .await
        .expect("a block with the transaction");
    assert_each_once(&world.paid(0).await, [1]);
    log.until(|line| line.contains("a transaction is in a block"));
}

/// The pool loses a transaction, as a node does at a restart.
#[tokio::test]
async fn a_transaction_that_the_node_has_lost_is_submitted_again() {
    let world = World::new(vec![Module::payer("first = 1\nlast = 1\n")], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    log.until(|line| line.contains("ok "));
    world.anvil.request("anvil_dropAllTransactions", json!([])).await;
    world.anvil.mine(1).await;
    mine_until_paid(&world, 0, 1).await;
    assert_each_once(&world.paid(0).await, [1]);
}

/// Mines until an account has this many transactions in blocks.
async fn mine_until_paid(world: &World, account: usize, count: usize) {
    let mined = async {
        while world.paid(account).await.len() < count {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.anvil.mine(1).await;
        }
    };
    tokio::time::timeout(nexum_testing::WAIT_MAX, mined)
        .await
        .expect("transactions in blocks");
}

/// The block with the transaction is removed. The event is removed too, and a new one has the same transaction.
#[tokio::test]
async fn a_transaction_of_a_removed_block_is_in_another_one_once() {
    let payer = Module {
        // `Anvil::reorg` uses the first account.
        account: 1,
        ..Module::payer("first = 1\nlast = 3\nvalue = \"0x7\"\n")
    };
    let world = World::new(vec![payer], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    log.until(|line| line.contains("ok "));
    world.anvil.mine(2).await;
    // A block with a transaction is an event too, and only the first three have one.
    mine_until_paid(&world, 1, 3).await;
    world.anvil.reorg(3).await;
    mine_until_paid(&world, 1, 3).await;
    let paid = world.paid(1).await;
    assert_each_once(&paid, [7, 7, 7]);
    // No further transaction is on its way.
    for _ in 0..5 {
        world.anvil.mine(1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(world.paid(1).await, paid);
}

/// Another program sends a transaction with the key: nexum stops, and says so.
#[tokio::test]
async fn an_account_that_somebody_else_uses_is_halted() {
    let world = World::new(vec![Module::payer("first = 1\n")], &["--no-mining"]);
    world.anvil.mine(1).await;
    let (_child, log) = world.start();
    log.until(|line| line.contains("ok "));
    world.use_key_elsewhere(0).await;
    log.until(|line| {
        line.contains("nexum stops sending from an account") && line.contains("another program uses the key")
    });
    // nexum may have handled the event of the other program's block before it found the transaction.
    world.anvil.mine(1).await;
    let is_refused = |line: &str| line.contains("(chain: ");
    let lines = log.until(is_refused);
    let refused = lines.last().expect("a record");
    assert!(refused.contains("nexum account sync account0"), "{lines:#?}");
    for _ in 0..3 {
        world.anvil.mine(1).await;
        let lines = log.until(is_refused);
        assert!(
            lines.iter().all(|line| !line.contains("nexum::module: ok ")),
            "{lines:#?}"
        );
    }
    let paid = world.paid(0).await;
    assert_eq!(paid[0].to, ACCOUNTS[1].address.to_lowercase());
    assert!(paid.len() <= 2, "{paid:?}");
}
