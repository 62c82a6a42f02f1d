//! The bounds of the store and of an event, and users that want to use them up.

use nexum_sdk::{Address, B256, Bytes, Event, Log, U256, cow, keccak256};
use serde_json::{Value, json};

use super::blocks::{place, senders};
use super::{CHAIN, ETHFLOW, Placing, START, World, ether};
use crate::abi::IEthFlow::{OrderInvalidation, OrderRefund};
use crate::book::{CHANGES_PER_EVENT, EVICTED_PER_EVENT, LOOKS_PER_EVENT, ORDERS_MAX, ORDERS_PER_OWNER_MAX};
use crate::order::VALID_TO as NEVER;

const VALID_TO: u64 = START + 1_800;
/// The default of `store_operations_per_event`.
const OPERATIONS: usize = 10_000;

fn report(world: &mut World, chain_id: u64) -> Value {
    world.ask(&json!({ "chain_id": chain_id }))["chains"][0].take()
}

/// A refund of an order from before the first block of the module.
fn unknown_refund(world: &mut World, index: u64) -> Log {
    let digest = keccak256(index.to_be_bytes());
    let event = OrderRefund {
        orderUid: cow::uid(digest, ETHFLOW, NEVER),
        refunder: Address::ZERO,
    };
    world.harness.log(ETHFLOW, &event)
}

#[test]
fn thousands_of_refunds_of_unknown_orders_stay_below_the_operations_of_an_event() {
    let mut world = World::new();
    let mut logs: Vec<_> = (0..5_000).map(|index| unknown_refund(&mut world, index)).collect();
    for index in 0..u64::from(CHANGES_PER_EVENT) {
        logs.push(world.log(&senders(index, VALID_TO)));
    }
    world.harness.host.trap_store_at(OPERATIONS + 1);
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    assert_eq!(report(&mut world, CHAIN)["counts"]["open"], CHANGES_PER_EVENT);
}

/// A placement that the store has counts as no further order of its sender.
#[test]
fn an_order_that_the_store_has_is_not_dropped() {
    let mut world = World::new();
    let order = |index| Placing::until(VALID_TO).buying(index + 1);
    place(&mut world, u64::from(ORDERS_PER_OWNER_MAX), order);
    world.place(&order(0));
    assert_eq!(report(&mut world, CHAIN)["dropped"], 0);
    world.place(&order(1_000_000));
    assert_eq!(report(&mut world, CHAIN)["dropped"], 1);
}

/// Refunds that no look-up is left for show themselves when the orders expire.
#[test]
fn look_ups_have_a_bound() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    let mut logs: Vec<_> = (0..u64::from(LOOKS_PER_EVENT))
        .map(|index| unknown_refund(&mut world, index))
        .collect();
    logs.push(world.harness.log(ETHFLOW, &OrderInvalidation { orderUid: uid.clone() }));
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    assert_eq!(world.state(&uid), "open");
}

/// A log that the bound leaves out is not decoded: this one is no placement.
#[test]
fn placements_beyond_the_bound_take_no_fuel() {
    let mut world = World::new();
    let mut logs: Vec<_> = (0..u64::from(CHANGES_PER_EVENT))
        .map(|index| world.log(&senders(index, VALID_TO)))
        .collect();
    logs.push(Log {
        data: Bytes::new(),
        ..logs[0].clone()
    });
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    let report = report(&mut world, CHAIN);
    assert_eq!((&report["dropped"], &report["foreign"]), (&json!(1), &json!(0)));
}

#[test]
fn foreign_logs_fill_no_log() {
    let mut world = World::new();
    let logs = (0..1_500).map(|_| Log {
        chain_id: CHAIN,
        address: ETHFLOW,
        topics: vec![B256::ZERO],
        ..Log::default()
    });
    world.harness.deliver(Event::Logs(logs.collect())).expect("handled");
    assert_eq!(report(&mut world, CHAIN)["foreign"], 1_500);
    // For 1, 2, 4, ... 1,024 logs.
    assert_eq!(world.logged().len(), 11);
}

/// Makes the module count the largest number of orders.
fn fill(world: &mut World) {
    // The number as postcard writes it: seven bits in each byte.
    let mut number = ORDERS_MAX;
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    assert!(world.harness.host.state.insert("stored".into(), bytes).is_some());
}

