//! Events and users that want to do harm.

use nexum_sdk::{Address, Bytes, Event, Log, U256, keccak256};
use serde_json::json;

use super::{CHAIN, ETHFLOW, Placing, START, World, data};
use crate::abi::IEthFlow::{OrderInvalidation, OrderPlacement, OrderRefund};
use crate::book::{CHANGES_PER_EVENT, ORDER_BYTES_MAX, ORDERS_PER_OWNER_MAX};
use crate::order::State;

const VALID_TO: u64 = START + 1_800;

fn chain(world: &mut World) -> serde_json::Value {
    world.ask(&json!({}))["chains"][0].take()
}

fn check_foreign(change: impl FnOnce(&mut OrderPlacement)) {
    let mut world = World::new();
    let mut event = Placing::until(VALID_TO).event();
    change(&mut event);
    world.emit(&event).expect("handled");
    let chain = chain(&mut world);
    assert_eq!((&chain["foreign"], &chain["counts"]["open"]), (&json!(1), &json!(0)));
}

#[test]
fn an_order_that_ethflow_does_not_make_is_ignored() {
    let valid = data(42, VALID_TO);
    check_foreign(|event| event.data = Bytes::new());
    check_foreign(|event| event.data = valid.slice(..11));
    check_foreign(|event| event.data = [&valid[..], &[0]].concat().into());
    check_foreign(|event| event.data = vec![0xff; 100_000].into());
    check_foreign(|event| event.signature.scheme = 1);
    check_foreign(|event| event.signature.data = Bytes::new());
    check_foreign(|event| event.signature.data = Bytes::copy_from_slice(&[0; 20]));
    check_foreign(|event| event.order.validTo = u32::MAX - 1);
    check_foreign(|event| event.order.kind = keccak256("buy"));
    check_foreign(|event| event.order.sellTokenBalance = keccak256("internal"));
    check_foreign(|event| event.order.buyTokenBalance = keccak256("external"));
}

#[test]
fn an_event_about_another_order_is_ignored() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    let with = |at: usize, byte: u8| {
        let mut uid = uid.to_vec();
        uid[at] = byte;
        Bytes::from(uid)
    };
    let foreign = [
        Bytes::new(),
        uid.slice(..55),
        [&uid[..], &[0]].concat().into(),
        // Another owner, and another `validTo`.
        with(40, 0),
        with(55, 0),
    ];
    for uid in &foreign {
        world
            .emit(&OrderInvalidation { orderUid: uid.clone() })
            .expect("handled");
    }
    assert_eq!(chain(&mut world)["foreign"], foreign.len());
    // An order from before the first block of the module.
    let unknown = OrderRefund {
        orderUid: with(0, 0),
        refunder: Address::ZERO,
    };
    world.emit(&unknown).expect("handled");
    assert_eq!(chain(&mut world)["foreign"], foreign.len());
    assert_eq!(world.state(&uid), "open");
}

#[test]
fn a_log_without_topics_or_data_is_ignored() {
    let mut world = World::new();
    let topic = *Placing::until(VALID_TO).event_topic();
    for (topics, data) in [
        (vec![], Bytes::new()),
        (vec![topic.into()], Bytes::new()),
        (vec![topic.into(), topic.into()], Bytes::new()),
        (vec![topic.into(); 4], vec![0xff; 1_000].into()),
    ] {
        let log = Log {
            chain_id: CHAIN,
            address: ETHFLOW,
            topics,
            data,
            ..Log::default()
        };
        world.harness.deliver(Event::Logs(vec![log])).expect("handled");
    }
    assert_eq!(chain(&mut world)["foreign"], 4);
    world.harness.deliver(Event::Logs(Vec::new())).expect("handled");
}

#[test]
fn a_final_order_stays_final() {
    let mut world = World::new();
    let order = Placing::until(VALID_TO);
    let uid = world.place(&order);
    world
        .emit(&OrderInvalidation { orderUid: uid.clone() })
        .expect("handled");
    let state = world.harness.host.state.clone();
    let refund = OrderRefund {
        orderUid: uid.clone(),
        refunder: Address::ZERO,
    };
    world.emit(&refund).expect("handled");
    world.place(&order);
    world.emit(&OrderInvalidation { orderUid: uid }).expect("handled");
    assert_eq!(world.harness.host.state, state);
}

