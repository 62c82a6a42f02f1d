//! Events with hostile data.

use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Bytes, Log, U256};
use proptest::prelude::*;
use serde_json::json;

use crate::contracts::{COMPOSABLE_COW, ConditionalOrderCreated, Handler, MerkleRootSet, Proof, SwapGuardSet};
use crate::schedule::{Twap, first_due, last_second};
use crate::tests::world::{OWNER, START, TWAP, Tower, params, twap};
use crate::verdict::{Answer, verdict};

const HANDLER: Address = Address::with_last_byte(0x77);

fn skipped(tower: &mut Tower) -> serde_json::Value {
    tower.ask(&json!({}))["totals"]["skipped"].clone()
}

#[test]
fn orders_beyond_the_bounds_are_skipped_with_their_reasons() {
    let config = [
        ("static_input_bytes_max", "320"),
        ("orders_per_owner_max", "3"),
        ("unknown_orders_max", "2"),
    ];
    let mut tower = Tower::new(&config);
    let large = tower.create(OWNER, params(HANDLER, 9, &[0; 321]));
    for owner in 1..4 {
        tower.create(Address::with_last_byte(owner), params(HANDLER, 1, &[]));
    }
    for salt in 0..4 {
        tower.create(OWNER, twap(salt, START));
    }
    assert_eq!(
        skipped(&mut tower),
        json!({
            "input_too_large": 1,
            "too_many_of_unknown_handlers": 1,
            "too_many_of_owner": 1,
        })
    );
    let answer = tower.ask(&json!({}));
    assert_eq!(answer["totals"]["orders"], 5);
    assert_eq!(
        (&answer["skipped"][0]["id"], &answer["skipped"][0]["reason"]),
        (&json!(large), &json!("input_too_large"))
    );
}

#[test]
fn a_full_store_takes_no_more_orders_and_forgets_ended_ones_early() {
    let mut tower = Tower::new(&[("stored_bytes_max", "6000")]);
    let ids: Vec<_> = (0..5).map(|salt| tower.create(OWNER, twap(salt, START))).collect();
    assert_eq!(skipped(&mut tower), json!({ "store_full": 1 }));
    tower.world.borrow_mut().removed.extend(ids);
    tower.block(START);
    assert_eq!(tower.ask(&json!({}))["totals"]["live"], 0);
    tower.block(START + 12);
    assert_eq!(tower.ask(&json!({}))["totals"]["orders"], 0);
}

#[test]
fn events_of_other_contracts_and_chains_are_ignored() {
    let mut tower = Tower::new(&[]);
    let event = ConditionalOrderCreated {
        owner: OWNER,
        params: twap(1, START),
    };
    let log = tower.log(&event, 0);
    tower.deliver_logs(vec![Log {
        address: HANDLER,
        ..log.clone()
    }]);
    tower.deliver_logs(vec![Log { chain_id: 2, ..log }]);
    tower.block(START);
    assert_eq!(
        (tower.requests(), tower.ask(&json!({}))["totals"]["orders"].as_u64()),
        (0, Some(0))
    );
}

#[test]
fn a_flood_of_orders_in_one_block_arrives_over_several_events() {
    let mut tower = Tower::new(&[]);
    let logs: Vec<_> = (0..300)
        .map(|salt| {
            let owner = Address::from_word(B256::from(U256::from(salt)));
            let params = params(TWAP, u64::from(salt), &[1; 4_000]);
            tower.log(&ConditionalOrderCreated { owner, params }, salt)
        })
        .collect();
    tower.world.borrow_mut().logs.clone_from(&logs);
    tower.deliver_logs(logs);
    let first = tower.ask(&json!({}))["totals"]["orders"].as_u64();
    assert_eq!(first, Some(120));
    for block in 0..3 {
        tower.world.borrow_mut().on_poll = Some(Box::new(|_, _| Some(super::world::next_block("later"))));
        tower.block(START + block);
    }
    assert_eq!(tower.ask(&json!({}))["totals"]["orders"], 300);
}