#[test]
fn a_full_store_loses_final_orders_and_then_the_smallest() {
    let mut world = World::new();
    let wei = |index| Placing {
        sell_amount: U256::from(1),
        ..senders(index, VALID_TO)
    };
    let (finals, small) = (50, EVICTED_PER_EVENT as u64);
    let uids: Vec<_> = (0..finals)
        .map(|index| world.place(&senders(index, VALID_TO)))
        .collect();
    for uid in uids {
        world.emit(&OrderInvalidation { orderUid: uid }).expect("handled");
    }
    place(&mut world, small, |index| wei(1_000 + index));
    let large = world.place(&senders(2_000, VALID_TO));
    fill(&mut world);
    // It takes part of what was made room for.
    let next = world.place(&wei(3_000));
    assert_eq!(
        (world.state(&large).as_str(), world.state(&next).as_str()),
        ("open", "open")
    );
    let found = report(&mut world, CHAIN);
    assert_eq!(found["counts"]["cancelled"], 0);
    assert_eq!(found["counts"]["open"], finals + 2);
    assert_eq!(found["dropped"], small - finals);

    // There is room for the orders of more blocks, and the owners of removed orders have theirs.
    place(&mut world, EVICTED_PER_EVENT as u64 - 1, |index| {
        senders(4_000 + index, VALID_TO)
    });
    assert_eq!(report(&mut world, CHAIN)["dropped"], small - finals);
    world.block(VALID_TO + 1).expect("handled");
    assert_eq!(world.state(&large), "due");
}

/// Orders of a chain with low prices do not push out those of others.
#[test]
fn the_chain_with_the_most_orders_makes_room() {
    let mut world = World::new();
    let logs: Vec<_> = (0..EVICTED_PER_EVENT as u64 + 10)
        .map(|index| Log {
            chain_id: 100,
            ..world.log(&Placing {
                sell_amount: ether() * U256::from(1_000),
                ..senders(index, VALID_TO)
            })
        })
        .collect();
    world.harness.deliver(Event::Logs(logs)).expect("handled");
    let own = world.place(&senders(1, VALID_TO));
    fill(&mut world);
    let next = world.place(&senders(2, VALID_TO));
    assert_eq!(
        (world.state(&own).as_str(), world.state(&next).as_str()),
        ("open", "open")
    );
    let (own, other) = (report(&mut world, CHAIN), report(&mut world, 100));
    assert_eq!((&own["counts"]["open"], &own["dropped"]), (&json!(2), &json!(0)));
    assert_eq!(other["counts"]["open"], 10);
    assert_eq!(other["dropped"], EVICTED_PER_EVENT);
}

/// nexum delivers the logs of the past before the first block.
#[test]
fn the_orders_of_the_past_use_up_no_bound() {
    let mut world = World::new();
    let now = START + 1_000 * 86_400;
    world.harness.host.now_ms = now * 1_000;
    world.harness.host.on_rpc(move |_, method, _| {
        let hash = B256::repeat_byte(1);
        let header = json!({
            "number": "0x10", "hash": hash, "parentHash": hash, "timestamp": format!("{now:#x}"),
            "miner": Address::ZERO, "gasUsed": "0x0", "gasLimit": "0x0",
        });
        (method == "eth_getBlockByNumber").then_some(Ok(header))
    });
    // 2,000 orders of one user, of which one is not filled.
    let mut unfilled = None;
    for event in 0..20 {
        let mut logs = Vec::new();
        for index in 0..100 {
            let amount = 1 + event * 100 + index;
            let order = Placing::until(START + amount * 600).buying(amount);
            let log = world.log(&order);
            let uid = world.record(&order, &log);
            match amount {
                7 => unfilled = Some(uid),
                _ => {
                    world.chain.borrow_mut().filled.insert(uid, ether());
                }
            }
            logs.push(log);
        }
        world.harness.deliver(Event::Logs(logs)).expect("handled");
    }
    assert_eq!(world.state(&unfilled.expect("an order")), "due");
    let found = report(&mut world, CHAIN);
    assert_eq!((&found["dropped"], &found["counts"]["due"]), (&json!(0), &json!(1)));
    // The module checks when 200 orders are open. Final orders leave the store as well.
    let count = |state: &str| found["counts"][state].as_u64().expect("a number");
    assert!(count("open") <= 300, "{found}");
    assert!(count("filled") < 1_000, "{found}");
}
