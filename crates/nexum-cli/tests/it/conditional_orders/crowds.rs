//! Many orders.

use nexum_testing::cow::{Answer, ConditionalOrder, Tree, Twap};

use super::tower::Tower;

/// The seconds of a part: an hour, so that all orders can be placed within it.
const PART_S: u64 = 3_600;

/// The open limit orders per owner that the order book accepts in these tests.
const LIMIT_ORDERS_MAX: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_due_orders_among_a_thousand_are_placed() {
    let mut tower = Tower::start().await;
    tower.book.set_limit_orders_max(LIMIT_ORDERS_MAX);
    let owner = tower.chain.safe(1).await;
    let now = tower.chain.timestamp();
    let (due, later) = (now + 1_000, now + 100 * PART_S);
    let twap = |start, salt| (owner, Twap::new(start, 4, PART_S).order(salt));
    let mut orders: Vec<_> = (0..990).map(|salt| twap(later, salt)).collect();
    // The digests of the parts differ by their ends.
    let starts: Vec<_> = (0..10).map(|number| due + number).collect();
    orders.extend(starts.iter().map(|&start| twap(start, 0)));
    tower.chain.create(&orders).await;
    tower.caught_up().await;
    let calls = tower.relay.calls("eth_call");
    for _ in 0..5 {
        tower.handle_block().await;
    }
    assert_eq!(
        tower.relay.calls("eth_call"),
        calls,
        "a block without due orders asks the chain nothing"
    );
    assert_eq!(tower.posts(), 0);
    tower.handle_at(due + 10).await;
    tower.mine_until_orders(10, 1).await;
    tower.handle_block().await;
    let expected: Vec<_> = starts.iter().map(|start| start + PART_S - 1).collect();
    assert_eq!(tower.ends(owner), expected);
    assert_eq!(tower.posts(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_handlers_do_not_hold_up_good_orders() {
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 21).await;
    let twap = Twap::new(tower.chain.timestamp(), 2, PART_S);
    let endless = |salt| (owners[20], ConditionalOrder::says(salt, &Answer::Endless));
    let mut orders = vec![endless(1), endless(2)];
    orders.extend(owners[..20].iter().map(|&owner| (owner, twap.order(1))));
    tower.chain.create(&orders).await;
    tower.mine_until_orders(20, 1).await;
    tower.handle_at(twap.start + PART_S).await;
    tower.mine_until_orders(40, 1).await;
    for &owner in &owners[..20] {
        tower.assert_parts(owner, &twap, 0..2);
    }
    assert_eq!(tower.posts(), 40);
}

/// Sets a tree with a thousand leaves, of which some are due soon, kills the daemon while it reads the tree,
/// and expects that the due leaves are placed.
async fn leaves_are_placed(kills: u64) {
    const LEAVES: u64 = 1_000;
    const DUE: u64 = 40;
    let mut tower = Tower::start().await;
    tower.book.set_limit_orders_max(LIMIT_ORDERS_MAX);
    let owner = tower.chain.safe(1).await;
    let now = tower.chain.timestamp();
    let due = now + 1_000;
    let leaf = |number| match number % (LEAVES / DUE) {
        0 => Twap::new(due + number, 2, PART_S).order(number),
        _ => Twap::new(now + 100 * PART_S, 2, PART_S).order(number),
    };
    let tree = Tree::new((0..LEAVES).map(leaf).collect());
    tower.caught_up().await;
    tower.chain.set_root(owner, &tree).await;
    for kill in 0..kills {
        // Each time a little later in the work.
        tower.relay.until_requests(tower.relay.requests() + 2 + 2 * kill).await;
        tower.kill();
        tower.chain.mine(1).await;
        tower.run().await;
    }
    tower.caught_up().await;
    tower.chain.mine_at(due + LEAVES).await;
    tower
        .mine_until_orders(usize::try_from(DUE).expect("a small number"), 1)
        .await;
    tower.handle_block().await;
    let expected: Vec<_> = (0..DUE)
        .map(|number| due + number * (LEAVES / DUE) + PART_S - 1)
        .collect();
    assert_eq!(tower.ends(owner), expected);
    assert_eq!(tower.posts(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaves_of_a_root_of_a_thousand_are_placed() {
    leaves_are_placed(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaves_of_a_root_of_a_thousand_are_placed_by_a_killed_daemon() {
    leaves_are_placed(4).await;
}