#[test]
fn one_owner_has_a_share_of_the_orders_of_unknown_handlers() {
    let mut tower = Tower::new(&[("unknown_per_owner_max", "2")]);
    for salt in 0..5 {
        tower.create(OWNER, params(HANDLER, salt, &[]));
    }
    assert_eq!(skipped(&mut tower), json!({ "too_many_of_unknown_handlers": 3 }));
    tower.create(Address::with_last_byte(1), params(HANDLER, 0, &[]));
    assert_eq!(tower.ask(&json!({}))["totals"]["unknown"], 3);
}

#[test]
fn a_full_store_takes_the_room_of_the_largest_owner() {
    let mut tower = Tower::new(&[("stored_bytes_max", "20000")]);
    for salt in 0..4 {
        tower.create(OWNER, params(TWAP, salt, &[1; 4_000]));
    }
    // Three orders of 5.1 kB.
    assert_eq!(skipped(&mut tower), json!({ "store_full": 1 }));
    let other = Address::with_last_byte(1);
    let ids: Vec<_> = (0..4).map(|salt| tower.create(other, twap(salt, START))).collect();
    for id in ids {
        assert_eq!(tower.order(id)["reason"], "new");
    }
    let answer = tower.ask(&json!({ "owner": OWNER }));
    assert_eq!(
        (
            &answer["owner"]["stored"],
            answer["skipped"].as_array().expect("a list").len()
        ),
        (&json!(2), 2)
    );
    tower.create(OWNER, params(TWAP, 9, &[1; 4_000]));
    assert_eq!(skipped(&mut tower), json!({ "store_full": 3 }));
    assert_eq!(tower.ask(&json!({}))["totals"]["live"], 6);
}

#[test]
fn orders_of_the_past_take_no_room() {
    let mut tower = Tower::new(&[("orders_per_owner_max", "2")]);
    let now = START + 864_000;
    tower.harness.host.now_ms = now * 1_000;
    for salt in 0..3 {
        tower.create(OWNER, twap(salt, START));
    }
    assert_eq!(skipped(&mut tower), json!({ "over": 3 }));
    // The start of these is the time of their blocks, which matters when the room is scarce.
    tower.world.borrow_mut().block_time = START;
    tower.create(OWNER, twap(3, 0));
    assert_eq!(tower.requests(), 0);
    tower.create(OWNER, twap(4, 0));
    assert_eq!((tower.requests(), skipped(&mut tower)), (1, json!({ "over": 4 })));
    tower.world.borrow_mut().block_time = now;
    let live = tower.create(OWNER, twap(5, 0));
    assert_eq!(tower.order(live)["reason"], "new");
}

#[test]
fn cheap_logs_wait_when_their_event_has_no_room() {
    for has_orders in [false, true] {
        let mut tower = Tower::new(&[]);
        if has_orders {
            tower.create(OWNER, twap(1, START + 90_000));
            tower.block(START);
        }
        let logs: Vec<_> = (0..2_500)
            .map(|index| {
                let swap_guard = Address::from_word(B256::from(U256::from(index)));
                tower.log(
                    &SwapGuardSet {
                        owner: OWNER,
                        swapGuard: swap_guard,
                    },
                    index,
                )
            })
            .collect();
        tower.world.borrow_mut().logs.clone_from(&logs);
        tower.harness.host.trap_store_at(5_000);
        tower.deliver_logs(logs);
        for block in 1..5 {
            tower.harness.host.trap_store_at(5_000);
            tower.block(START + 12 * block);
        }
        tower.harness.host.trap_store_at(usize::MAX);
        let answer = tower.ask(&json!({ "owner": OWNER }));
        let last = Address::from_word(B256::from(U256::from(2_499)));
        assert_eq!(answer["owner"]["swap_guard"] == json!(last), has_orders);
        assert_eq!(tower.requests(), 2 + usize::from(has_orders));
    }
}

