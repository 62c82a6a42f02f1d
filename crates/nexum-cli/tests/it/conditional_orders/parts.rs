//! Orders in a world without faults.

use nexum_testing::cow::addresses::{COMPOSABLE_COW, RECEIVER_LOCK};
use nexum_testing::cow::{Address, Answer, ConditionalOrder, Tree, Twap};

use super::tower::Tower;

/// The seconds of a part: ten minutes, of which the order book takes orders in the first nine.
const PART_S: u64 = 600;

/// Each part is posted once at its time, and settled by the settlement contract under its UID.
#[tokio::test(flavor = "multi_thread")]
async fn a_twap_of_ten_parts_is_placed_part_by_part() {
    const PARTS: u64 = 10;
    let mut tower = Tower::start().await;
    let owner = tower.chain.safe(1).await;
    let start = tower.chain.timestamp() + 100;
    let twap = Twap::new(start, PARTS, PART_S);
    tower.chain.create(&[(owner, twap.order(1))]).await;
    tower.caught_up().await;
    tower.assert_parts(owner, &twap, 0..0);
    for part in 0..PARTS {
        tower.handle_at(start + part * PART_S).await;
        tower.assert_parts(owner, &twap, 0..part + 1);
        let order = tower.book.orders().pop().expect("an order");
        tower.chain.settle(order.owner, &order.terms, &order.signature).await;
        tower.book.settle(&order.uid);
        assert_eq!(tower.chain.filled_amount(&order.uid).await, order.terms.sell_amount);
        tower.handle_block().await;
        tower.handle_at(twap.valid_to(part)).await;
    }
    tower.handle_at(start + PARTS * PART_S).await;
    tower.handle_block().await;
    tower.assert_parts(owner, &twap, 0..PARTS);
    assert_eq!(tower.posts(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_in_the_block_of_its_creation() {
    let tower = Tower::start().await;
    let owner = tower.chain.safe(1).await;
    let twap = Twap::new(tower.chain.timestamp(), 2, PART_S);
    tower.chain.create(&[(owner, twap.order(1))]).await;
    let block = tower.chain.block_number().await;
    tower.book.until(|book| book.orders().len() == 1).await;
    assert_eq!(tower.chain.block_number().await, block, "no later block");
    tower.assert_parts(owner, &twap, 0..1);
    assert_eq!(tower.posts(), 1);
}

/// A start in the context, a wallet that is not a Safe, another receiver, leaves of a tree, a handler
/// that the module does not know, and one that needs a quote.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_order_is_placed() {
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 5).await;
    let wallet = tower.chain.forwarder().await;
    let now = tower.chain.timestamp();
    let at_once = Twap::new(now, 2, PART_S);
    let elsewhere = Twap {
        receiver: Address::repeat_byte(7),
        ..at_once.clone()
    };
    let orders = [
        (wallet, at_once.order(1)),
        (owners[0], elsewhere.order(1)),
        (owners[1], ConditionalOrder::says(1, &Answer::AtEpoch(now + PART_S))),
        (
            owners[2],
            ConditionalOrder::good_after_time(1, 1_000_000, now, now + PART_S),
        ),
    ];
    tower.chain.create(&orders).await;
    let by_context = Twap::new(0, 2, PART_S);
    tower.chain.create_with_context(owners[3], &by_context.order(1)).await;
    let created = tower.chain.timestamp();
    let later = Twap::new(now + 10 * PART_S, 2, PART_S);
    let tree = Tree::new(vec![by_context.order(1), later.order(2)]);
    tower.chain.set_root_with_context(owners[4], &tree).await;
    let rooted = tower.chain.timestamp();
    tower.mine_until_orders(5, 1).await;
    tower.handle_block().await;
    tower.assert_parts(wallet, &at_once, 0..1);
    tower.assert_parts(owners[0], &elsewhere, 0..1);
    tower.assert_parts(owners[1], &at_once, 0..0);
    tower.assert_parts(owners[3], &Twap::new(created, 2, PART_S), 0..1);
    tower.assert_parts(owners[4], &Twap::new(rooted, 2, PART_S), 0..1);
    let accepted = tower.book.orders();
    let quoted = accepted.iter().find(|order| order.owner == owners[2]);
    assert_eq!(quoted.map(|order| u64::from(order.terms.valid_to)), Some(now + PART_S));
    assert_eq!(tower.posts(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_guard_holds_an_order_back_until_the_owner_removes_it() {
    let mut tower = Tower::start().await;
    let owner = tower.chain.safe(1).await;
    tower.chain.set_swap_guard(owner, RECEIVER_LOCK).await;
    let twap = Twap {
        receiver: Address::repeat_byte(7),
        ..Twap::new(tower.chain.timestamp(), 2, PART_S)
    };
    tower.chain.create(&[(owner, twap.order(1))]).await;
    tower.caught_up().await;
    tower.handle_block().await;
    tower.assert_parts(owner, &twap, 0..0);
    tower.chain.set_swap_guard(owner, Address::ZERO).await;
    tower.caught_up().await;
    tower.assert_parts(owner, &twap, 0..1);
    assert_eq!(tower.posts(), 1);
}

/// An owner without an allowance, and a Safe that does not accept the registry's signatures yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_when_its_owner_can_trade() {
    const LONG_PART_S: u64 = 7_200;
    let mut tower = Tower::start().await;
    let owners = tower.chain.safes(1, 2).await;
    tower.chain.approve(owners[0], false).await;
    tower.chain.set_verifier(owners[1], Address::ZERO).await;
    let twap = Twap::new(tower.chain.timestamp(), 2, LONG_PART_S);
    let orders: Vec<_> = owners.iter().map(|&owner| (owner, twap.order(1))).collect();
    tower.chain.create(&orders).await;
    tower.caught_up().await;
    for _ in 0..5 {
        tower.handle_block().await;
    }
    assert!(tower.book.orders().is_empty());
    tower.chain.approve(owners[0], true).await;
    tower.chain.set_verifier(owners[1], COMPOSABLE_COW).await;
    tower.mine_until_orders(2, 12).await;
    tower.handle_block().await;
    for owner in owners {
        tower.assert_parts(owner, &twap, 0..1);
    }
}

/// `remove` emits nothing, so only a poll can show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_order_is_placed_no_more_until_it_is_created_again() {
    let mut tower = Tower::start().await;
    let owner = tower.chain.safe(1).await;
    let start = tower.chain.timestamp();
    let twap = Twap::new(start, 4, PART_S);
    let order = twap.order(1);
    tower.chain.create(&[(owner, order.clone())]).await;
    tower.caught_up().await;
    tower.chain.remove(owner, &order).await;
    tower.handle_at(start + PART_S).await;
    tower.handle_block().await;
    tower.assert_parts(owner, &twap, 0..1);
    tower.chain.create(&[(owner, order)]).await;
    tower.caught_up().await;
    tower.assert_parts(owner, &twap, 0..2);
    assert_eq!(tower.posts(), 2);
}
