//! Orders in a world with faults.

use std::time::Duration;

use nexum_testing::cow::{Address, Twap};
use nexum_testing::order_book::Fault;

use super::tower::Tower;

/// The seconds of a part: half an hour, which is longer than the waits after faults.
const PART_S: u64 = 1_800;

/// The parts of each TWAP.
const PARTS: u64 = 3;

/// The seconds between two blocks while a test waits for orders.
const BLOCK_S: u64 = 12;

/// The longest wait for a request before a kill: a daemon that has placed all orders makes none.
const PATIENCE: Duration = Duration::from_millis(300);

/// The seed of all random faults.
const SEED: u64 = 1;

/// Creates a TWAP for each owner, which starts soon.
async fn create(tower: &Tower, owners: &[Address]) -> Twap {
    let twap = Twap::new(tower.chain.timestamp() + 100, PARTS, PART_S);
    let orders: Vec<_> = owners.iter().map(|&owner| (owner, twap.order(1))).collect();
    tower.chain.create(&orders).await;
    twap
}

/// Asserts that each part of each owner is placed once.
fn assert_all_placed(tower: &Tower, owners: &[Address], twap: &Twap) {
    for &owner in owners {
        tower.assert_parts(owner, twap, 0..PARTS);
    }
    assert_eq!(
        tower.book.orders().len(),
        owners.len() * usize::try_from(PARTS).expect("a small number")
    );
}

/// Makes the node and the order book fail at random, or ends it.
fn fail(tower: &Tower, fails: bool) {
    let percent = |percent| if fails { percent } else { 0 };
    tower.relay.fail_at_random(SEED, percent(10));
    tower.book.fail_at_random(SEED, percent(30));
}

/// Begins each part, disturbs the daemon, and waits until all orders of the part are placed.
async fn place(tower: &mut Tower, owners: &[Address], twap: &Twap, kills: u64) {
    for part in 0..PARTS {
        let start = twap.start + part * PART_S;
        tower.chain.mine_at(start.max(tower.chain.timestamp() + 1)).await;
        for kill in 0..kills {
            // The daemon is killed after so many requests, in the middle of its work.
            let requests = tower.book.request_count() + kill;
            let made = tower.book.until(|book| book.request_count() >= requests);
            // All orders can be placed already.
            let _ = tokio::time::timeout(PATIENCE, made).await;
            tower.kill();
            tower.chain.mine(1).await;
            tower.run().await;
        }
        let placed = owners.len() * usize::try_from(part + 1).expect("a small number");
        tower.mine_until_orders(placed, BLOCK_S).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_placed_once_while_node_and_order_book_fail_at_random() {
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 8).await;
    fail(&tower, true);
    let twap = create(&tower, &owners).await;
    place(&mut tower, &owners, &twap, 0).await;
    fail(&tower, false);
    tower.handle_block().await;
    assert_all_placed(&tower, &owners, &twap);
    assert!(tower.posts() > 24, "no request of an order failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_placed_once_by_a_daemon_that_is_killed_again_and_again() {
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 6).await;
    let twap = create(&tower, &owners).await;
    place(&mut tower, &owners, &twap, 5).await;
    tower.handle_block().await;
    assert_all_placed(&tower, &owners, &twap);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_placed_once_by_a_killed_daemon_while_node_and_order_book_fail() {
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 6).await;
    fail(&tower, true);
    let twap = create(&tower, &owners).await;
    place(&mut tower, &owners, &twap, 3).await;
    fail(&tower, false);
    tower.handle_block().await;
    assert_all_placed(&tower, &owners, &twap);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_under_a_creation_neither_repeats_nor_keeps_an_order() {
    let mut tower = Tower::start().await;
    let owner = tower.chain.safe(1).await;
    let start = tower.chain.timestamp();
    let twap = Twap::new(start, 5, PART_S);
    let order = twap.order(1);
    tower.chain.mine(2).await;
    tower.chain.create(&[(owner, order.clone())]).await;
    tower.caught_up().await;
    tower.assert_parts(owner, &twap, 0..1);

    // The block of the creation and the one before it are replaced by blocks without it.
    tower.chain.anvil().reorg(2).await;
    tower.chain.read_time().await;
    assert!(tower.chain.poll(owner, &order).await.is_err(), "the creation is gone");
    tower.handle_at(start + PART_S).await;
    tower.handle_block().await;
    tower.assert_parts(owner, &twap, 0..1);

    tower.chain.create(&[(owner, order)]).await;
    tower.caught_up().await;
    tower.assert_parts(owner, &twap, 0..2);
    tower.handle_at(start + 2 * PART_S).await;
    tower.assert_parts(owner, &twap, 0..3);
    assert_eq!(tower.posts(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_placed_after_the_order_book_was_down_for_ten_minutes() {
    // The daemon retries a request until shortly before the deadline of the event, at each of ten blocks.
    let mut tower = Tower::start_with("event_deadline_ms = 1000").await;
    let owners = tower.chain.safes(1, 5).await;
    let twap = create(&tower, &owners).await;
    tower.caught_up().await;
    tower.book.fail_always(Some(Fault::Status(503)));
    for minute in 0..10 {
        tower.handle_at(twap.start + minute * 60).await;
    }
    assert!(tower.book.orders().is_empty());
    tower.book.fail_always(None);
    place(&mut tower, &owners, &twap, 0).await;
    tower.handle_block().await;
    assert_all_placed(&tower, &owners, &twap);
}