#[test]
fn a_block_reads_a_bounded_number_of_waiting_blocks() {
    let mut tower = Tower::new(&[]);
    let mut all = Vec::new();
    for block in 1..=20 {
        let logs: Vec<_> = (0..1_010)
            .map(|index| Log {
                block_number: block,
                ..tower.log(
                    &SwapGuardSet {
                        owner: OWNER,
                        swapGuard: HANDLER,
                    },
                    index,
                )
            })
            .collect();
        tower.deliver_logs(logs.clone());
        all.extend(logs);
    }
    tower.world.borrow_mut().logs = all;
    let mut requests = Vec::new();
    for block in 0..5 {
        tower.block(START + 12 * block);
        requests.push(tower.requests());
    }
    // A megabyte each, and eight megabytes an event.
    assert_eq!(requests, [7, 14, 20, 20, 20]);
}

#[test]
fn a_block_that_is_too_large_to_read_again_does_not_wait() {
    let mut tower = Tower::new(&[]);
    let guard = SwapGuardSet {
        owner: OWNER,
        swapGuard: HANDLER,
    };
    let mut logs: Vec<_> = (0..1_001).map(|index| tower.log(&guard, index)).collect();
    logs[0].data = vec![0; 5_000_000].into();
    tower.deliver_logs(logs);
    tower.block(START);
    assert_eq!(skipped(&mut tower)["block_too_large"], 1);
    assert_eq!(tower.requests(), 0);
}

#[test]
fn a_block_that_the_node_does_not_have_is_read_later() {
    let created = |tower: &Tower, salt: u64, index| {
        let params = twap(salt, START + 90_000);
        tower.log(&ConditionalOrderCreated { owner: OWNER, params }, index)
    };
    let mut tower = Tower::new(&[]);
    let mut logs: Vec<_> = (0..300).map(|salt| created(&tower, u64::from(salt), salt)).collect();
    // This node numbers the logs of each transaction.
    logs[250].log_index = 0;
    tower.deliver_logs(logs.clone());
    let live = |tower: &mut Tower| tower.ask(&json!({}))["totals"]["live"].clone();
    assert_eq!(live(&mut tower), 250);
    for block in 0..3 {
        tower.block(START + 12 * block);
    }
    // Others do not wait for it.
    let other = created(&tower, 1_000, 0);
    tower.deliver_logs(vec![other]);
    assert_eq!(live(&mut tower), 251);
    // The waits grow.
    assert_eq!(tower.requests(), 2);
    tower.world.borrow_mut().logs = logs;
    tower.block(START + 100);
    assert_eq!(live(&mut tower), 301);
    assert_eq!(skipped(&mut tower), json!({}));
}

#[test]
fn a_block_that_the_node_never_has_is_skipped_after_a_day() {
    let mut tower = Tower::new(&[]);
    let guard = SwapGuardSet {
        owner: OWNER,
        swapGuard: HANDLER,
    };
    let logs = (0..1_010).map(|index| tower.log(&guard, index)).collect();
    tower.deliver_logs(logs);
    for hour in 0..24 {
        tower.block(START + 3_600 * hour);
    }
    assert_eq!(skipped(&mut tower), json!({}));
    tower.block(START + 86_400);
    assert_eq!(skipped(&mut tower), json!({ "event_missing": 1 }));
    let requests = tower.requests();
    tower.block(START + 90_000);
    assert_eq!(tower.requests(), requests);
}

#[test]
fn a_refused_order_is_found_by_its_owner_and_its_id() {
    let mut tower = Tower::new(&[]);
    let refused = tower.create(OWNER, params(HANDLER, 0, &[0; 5_000]));
    for salt in 1..300 {
        tower.create(Address::with_last_byte(1), params(HANDLER, salt, &[0; 5_000]));
    }
    for question in [
        json!({ "owner": OWNER }),
        json!({ "id": refused }),
        json!({ "id": refused, "owner": OWNER }),
    ] {
        let found = tower.ask(&question)["skipped"].clone();
        let list = found.as_array().expect("a list");
        assert_eq!(list.len(), 1, "{question}");
        assert_eq!(
            (&list[0]["id"], &list[0]["reason"]),
            (&json!(refused), &json!("input_too_large"))
        );
    }
    let other = tower.ask(&json!({ "owner": Address::with_last_byte(1) }));
    assert_eq!(other["skipped"].as_array().expect("a list").len(), 16);
}

