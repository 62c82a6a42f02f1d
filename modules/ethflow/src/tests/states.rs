//! The states of an order.

use nexum_sdk::{Address, Bytes, Error, ErrorKind, Event, U256};
use serde_json::json;

use super::chain::reverted;
use super::{CHAIN, ETHFLOW, Placing, SENDER, START, World, ether};
use crate::abi::IEthFlow::{OrderInvalidation, OrderRefund};
use crate::check::{UNANSWERED_WAIT_FIRST, WAIT_FIRST, WAIT_MAX};
use crate::order::REASON_BYTES_MAX;

const VALID_TO: u64 = START + 1_800;
const REFUNDER: Address = Address::repeat_byte(9);

fn refunded(uid: &Bytes) -> OrderRefund {
    OrderRefund {
        orderUid: uid.clone(),
        refunder: REFUNDER,
    }
}

#[test]
fn an_order_is_valid_in_the_second_of_its_valid_to() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    for time in [START, VALID_TO - 1, VALID_TO] {
        world.block(time).expect("handled");
        assert_eq!(world.state(&uid), "open");
    }
    assert_eq!(world.requests(), 0);
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&uid), "due");
}

#[test]
fn an_expired_order_without_a_fill_is_due_until_its_refund() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.block(VALID_TO + 12).expect("handled");
    let order = world.order(&uid);
    assert_eq!(order["state"], "due");
    assert_eq!(order["reason"], "expired without a fill");
    assert_eq!(order["since"], json!({ "block": 151, "time": VALID_TO + 12 }));
    assert_eq!(
        (&order["refund"], &order["filled"]),
        (&json!(ether().to_string()), &json!("0"))
    );
    let due = format!(
        "a refund is due: expired without a fill chain={CHAIN} uid={uid} sender={SENDER} wei={}",
        ether()
    );
    assert_eq!(world.logged(), [due.as_str()]);

    // No further block asks or logs.
    let requests = world.requests();
    for block in 2..20 {
        world.block(VALID_TO + 12 * block).expect("handled");
    }
    assert_eq!((world.requests(), world.logged().len()), (requests, 1));

    world.emit(&refunded(&uid)).expect("handled");
    assert_eq!(world.state(&uid), "refunded");
    let counts = world.ask(&json!({}))["chains"][0]["counts"].take();
    assert_eq!((&counts["due"], &counts["refunded"]), (&json!(0), &json!(1)));
}

#[test]
fn a_partly_filled_order_is_due_for_the_rest() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    let quarter = ether() / U256::from(4);
    world.chain.borrow_mut().filled.insert(uid.clone(), quarter);
    world.block(VALID_TO + 1).expect("handled");
    let order = world.order(&uid);
    assert_eq!(
        (&order["state"], &order["reason"]),
        (&json!("due"), &json!("expired, partly filled"))
    );
    assert_eq!(order["filled"], "250000000000000000");
    assert_eq!(order["refund"], "750000000000000000");
}

#[test]
fn a_filled_order_is_final() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.chain.borrow_mut().filled.insert(uid.clone(), ether());
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&uid), "filled");
    assert_eq!(world.logged(), [""; 0]);
    assert_eq!(world.chain.borrow().simulated, []);
}

#[test]
fn a_cancelled_order_is_never_looked_at() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world
        .emit(&OrderInvalidation { orderUid: uid.clone() })
        .expect("handled");
    assert_eq!(world.state(&uid), "cancelled");
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.requests(), 0);
}

/// The event of the refund was in a block that the module did not follow.
#[test]
fn an_order_that_the_contract_has_invalidated_is_closed() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world
        .chain
        .borrow_mut()
        .owners
        .insert(uid.clone(), Address::repeat_byte(0xff));
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&uid), "closed");
}

#[test]
fn an_order_that_the_contract_does_not_have_is_not_due() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.chain.borrow_mut().owners.clear();
    world.block(VALID_TO + 1).expect("handled");
    let order = world.order(&uid);
    assert_eq!(
        (&order["state"], &order["reason"]),
        (&json!("expired"), &json!("the contract has no such order"))
    );
    assert_eq!(order["next_check"], VALID_TO + 1 + WAIT_FIRST);
}