#[test]
fn one_user_has_a_bounded_number_of_orders() {
    let mut world = World::new();
    let uids: Vec<_> = (0..u64::from(ORDERS_PER_OWNER_MAX) + 5)
        .map(|index| world.place(&Placing::until(VALID_TO).buying(index + 1)))
        .collect();
    let report = chain(&mut world);
    assert_eq!(report["counts"]["open"], ORDERS_PER_OWNER_MAX);
    assert_eq!(report["dropped"], 5);
    // For 1, 2 and 4 orders.
    assert_eq!(world.logged().len(), 3);
    assert_eq!(
        world.logged()[0],
        format!("an order is not followed: its sender has {ORDERS_PER_OWNER_MAX} orders chain={CHAIN} dropped=1")
    );

    // Other users are not affected, and a final order makes room.
    let other = Placing {
        sender: Address::repeat_byte(3),
        ..Placing::until(VALID_TO)
    };
    let other = world.place(&other);
    assert_eq!(world.state(&other), "open");
    let first = uids[0].clone();
    world.emit(&OrderInvalidation { orderUid: first }).expect("handled");
    let next = world.place(&Placing::until(VALID_TO).buying(7_777));
    assert_eq!(world.state(&next), "open");
}

#[test]
fn a_block_changes_a_bounded_number_of_orders() {
    let mut world = World::new();
    let mut logs = Vec::new();
    let mut uids = Vec::new();
    for index in 0..CHANGES_PER_EVENT + 3 {
        let order = Placing {
            sender: Address::from_word(keccak256(index.to_be_bytes())),
            ..Placing::until(VALID_TO)
        };
        let log = world.log(&order.clone().buying(u64::from(index) + 1));
        uids.push(world.record(&order.clone().buying(u64::from(index) + 1), &log));
        logs.push(log);
    }
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    let report = chain(&mut world);
    assert_eq!(
        (&report["counts"]["open"], &report["dropped"]),
        (&json!(CHANGES_PER_EVENT), &json!(3))
    );

    // Refunds beyond the bound show themselves when the orders expire.
    let mut logs = Vec::new();
    for uid in &uids[..CHANGES_PER_EVENT as usize] {
        let refund = OrderRefund {
            orderUid: uid.clone(),
            refunder: Address::ZERO,
        };
        logs.push(world.harness.log(ETHFLOW, &refund));
        world
            .chain
            .borrow_mut()
            .owners
            .insert(uid.clone(), Address::repeat_byte(0xff));
    }
    logs.extend_from_within(..1);
    let extra = world.harness.log(
        ETHFLOW,
        &OrderInvalidation {
            orderUid: uids[0].clone(),
        },
    );
    logs.push(extra);
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    assert_eq!(chain(&mut world)["counts"]["refunded"], CHANGES_PER_EVENT);
}

/// The largest order: no field has a length that the user chooses.
#[test]
fn an_order_takes_a_bounded_number_of_bytes() {
    let mut world = World::new();
    let bytes = |world: &World| -> usize {
        let state = &world.harness.host.state;
        state.iter().map(|(key, value)| key.len() + value.len()).sum()
    };
    world.block(START).expect("handled");
    let empty = bytes(&world);
    let order = Placing {
        buy_amount: u64::MAX,
        quote_id: i64::MIN,
        partially_fillable: true,
        ..Placing::until(VALID_TO)
    };
    let mut event = order.event();
    event.order.sellAmount = U256::MAX;
    event.order.buyAmount = U256::MAX;
    event.order.feeAmount = U256::MAX;
    world.emit(&event).expect("handled");
    // The longest reason is an error of the chain.
    world.chain.borrow_mut().fault = Some(nexum_sdk::Error::new(nexum_sdk::ErrorKind::Timeout, "x".repeat(10_000)));
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(chain(&mut world)["counts"]["expired"], 1);
    let order = bytes(&world) - empty;
    assert!((800..=ORDER_BYTES_MAX).contains(&order), "{order}");
}

/// Amounts near the end of their range do not overflow.
#[test]
fn a_refund_of_the_largest_amounts_has_a_value() {
    let mut world = World::new();
    let mut event = Placing::until(VALID_TO).event();
    event.order.sellAmount = U256::MAX;
    event.order.feeAmount = U256::MAX;
    world.emit(&event).expect("handled");
    let open = world.ask(&json!({ "state": State::Open }));
    assert_eq!(open["orders"][0]["refund"], U256::MAX.to_string());
}