#[test]
fn a_swap_guard_from_before_the_first_order_is_not_known() {
    let mut tower = Tower::new(&[]);
    let guard = SwapGuardSet {
        owner: OWNER,
        swapGuard: HANDLER,
    };
    tower.emit(&guard);
    tower.create(OWNER, twap(1, START));
    let shown = |tower: &mut Tower| tower.ask(&json!({ "owner": OWNER }))["owner"]["swap_guard"].clone();
    assert_eq!(shown(&mut tower), json!(null));
    tower.emit(&guard);
    assert_eq!(shown(&mut tower), json!(HANDLER));
}

#[test]
fn a_swap_guard_of_an_unknown_owner_is_not_stored() {
    let mut tower = Tower::new(&[]);
    tower.emit(&SwapGuardSet {
        owner: OWNER,
        swapGuard: HANDLER,
    });
    assert!(tower.harness.host.state.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(data: Vec<u8>, words: Vec<[u8; 32]>, now: u64) {
        let words = words.concat();
        for input in [&data, &words] {
            let _ = Twap::read(input).map(|twap| (twap.after(now), twap.next_part(now, now), twap.end(now)));
            for handler in [Handler::Twap, Handler::GoodAfterTime, Handler::StopLoss, Handler::Unknown] {
                let _ = (first_due(handler, input, now), last_second(handler, input));
                for answer in [Answer::Returned(input.clone().into()), Answer::Reverted(input.clone().into())] {
                    let _ = verdict(handler, input, &answer, now);
                }
            }
        }
    }

    #[test]
    fn no_reason_makes_decoding_panic(selector in 0..6_usize, mut data: Vec<u8>, now: u64) {
        let selectors = ["c8fc2725", "d05f3065", "1fe8506e", "7e334637", "981b64cd", "08c379a0"];
        let mut revert = nexum_sdk::hex::decode(selectors[selector]).expect("digits");
        revert.append(&mut data);
        let _ = verdict(Handler::Twap, &[], &Answer::Reverted(revert.into()), now);
    }

    #[test]
    fn no_log_makes_an_event_fail(data: Vec<u8>, owner: [u8; 20], topic in 0..3_usize, times: [u64; 4]) {
        let mut tower = Tower::new(&[]);
        let topics = [
            "2cceac5555b0ca45a3744ced542f54b56ad2eb45e521962372eef212a2cbf361",
            "58662f46b4a87d0f96d929b24c37fe25c55d52c0025d0b2bec3936534cc31e57",
            "41f583e2d25b3921afe66987b63b0b5e4cf2acbbbed4a477fd19a22180f3f859",
        ];
        let owner = Address::from(owner);
        tower.deliver_logs(vec![Log {
            chain_id: 1,
            address: COMPOSABLE_COW,
            topics: vec![topics[topic].parse().expect("a topic"), owner.into_word()],
            data: data.clone().into(),
            ..Log::default()
        }]);
        let leaves: Vec<Bytes> = vec![data.clone().into()];
        for leaves in [Bytes::from(data), leaves.abi_encode().into()] {
            let proof = Proof { location: U256::from(1), data: leaves };
            tower.emit(&MerkleRootSet { owner, root: B256::repeat_byte(1), proof });
        }
        let [t0, n, t, span] = times;
        tower.create(owner, super::world::twap_of(1, t0, n, t, span));
        tower.world.borrow_mut().on_poll = Some(Box::new(|_, _| Some(super::world::not_valid("not within span"))));
        tower.block(START);
        tower.block(u64::MAX / 2_000);
    }
}