#[test]
fn a_sender_that_refuses_ether_is_stuck_and_looked_at_at_growing_intervals() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO).buying(5));
    world.chain.borrow_mut().refusing.insert(U256::from(5));
    let mut time = VALID_TO + 1;
    world.block(time).expect("handled");
    let order = world.order(&uid);
    assert_eq!(order["state"], "stuck");
    assert!(
        order["reason"]
            .as_str()
            .expect("a reason")
            .starts_with("EthTransferFailed: ")
    );
    assert!(
        order["call"]["data"]
            .as_str()
            .expect("calldata")
            .starts_with("0x4cb76498")
    );

    let mut waits = Vec::new();
    for _ in 0..10 {
        let next = world.order(&uid)["next_check"].as_u64().expect("a time");
        waits.push(next - time);
        // A second earlier, nothing happens.
        let requests = world.requests();
        world.block(next - 1).expect("handled");
        assert_eq!(world.requests(), requests);
        time = next;
        world.block(time).expect("handled");
        assert_eq!(world.requests(), requests + 3);
    }
    let hours = [1, 2, 4, 8, 16, 32, 64, 128].map(|hours| hours * WAIT_FIRST);
    assert_eq!(waits[..8], hours);
    assert_eq!(waits[8..], [WAIT_MAX; 2]);
    assert_eq!(world.logged().len(), 1, "{:?}", world.logged());
    assert_eq!(world.order(&uid)["since"]["time"], VALID_TO + 1);

    world.chain.borrow_mut().refusing.clear();
    let next = world.order(&uid)["next_check"].as_u64().expect("a time");
    world.block(next).expect("handled");
    assert_eq!(world.state(&uid), "due");
    assert_eq!(world.logged().len(), 2);
}

#[test]
fn a_refund_that_fails_otherwise_is_stuck_with_the_selector_or_the_text() {
    let selector = reverted(vec![0x89, 0xbb, 0x26, 0x01]);
    let nothing = reverted(Vec::new());
    let gas = Error::new(ErrorKind::Unavailable, "out of gas").with_code(-32_000);
    for (error, reason) in [
        (selector, "the refund reverts with 0x89bb2601"),
        (nothing, "the refund fails: execution reverted"),
        (gas, "the refund fails: out of gas"),
    ] {
        let mut world = World::new();
        let uid = world.place(&Placing::until(VALID_TO));
        world.harness.host.on_rpc(move |_, _, params| {
            let data = params[0]["data"].as_str()?;
            data.starts_with("0x4cb76498").then(|| Err(error.clone()))
        });
        world.block(VALID_TO + 1).expect("handled");
        let order = world.order(&uid);
        assert_eq!((&order["state"], &order["reason"]), (&json!("stuck"), &json!(reason)));
    }
}

/// No block fails: nexum would repeat it, and end in dead letters.
#[test]
fn an_outage_of_the_chain_is_logged_once_and_loses_no_order() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    let fault = Error::new(ErrorKind::Timeout, "slow".repeat(100));
    world.chain.borrow_mut().fault = Some(fault);
    for block in 1..10 {
        world.block(VALID_TO + 12 * block).expect("handled");
    }
    let order = world.order(&uid);
    assert_eq!(order["state"], "expired");
    assert_eq!(order["since"]["time"], VALID_TO + 12);
    let reason = order["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("timeout: slow") && reason.len() == REASON_BYTES_MAX,
        "{reason}"
    );
    assert_eq!(world.logged().len(), 1);
    assert_eq!(world.ask(&json!({}))["chains"][0]["is_unanswered"], true);

    world.chain.borrow_mut().fault = None;
    world.block(VALID_TO + 200).expect("handled");
    assert_eq!(world.state(&uid), "due");
    assert_eq!(
        world.logged()[1],
        format!("the chain answers for expired orders chain={CHAIN}")
    );
    assert_eq!(world.ask(&json!({}))["chains"][0]["is_unanswered"], false);
}

/// A part of the answers arrives.
#[test]
fn an_outage_of_the_simulation_is_no_refusal() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    let mut is_down = true;
    world.harness.host.on_rpc(move |_, _, params| {
        let data = params[0]["data"].as_str()?;
        let fails = data.starts_with("0x4cb76498") && std::mem::take(&mut is_down);
        fails.then(|| Err(Error::new(ErrorKind::RateLimited, "slower")))
    });
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&uid), "expired");
    assert_eq!(world.ask(&json!({}))["chains"][0]["is_unanswered"], false);
    world.block(VALID_TO + 1 + UNANSWERED_WAIT_FIRST).expect("handled");
    assert_eq!(world.state(&uid), "due");
}

