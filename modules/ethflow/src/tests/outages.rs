//! Endpoints that do not answer, and users that make them fail.

use nexum_sdk::{Error, ErrorKind, U256};
use serde_json::{Value, json};

use super::blocks::{place, senders};
use super::{CHAIN, Placing, START, World};
use crate::check::{ORDERS_PER_EVENT, ORDERS_PER_WAVE, UNANSWERED_WAIT_FIRST, WAIT_FIRST, WAIT_MAX};
use crate::refunds::REFUNDS_PER_CALL;

const VALID_TO: u64 = START + 1_800;

fn node(kind: ErrorKind, code: i32, message: &str) -> Error {
    Error::new(kind, message).with_code(code)
}

fn counts(world: &mut World) -> Value {
    world.ask(&json!({}))["chains"][0]["counts"].take()
}

/// More orders than one block checks, whose refunds never have an answer.
#[test]
fn orders_without_an_answer_hold_up_no_other() {
    let mut world = World::new();
    let hostile = ORDERS_PER_EVENT as u64 + 10;
    place(&mut world, hostile, |index| senders(index, VALID_TO));
    let error = node(ErrorKind::Unavailable, -32_000, "something of a node");
    let errors = (1..=hostile).map(|amount| (U256::from(amount), error.clone()));
    world.chain.borrow_mut().failing.extend(errors);
    let good = world.place(&Placing::until(VALID_TO + 1).buying(hostile + 1));
    for block in 1..=6 {
        world.block(VALID_TO + 12 * block).expect("handled");
    }
    assert_eq!(world.state(&good), "due");
    // The endpoint answers the reads, so that there is no outage.
    assert_eq!(world.ask(&json!({}))["chains"][0]["is_unanswered"], false);
    assert_eq!(world.logged().len(), 1);
}

/// The waits of one order without an answer.
#[test]
fn an_order_without_an_answer_waits_up_to_an_hour() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO).buying(5));
    let error = node(ErrorKind::Timeout, 504, "the endpoint answered with HTTP status 504");
    world.chain.borrow_mut().failing.insert(U256::from(5), error);
    let mut time = VALID_TO + 1;
    let mut waits = Vec::new();
    for _ in 0..8 {
        world.block(time).expect("handled");
        let next = world.order(&uid)["next_check"].as_u64().expect("a time");
        waits.push(next - time);
        time = next;
    }
    let minutes = [1, 2, 4, 8, 16, 32].map(|minutes| minutes * UNANSWERED_WAIT_FIRST);
    assert_eq!(waits[..6], minutes);
    assert_eq!(waits[6..], [WAIT_FIRST; 2]);
    assert_eq!(world.state(&uid), "expired");
}

/// Nodes have different texts for a call that used up its gas.
#[test]
fn a_refund_that_uses_up_its_gas_is_stuck_and_hides_no_other() {
    for (kind, code, text) in [
        (ErrorKind::Unavailable, -32_000, "out of gas"),
        (
            ErrorKind::InvalidInput,
            -32_003,
            "out of gas: gas required exceeds: 500000",
        ),
        (ErrorKind::Unavailable, -32_603, "EVM error OutOfGas"),
        (ErrorKind::Unavailable, -32_015, "VM execution error."),
        (ErrorKind::Unavailable, -32_000, "execution aborted (timeout = 5s)"),
    ] {
        let mut world = World::new();
        place(&mut world, REFUNDS_PER_CALL as u64, |index| senders(index, VALID_TO));
        let error = node(kind, code, text);
        world.chain.borrow_mut().failing.insert(U256::from(3), error);
        world.block(VALID_TO + 1).expect("handled");
        let counts = counts(&mut world);
        let others = REFUNDS_PER_CALL - 1;
        assert_eq!(
            (&counts["due"], &counts["stuck"]),
            (&json!(others), &json!(1)),
            "{text}"
        );
        let stuck = world.ask(&json!({ "state": "stuck" }));
        assert_eq!(stuck["orders"][0]["buy_amount"], "3");
        assert_eq!(stuck["orders"][0]["reason"], format!("the refund fails: {text}"));
    }
}

