//! Accounts that try to stop the module for others.
//!
//! Each test creates a good order beside the hostile ones, and expects that all parts of the good order are
//! placed.

use nexum_testing::cow::abi::SolCall;
use nexum_testing::cow::addresses::COMPOSABLE_COW;
use nexum_testing::cow::{Address, Answer, BLOCK_GAS, ConditionalOrder, Transaction, Twap, U256, abi, creation};
use nexum_testing::order_book::{Fault, StoredOrder};

use super::tower::Tower;

/// The seconds of a part.
const PART_S: u64 = 600;

/// The seconds between two blocks.
const BLOCK_S: u64 = 12;

/// The parts of the good order.
const PARTS: u64 = 3;

/// Mines the transactions in one block with the creation of a good order, and expects that it is placed.
async fn good_order_is_placed_beside(tower: Tower, mut hostile: Vec<Transaction>) {
    let owner = tower.chain.safe(1).await;
    let twap = Twap::new(tower.chain.timestamp(), PARTS, PART_S);
    let before = tower.chain.block_number().await;
    hostile.push(creation(owner, &twap.order(1)));
    tower.chain.execute(&hostile).await;
    assert_eq!(tower.chain.block_number().await, before + 1, "one block");
    is_placed(tower, owner, &twap).await;
}

/// Creates the orders, then a good one, and expects that it is placed.
async fn good_order_is_placed_after(tower: Tower, hostile: &[(Address, ConditionalOrder)]) {
    let owner = tower.chain.safe(1).await;
    tower.chain.create(hostile).await;
    let twap = Twap::new(tower.chain.timestamp(), PARTS, PART_S);
    tower.chain.create(&[(owner, twap.order(1))]).await;
    is_placed(tower, owner, &twap).await;
}

/// Mines until each part of a good order is placed.
async fn is_placed(mut tower: Tower, owner: Address, twap: &Twap) {
    for part in 0..PARTS {
        let start = twap.start + part * PART_S;
        tower.handle_at(start.max(tower.chain.timestamp() + 1)).await;
        let end = twap.valid_to(part);
        let is_part = |order: &StoredOrder| order.owner == owner && u64::from(order.terms.valid_to) == end;
        tower.handle_until(end, BLOCK_S, is_part).await;
    }
    tower.handle_block().await;
    tower.assert_parts(owner, twap, 0..PARTS);
}

/// A call of the registry with most of the gas of a block.
fn call(from: Address, call: &impl SolCall) -> Transaction {
    Transaction {
        gas: BLOCK_GAS / 2,
        ..Transaction::call(from, COMPOSABLE_COW, call)
    }
}

/// Many offsets of a list point to one large leaf, so that its decoded form is far larger than the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_whose_leaves_overlap_holds_up_no_order() {
    const LEAVES: usize = 2_000;
    const LEAF_BYTES: usize = 50_000;
    let tower = Tower::start().await;
    let attacker = tower.chain.account().await;
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    let mut data = Vec::new();
    data.extend(word(32));
    data.extend(word(LEAVES));
    data.extend((0..LEAVES).flat_map(|_| word(32 * LEAVES)));
    data.extend(word(LEAF_BYTES));
    data.resize(data.len() + LEAF_BYTES.next_multiple_of(32), 0);
    let set = abi::setRootCall {
        root: U256::ONE.into(),
        proof: abi::Proof {
            location: U256::ONE,
            data: data.into(),
        },
    };
    let hostile = vec![call(attacker, &set)];
    good_order_is_placed_beside(tower, hostile).await;
}

/// One transaction makes thousands of cheap logs of the registry.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_logs_in_a_block_hold_up_no_order() {
    const LOGS: u64 = 3_400;
    let tower = Tower::start().await;
    let repeater = tower
        .chain
        .deploy(tower.chain.contracts().creation("Repeater", &[]))
        .await;
    let account = tower.chain.account().await;
    let repeat = |input: Vec<u8>, times, gas| {
        let repeat = abi::repeatCall {
            to: COMPOSABLE_COW,
            data: input.into(),
            times: U256::from(times),
        };
        Transaction {
            gas,
            ..Transaction::call(account, repeater, &repeat)
        }
    };
    let root = abi::setRootCall {
        root: U256::ONE.into(),
        proof: abi::Proof {
            location: U256::ZERO,
            data: Vec::new().into(),
        },
    };
    let guard = abi::setSwapGuardCall {
        swapGuard: Address::repeat_byte(1),
    };
    let hostile = vec![
        repeat(root.abi_encode(), 1, BLOCK_GAS / 16),
        repeat(guard.abi_encode(), LOGS, BLOCK_GAS / 4 * 3),
    ];
    good_order_is_placed_beside(tower, hostile).await;
}

