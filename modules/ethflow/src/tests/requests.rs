//! Refunds that the module sends itself.

use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Bytes, Error, ErrorKind, U256};
use serde_json::{Value, json};

use super::{Placing, START, World};
use crate::EthFlow;
use crate::abi::IEthFlow::OrderRefund;
use crate::requests::{BATCH_MAX, REFUSED_WAIT, REQUEST_BLOCKS, REQUEST_WAIT};

const VALID_TO: u64 = START + 600;
const DUE: u64 = VALID_TO + 1;
const ACCOUNT: &str = "0x00000000000000000000000000000000000000aa";

/// The module with requests.
fn world(more: &[(&str, &str)]) -> World {
    World::with(&[&[("refund", "true"), ("account", ACCOUNT)][..], more].concat())
}

/// Places orders with these amounts to buy.
fn place(world: &mut World, amounts: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
    let orders = amounts
        .into_iter()
        .map(|amount| Placing::until(VALID_TO).buying(amount));
    orders.map(|order| world.place(&order)).collect()
}

/// The sorted amounts to buy of the orders in each transaction so far.
fn sent(world: &World) -> Vec<Vec<u64>> {
    let mut sent = world.chain.borrow().sent.clone();
    sent.iter_mut().for_each(|batch| batch.sort_unstable());
    sent
}

/// The contract has paid an order back.
fn refund(world: &mut World, uid: &Bytes) {
    world
        .chain
        .borrow_mut()
        .owners
        .insert(uid.clone(), Address::repeat_byte(0xff));
    let event = OrderRefund {
        orderUid: uid.clone(),
        refunder: Address::repeat_byte(0xaa),
    };
    world.emit(&event).expect("handled");
}

fn logged(world: &World, text: &str) -> usize {
    world.logged().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn without_the_switch_nothing_is_sent() {
    for config in [&[][..], &[("account", ACCOUNT)], &[("refund", "false")]] {
        let mut world = World::with(config);
        let uids = place(&mut world, [1]);
        world.block(DUE).expect("handled");
        assert_eq!(world.state(&uids[0]), "due");
        assert_eq!(sent(&world), Vec::<Vec<u64>>::new());
        assert_eq!(world.order(&uids[0])["request"], Value::Null);
    }
}

#[test]
fn due_orders_are_requested_in_batches_once() {
    let mut world = world(&[]);
    let uids = place(&mut world, 1..=35);
    world.block(DUE).expect("handled");
    let mut amounts: Vec<_> = sent(&world).concat();
    amounts.sort_unstable();
    assert_eq!(amounts, (1..=35).collect::<Vec<_>>());
    assert_eq!(sent(&world).iter().map(Vec::len).collect::<Vec<_>>(), [BATCH_MAX, 5]);
    let request = &world.order(&uids[0])["request"];
    assert_eq!(request["block"], (DUE - START) / 12);
    for time in (DUE..DUE + 2 * REQUEST_WAIT).step_by(12) {
        if time == DUE + 240 {
            world.harness.drop_instance();
        }
        world.block(time).expect("handled");
        if time == DUE + 480 {
            uids.iter().for_each(|uid| refund(&mut world, uid));
        }
    }
    assert_eq!(sent(&world).len(), 2);
    assert_eq!(world.state(&uids[34]), "refunded");
}

#[test]
fn a_batch_has_at_most_the_configured_number_of_orders() {
    let mut world = world(&[("batch_max", "3")]);
    place(&mut world, 1..=7);
    world.block(DUE).expect("handled");
    let sizes: Vec<_> = sent(&world).iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
}

#[test]
fn a_refund_that_does_not_come_is_requested_again_after_some_blocks() {
    let mut world = world(&[]);
    let uids = place(&mut world, [1, 2]);
    world.block(DUE).expect("handled");
    let first = (DUE - START) / 12;
    // Blocks have twelve seconds, so that the wait has the blocks too.
    const { assert!(REQUEST_WAIT / 12 >= REQUEST_BLOCKS) };
    world.block(DUE + REQUEST_WAIT - 12).expect("handled");
    assert_eq!(sent(&world), [[1, 2]]);
    refund(&mut world, &uids[1]);
    world.block(DUE + REQUEST_WAIT).expect("handled");
    assert_eq!(sent(&world), [vec![1, 2], vec![1]]);
    let request = world.order(&uids[0])["request"].clone();
    assert!(request["block"].as_u64().expect("a block") >= first + REQUEST_BLOCKS);
    assert_eq!(request["transaction"], json!(B256::with_last_byte(2)));
}

#[test]
fn a_refusal_is_logged_once_and_the_orders_stay_due() {
    for (kind, advice) in [
        (ErrorKind::Denied, "Compare [identity.ethflow.<account>]"),
        (ErrorKind::RateLimited, "raise the limit"),
        (ErrorKind::Unsupported, "feature `identity`"),
        (ErrorKind::Unavailable, "refunds wait"),
    ] {
        let mut world = world(&[]);
        let uids = place(&mut world, [1]);
        world.chain.borrow_mut().refusal = Some(Error::new(kind, "no"));
        world.block(DUE).expect("handled");
        world.block(DUE + REFUSED_WAIT).expect("handled");
        assert_eq!(logged(&world, advice), 1, "{kind}: {:?}", world.logged());
        assert_eq!(world.state(&uids[0]), "due");
        world.chain.borrow_mut().refusal = None;
        world.block(DUE + 3 * REFUSED_WAIT).expect("handled");
        assert_eq!(sent(&world), [[1]]);
        assert_eq!(world.harness.starts(), 1);
    }
}

#[test]
fn an_order_that_makes_its_batch_revert_is_stuck_and_the_others_are_sent() {
    let mut world = world(&[]);
    let uids = place(&mut world, 1..=30);
    world.chain.borrow_mut().reverting.insert(U256::from(17));
    world.block(DUE).expect("handled");
    assert_eq!(world.state(&uids[16]), "stuck");
    let mut amounts = sent(&world).concat();
    amounts.sort_unstable();
    assert_eq!(amounts, (1..=30).filter(|amount| *amount != 17).collect::<Vec<_>>());
}

#[test]
fn orders_that_were_due_before_are_requested_too() {
    let mut reporting = World::new();
    place(&mut reporting, 1..=3);
    reporting.block(DUE).expect("handled");
    let mut world = world(&[]);
    world.chain.borrow_mut().owners = reporting.chain.borrow().owners.clone();
    world.harness.host.state = reporting.harness.host.state.clone();
    world.block(DUE + 12).expect("handled");
    assert_eq!(sent(&world), [[1, 2, 3]]);
}

#[test]
fn a_configuration_without_sense_is_refused() {
    for (config, reason) in [
        (&[("refund", "true")][..], "refund needs account"),
        (
            &[("refund", "true"), ("account", ACCOUNT), ("batch_max", "0")],
            "from 1 to 30",
        ),
        (
            &[("refund", "true"), ("account", ACCOUNT), ("batch_max", "31")],
            "from 1 to 30",
        ),
    ] {
        let error = Harness::<EthFlow>::new(config).expect_err(reason);
        assert!(error.message().contains(reason), "{error}");
    }
}
