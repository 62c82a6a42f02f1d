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
    for salt in 0..3 {
        tower.create(Address::with_last_byte(1), params(HANDLER, salt, &[]));
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
    let mut tower = Tower::new(&[("stored_bytes_max", "5200")]);
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
    assert_eq!(first, Some(128));
    for block in 0..3 {
        tower.world.borrow_mut().on_poll = Some(Box::new(|_, _| Some(super::world::next_block("later"))));
        tower.block(START + block);
    }
    assert_eq!(tower.ask(&json!({}))["totals"]["orders"], 300);
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
