//! Accounts that try to stop the module for others.
//!
//! Each test puts the hostile transaction into the block that creates a good order, and expects that all
//! parts of the good order are placed.

use nexum_testing::cow::addresses::COMPOSABLE_COW;
use nexum_testing::cow::{Address, Answer, BLOCK_GAS, ConditionalOrder, Transaction, Twap, U256, abi, creation};

use super::tower::Tower;

/// The seconds of a part.
const PART_S: u64 = 600;

/// The parts of the good order.
const PARTS: u64 = 3;

/// Mines the transactions in one block with the creation of a good order, and expects that it is placed.
async fn good_order_is_placed_beside(mut tower: Tower, mut hostile: Vec<Transaction>) {
    let owner = tower.chain.safe(1).await;
    let twap = Twap::new(tower.chain.timestamp(), PARTS, PART_S);
    let before = tower.chain.block_number().await;
    hostile.push(creation(owner, &twap.order(1)));
    tower.chain.execute(&hostile).await;
    assert_eq!(tower.chain.block_number().await, before + 1, "one block");
    for part in 0..PARTS {
        let start = twap.start + part * PART_S;
        tower.chain.mine_at(start.max(tower.chain.timestamp() + 1)).await;
        tower
            .mine_until_orders(usize::try_from(part + 1).expect("a small number"), 1)
            .await;
    }
    tower.handle_block().await;
    tower.assert_parts(owner, &twap, 0..PARTS);
}

/// A call of the registry with most of the gas of a block.
fn call(from: Address, call: &impl abi::SolCall) -> Transaction {
    Transaction {
        gas: BLOCK_GAS / 2,
        ..Transaction::call(from, COMPOSABLE_COW, call)
    }
}

/// Many offsets of a list point to one large leaf, so that its decoded form is far larger than the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_whose_leaves_overlap_holds_up_no_order() {
    const LEAVES: usize = 1_000;
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
    let set = abi::setSwapGuardCall {
        swapGuard: Address::repeat_byte(1),
    };
    let repeat = abi::repeatCall {
        to: COMPOSABLE_COW,
        data: abi::SolCall::abi_encode(&set).into(),
        times: U256::from(LOGS),
    };
    let account = tower.chain.account().await;
    let hostile = vec![Transaction {
        gas: BLOCK_GAS / 4 * 3,
        ..Transaction::call(account, repeater, &repeat)
    }];
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