#[test]
fn a_contract_that_is_none_is_a_reason() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.harness.host.on_rpc(|_, _, _| Some(Ok(json!("0x"))));
    world.block(VALID_TO + 1).expect("handled");
    let order = world.order(&uid);
    assert_eq!(order["state"], "expired");
    let reason = order["reason"].as_str().expect("a reason");
    assert!(reason.contains("returns nothing; is there a contract?"), "{reason}");
}

#[test]
fn a_final_order_is_removed_after_some_days() {
    let mut world = World::with(&[("keep_days", "2")]);
    world.block(START).expect("handled");
    let before = world.harness.host.state.len();
    let uid = world.place(&Placing::until(VALID_TO));
    world.block(VALID_TO + 1).expect("handled");
    world.emit(&refunded(&uid)).expect("handled");
    let end = world.order(&uid)["next_check"].as_u64().expect("a time");
    assert!((2 * 86_400 - 60..=2 * 86_400).contains(&(end - VALID_TO - 1)), "{end}");
    world.block(end - 1).expect("handled");
    assert_eq!(world.state(&uid), "refunded");
    world.block(end).expect("handled");
    assert_eq!(world.state(&uid), "absent");
    // `stored` stays, as 0.
    assert_eq!(
        world.harness.host.state.len(),
        before + 1,
        "{:?}",
        world.harness.host.state.keys()
    );
    assert_eq!(world.ask(&json!({}))["chains"][0]["counts"]["refunded"], 0);
}

/// The module's first block comes long after the end of the order.
#[test]
fn a_final_order_of_the_past_is_removed_by_the_next_block() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.chain.borrow_mut().filled.insert(uid.clone(), ether());
    let now = VALID_TO + 10 * 86_400;
    world.block(now).expect("handled");
    assert_eq!(world.state(&uid), "filled");
    world.block(now + 12).expect("handled");
    assert_eq!(world.state(&uid), "absent");
}

#[test]
fn a_reorganisation_loses_nothing() {
    let mut world = World::new();
    let kept = world.place(&Placing::until(VALID_TO));
    world.block(START + 12).expect("handled");
    let before = world.harness.host.state.clone();

    let removed = world.place(&Placing::until(VALID_TO).buying(2));
    world
        .emit(&OrderInvalidation { orderUid: kept.clone() })
        .expect("handled");
    assert_eq!(
        (world.state(&kept).as_str(), world.state(&removed).as_str()),
        ("cancelled", "open")
    );

    // nexum restores the state, and drops the instance.
    world.harness.host.state = before;
    world.harness.drop_instance();
    assert_eq!(
        (world.state(&kept).as_str(), world.state(&removed).as_str()),
        ("open", "absent")
    );
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&kept), "due");
}

/// After each possible failure of the store, the repeated event has the result of an event that did
/// not fail.
#[test]
fn a_failed_event_leaves_no_half_of_an_order() {
    let mut expected = World::new();
    let uid = expected.place(&Placing::until(VALID_TO));
    expected.block(VALID_TO + 1).expect("handled");
    for call in 1..30 {
        let mut world = World::new();
        let order = Placing::until(VALID_TO);
        let log = world.log(&order);
        world.record(&order, &log);
        world.harness.host.fail_store_at(call);
        let event = Event::Logs(vec![log]);
        if world.harness.deliver(event.clone()).is_err() {
            world.harness.deliver(event).expect("handled");
        }
        if world.block(VALID_TO + 1).is_err() {
            world.block(VALID_TO + 1).expect("handled");
        }
        // The event has fewer calls.
        world.harness.host.fail_store_at(usize::MAX);
        assert_eq!(world.harness.host.state, expected.harness.host.state, "call {call}");
        assert_eq!(world.state(&uid), "due");
    }
}

#[test]
fn one_digest_at_two_contracts_is_two_orders() {
    let mut world = World::new();
    let old = Placing {
        contract: nexum_sdk::address!("04501b9b1D52e67f6862d157E00D13419D2D6E95"),
        ..Placing::until(VALID_TO)
    };
    let uids = [world.place(&Placing::until(VALID_TO)), world.place(&old)];
    assert_eq!(uids[0][..32], uids[1][..32]);
    world
        .emit(&OrderInvalidation {
            orderUid: uids[0].clone(),
        })
        .expect("handled");
    world.block(VALID_TO + 1).expect("handled");
    let states = uids.map(|uid| world.state(&uid));
    assert_eq!(states, ["cancelled", "due"]);
    assert_ne!(old.contract, ETHFLOW);
}