/// A group has no answer because of one slow order. Each order is then simulated alone.
#[test]
fn an_order_that_the_node_times_out_on_hides_no_other() {
    let mut world = World::new();
    place(&mut world, REFUNDS_PER_CALL as u64, |index| senders(index, VALID_TO));
    let error = node(ErrorKind::Timeout, 504, "the endpoint answered with HTTP status 504");
    world.chain.borrow_mut().failing.insert(U256::from(3), error);
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(counts(&mut world)["expired"], REFUNDS_PER_CALL);
    world.block(VALID_TO + 1 + UNANSWERED_WAIT_FIRST).expect("handled");
    let counts = counts(&mut world);
    let others = REFUNDS_PER_CALL - 1;
    assert_eq!((&counts["due"], &counts["expired"]), (&json!(others), &json!(1)));
}

/// Quotas, keys, and nodes that refuse the form of the request.
#[test]
fn a_refusal_of_the_endpoint_is_no_answer_of_the_contract() {
    for (code, text) in [
        (-32_600, "daily request quota exceeded"),
        (-32_602, "invalid argument 1: hex string without 0x prefix"),
        (413, "the endpoint answered with HTTP status 413"),
    ] {
        let mut world = World::new();
        let uid = world.place(&Placing::until(VALID_TO));
        let error = node(ErrorKind::InvalidInput, code, text);
        world.chain.borrow_mut().fault = Some(error.clone());
        world.block(VALID_TO + 1).expect("handled");
        assert_eq!(world.order(&uid)["next_check"], VALID_TO + 1 + UNANSWERED_WAIT_FIRST);
        assert_eq!(
            world.logged(),
            [format!("expired orders wait for the chain: {error} chain={CHAIN}")]
        );

        // The simulation alone.
        let mut world = World::new();
        let uid = world.place(&Placing::until(VALID_TO).buying(5));
        world.chain.borrow_mut().failing.insert(U256::from(5), error);
        world.block(VALID_TO + 1).expect("handled");
        assert_eq!(world.state(&uid), "expired", "{text}");
    }
}

/// Each further request would take the time that the event needs to save the orders.
#[test]
fn a_block_asks_no_more_after_a_request_without_an_answer() {
    let mut world = World::new();
    place(&mut world, 2 * ORDERS_PER_EVENT as u64, |index| {
        senders(index, VALID_TO)
    });
    let slow = Error::new(ErrorKind::Timeout, "the endpoint did not answer within 9750 ms");
    world.chain.borrow_mut().fault = Some(slow);
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.harness.host.batches, [2 * ORDERS_PER_WAVE]);
    assert_eq!(counts(&mut world)["expired"], ORDERS_PER_WAVE);
    // The next block asks about others.
    world.block(VALID_TO + 13).expect("handled");
    assert_eq!(counts(&mut world)["expired"], 2 * ORDERS_PER_WAVE);

    world.chain.borrow_mut().fault = None;
    for block in 1..=3 {
        world.block(VALID_TO + 200 + 12 * block).expect("handled");
    }
    assert_eq!(counts(&mut world)["due"], 2 * ORDERS_PER_EVENT);
}

/// A sender that refuses and accepts ether by turns.
#[test]
fn an_order_that_is_due_and_stuck_by_turns_is_looked_at_at_growing_intervals() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO).buying(5));
    let mut time = VALID_TO + 1;
    let mut found = Vec::new();
    for turn in 0..10 {
        let mut chain = world.chain.borrow_mut();
        chain.refusing.clear();
        chain.refusing.extend((turn % 2 == 0).then_some(U256::from(5)));
        drop(chain);
        world.block(time).expect("handled");
        let next = world.order(&uid)["next_check"].as_u64().expect("a time");
        found.push((world.state(&uid), next - time));
        time = next;
    }
    assert_eq!(found[0], ("stuck".to_owned(), WAIT_FIRST));
    assert_eq!(found[1], ("due".to_owned(), 2 * WAIT_FIRST));
    assert_eq!(found[9], ("due".to_owned(), WAIT_MAX));
}