/// Handlers that revert with half a megabyte.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_with_huge_answers_hold_up_no_order() {
    const HANDLERS: u64 = 10;
    const BYTES: u64 = 450_000;
    let tower = Tower::start().await;
    let account = tower.chain.account().await;
    let huge = |salt| ConditionalOrder::says(salt, &Answer::LongRevert(BYTES));
    let hostile = (0..HANDLERS).map(|salt| creation(account, &huge(salt))).collect();
    good_order_is_placed_beside(tower, hostile).await;
}

/// Many endless handlers of one owner.
#[tokio::test(flavor = "multi_thread")]
async fn many_endless_handlers_hold_up_no_order() {
    const HANDLERS: u64 = 12;
    let tower = Tower::start().await;
    let account = tower.chain.account().await;
    let endless = |salt| ConditionalOrder::says(salt, &Answer::Endless);
    let hostile = (0..HANDLERS).map(|salt| creation(account, &endless(salt))).collect();
    good_order_is_placed_beside(tower, hostile).await;
}

/// Handlers whose orders are other ones at each block.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_with_a_new_order_at_each_block_hold_up_no_order() {
    const HANDLERS: u64 = 12;
    let tower = Tower::start().await;
    let account = tower.chain.account().await;
    let says = |salt| ConditionalOrder::says(salt, &Answer::Order(salt + 1));
    let hostile = (0..HANDLERS).map(|salt| creation(account, &says(salt))).collect();
    good_order_is_placed_beside(tower, hostile).await;
}

/// More orders than a block asks quotes for.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_orders_that_need_quotes_holds_up_no_order() {
    const ORDERS: u64 = 1_100;
    let tower = Tower::start().await;
    let account = tower.chain.account().await;
    let end = tower.chain.timestamp() + 100 * PART_S;
    let quoted = |salt| (account, ConditionalOrder::good_after_time(salt, 1_000 + salt, 0, end));
    let hostile: Vec<_> = (0..ORDERS).map(quoted).collect();
    good_order_is_placed_after(tower, &hostile).await;
}

/// Orders for which the order book has no quote, but answers with an error that the daemon retries.
#[tokio::test(flavor = "multi_thread")]
async fn quotes_that_always_fail_hold_up_no_order() {
    const ORDERS: u64 = 12;
    // More than all requests of the test.
    const FAULTS: usize = 10_000;
    let tower = Tower::start_with("event_deadline_ms = 2000").await;
    for _ in 0..FAULTS {
        tower.book.fail_next_of("POST /api/v1/quote", Fault::Status(500));
    }
    let account = tower.chain.account().await;
    let end = tower.chain.timestamp() + 100 * PART_S;
    let quoted = |salt| (account, ConditionalOrder::good_after_time(salt, 1_000 + salt, 0, end));
    let hostile: Vec<_> = (0..ORDERS).map(quoted).collect();
    good_order_is_placed_after(tower, &hostile).await;
}

/// More parts than a block checks signatures of, each of which ends sooner than the good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_parts_without_valid_signatures_holds_up_no_order() {
    const ORDERS: u64 = 1_000;
    const SHORT_PART_S: u64 = 120;
    let tower = Tower::start().await;
    let safe = tower.chain.safe(2).await;
    tower.chain.set_verifier(safe, Address::ZERO).await;
    let start = tower.chain.timestamp();
    let short = |salt| {
        let twap = Twap {
            part_sell_amount: 1_000 + salt,
            ..Twap::new(start, 1_000, SHORT_PART_S)
        };
        (safe, twap.order(salt))
    };
    let hostile: Vec<_> = (0..ORDERS).map(short).collect();
    good_order_is_placed_after(tower, &hostile).await;
}

/// More orders of unknown handlers than a block polls.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_unknown_handlers_holds_up_no_order() {
    const ORDERS: u64 = 1_100;
    let tower = Tower::start().await;
    let account = tower.chain.account().await;
    let waits = |salt| (account, ConditionalOrder::says(salt, &Answer::AtBlock(0)));
    let hostile: Vec<_> = (0..ORDERS).map(waits).collect();
    good_order_is_placed_after(tower, &hostile).await;
}
