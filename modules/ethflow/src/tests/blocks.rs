//! The cost of a block.

use nexum_sdk::{Event, U256, keccak256};
use serde_json::json;

use super::{CHAIN, Placing, START, World};
use crate::check::ORDERS_PER_EVENT;
use crate::due::LISTS_PER_EVENT;
use crate::refunds::{REFUND_GAS_MAX, REFUNDS_PER_CALL};

/// Places orders that differ in their amounts, in one event for 500 of them.
pub(super) fn place(world: &mut World, count: u64, order: impl Fn(u64) -> Placing) {
    for begin in (0..count).step_by(500) {
        let mut logs = Vec::new();
        for index in begin..count.min(begin + 500) {
            let order = order(index);
            let log = world.log(&order);
            world.record(&order, &log);
            logs.push(log);
        }
        world.harness.deliver(Event::Logs(logs)).expect("handled");
    }
}

/// Places each order from a sender of its own, so that no bound applies.
pub(super) fn senders(index: u64, valid_to: u64) -> Placing {
    Placing {
        sender: nexum_sdk::Address::from_word(keccak256(index.to_be_bytes())),
        ..Placing::until(valid_to).buying(index + 1)
    }
}

#[test]
fn a_block_with_nothing_due_asks_nothing_and_reads_two_keys() {
    let mut world = World::new();
    place(&mut world, 1_000, |index| senders(index, START + 3_600 + index * 60));
    let minute = START - START % 60;
    world.block(minute).expect("handled");
    for time in [minute + 12, minute + 24, minute + 59] {
        // The facts about the chain, and the list of the minute.
        world.harness.host.fail_store_at(3);
        world.block(time).expect("the third call would fail");
    }
    // The list of the next minute, and the write of its begin. The begin of the minute before has been read.
    let mut world_next = world;
    world_next.harness.host.fail_store_at(5);
    world_next.block(minute + 60).expect("the fifth call would fail");
    assert_eq!(world_next.requests(), 0);
}

#[test]
fn a_block_reads_only_the_orders_that_are_due() {
    let mut world = World::new();
    place(&mut world, 1_000, |index| senders(index, START + 100 + index * 3_600));
    world.block(START + 101).expect("handled");
    // `orders`, `filledAmount`, and the simulation.
    assert_eq!(world.requests(), 3);
    let hash = keccak256(8_u64.to_be_bytes());
    let pinned = json!({ "blockHash": hash });
    assert_eq!(world.chain.borrow().blocks, [pinned.clone(), pinned.clone(), pinned]);
    let counts = world.ask(&json!({}))["chains"][0]["counts"].take();
    assert_eq!((&counts["open"], &counts["due"]), (&json!(999), &json!(1)));
}

#[test]
fn reads_and_simulations_are_batches() {
    let mut world = World::new();
    place(&mut world, 40, |index| senders(index, START + 100));
    world.block(START + 101).expect("handled");
    assert_eq!(world.harness.host.batches, [80, 3]);
    let gas = |orders: usize| (orders, orders as u64 * REFUND_GAS_MAX);
    assert_eq!(
        world.chain.borrow().simulated,
        [gas(REFUNDS_PER_CALL), gas(REFUNDS_PER_CALL), gas(8)]
    );
}

#[test]
fn a_refund_that_fails_does_not_hide_the_others() {
    let mut world = World::new();
    place(&mut world, 20, |index| senders(index, START + 100));
    world.chain.borrow_mut().refusing.extend([3, 18].map(U256::from));
    world.block(START + 101).expect("handled");
    let counts = world.ask(&json!({}))["chains"][0]["counts"].take();
    assert_eq!((&counts["due"], &counts["stuck"]), (&json!(18), &json!(2)));
    let stuck = world.ask(&json!({ "state": "stuck" }));
    let mut amounts: Vec<_> = stuck["orders"]
        .as_array()
        .expect("orders")
        .iter()
        .map(|order| &order["buy_amount"])
        .collect();
    amounts.sort_by_key(|amount| amount.to_string());
    assert_eq!(amounts, ["18", "3"]);
}

/// The default of `chain_requests_per_event` is 1,000.
#[test]
fn the_worst_block_stays_below_the_limits() {
    let mut world = World::new();
    let count = ORDERS_PER_EVENT as u64 + 50;
    place(&mut world, count, |index| senders(index, START + 100));
    world.chain.borrow_mut().refusing.extend((1..=count).map(U256::from));
    world.block(START + 101).expect("handled");
    assert!(world.requests() < 1_000, "{}", world.requests());
    let counts = |world: &mut World| world.ask(&json!({}))["chains"][0]["counts"].take();
    let first = counts(&mut world);
    assert_eq!((&first["open"], &first["stuck"]), (&json!(50), &json!(200)));
    world.block(START + 113).expect("handled");
    let second = counts(&mut world);
    assert_eq!((&second["open"], &second["stuck"]), (&json!(0), &json!(250)));
}

#[test]
fn the_orders_of_a_long_pause_are_found_hour_by_hour() {
    let mut world = World::new();
    world.block(START).expect("handled");
    let day = 24 * 3_600;
    place(&mut world, 10, |index| senders(index, START + 100 + index * 3 * day));
    // 30 days are less than the lists of one event.
    world.block(START + 30 * day).expect("handled");
    let counts = world.ask(&json!({}))["chains"][0]["counts"].take();
    assert_eq!((&counts["open"], &counts["due"]), (&json!(0), &json!(10)));
}

#[test]
fn a_pause_of_years_takes_some_blocks() {
    let mut world = World::new();
    world.block(START).expect("handled");
    let hours = LISTS_PER_EVENT as u64 * 5 / 2;
    let last = world.place(&Placing::until(START + hours * 3_600));
    let now = START + (hours + 1) * 3_600;
    let mut states = Vec::new();
    for block in 0..3 {
        world.block(now + block * 12).expect("handled");
        states.push(world.state(&last));
    }
    assert_eq!(states, ["open", "open", "due"]);
}

#[test]
fn chains_are_apart() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(START + 100));
    world.block_of(1, START + 200).expect("handled");
    assert_eq!((world.state(&uid).as_str(), world.requests()), ("open", 0));
    world.block_of(CHAIN, START + 200).expect("handled");
    assert_eq!(world.state(&uid), "due");
}
