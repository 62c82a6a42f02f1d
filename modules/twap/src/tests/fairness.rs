//! Strangers cannot use up what the orders of others need.

use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Bytes, Error, ErrorKind, U256};
use serde_json::json;

use crate::contracts::{MerkleRootSet, Poll, Poll::PollErrors, Proof, SwapGuardSet};
use crate::tests::world::{GoodAfterTimeData, OWNER, Outcome, START, Tower, next_block, params, twap, twap_of};

const HANDLER: Address = Address::with_last_byte(0x77);
const STRANGER: Address = Address::with_last_byte(0x66);

fn owner(number: u64) -> Address {
    Address::from_word(U256::from(number + 1_000).into())
}

/// A world whose unknown handlers give this outcome.
fn tower(outcome: Outcome) -> Tower {
    let tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(move |call, _| {
        (call.params.handler == HANDLER).then(|| outcome.clone())
    }));
    tower
}

#[test]
fn many_unknown_handlers_leave_requests_for_others() {
    let mut tower = tower(next_block("later"));
    for number in 0..300 {
        tower.create(owner(number), params(HANDLER, 1, &[]));
    }
    tower.create(OWNER, twap(1, START));
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599]);
    // The TWAP with its checks, and a hundred calls alone.
    assert_eq!(tower.requests(), 3 + 100);
    tower.block(START + 12);
    tower.block(START + 24);
    tower.block(START + 36);
    let waiting = tower.ask(&json!({ "reason": "new" }));
    assert_eq!(waiting["orders"].as_array().map(Vec::len), Some(0));
}

#[test]
fn large_answers_leave_room_for_others() {
    let reason = "x".repeat(460_000);
    let large = PollErrors::PollTryNextBlock(Poll::PollTryNextBlock { reason });
    let mut tower = tower(Outcome::revert(large.clone()));
    for number in 0..40 {
        tower.create(owner(number), params(HANDLER, 1, &[]));
    }
    tower.create(OWNER, twap(1, START));
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599]);
    // One batch of eight is as much as the event may receive.
    assert_eq!(tower.harness.host.batches, [2, 8]);
}

#[test]
fn a_large_answer_to_a_shared_call_is_asked_alone() {
    let mut tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(|call, _| {
        (call.owner == STRANGER).then(|| Outcome::Revert(vec![1; 40_000].into()))
    }));
    let id = tower.create(STRANGER, twap(7, START));
    tower.create(OWNER, twap(1, START));
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599]);
    assert_eq!(tower.order(id)["reason"], "no_hint");
    assert_eq!(tower.world.borrow().polls[..2], [2, 1]);
}

#[test]
fn orders_of_one_owner_do_not_come_before_all_others() {
    let mut tower = Tower::new(&[]);
    for salt in 0..200 {
        tower.create(STRANGER, twap_of(salt, START, 2, 120, 0));
    }
    tower.world.borrow_mut().bad_signatures.insert(STRANGER);
    tower.create(OWNER, twap_of(1_000, START, 2, 3_600, 0));
    tower.block(START);
    let place = tower.posted().iter().position(|end| *end == START + 3_599);
    assert!(place.is_some_and(|place| place < 8), "{place:?}");
}

#[test]
fn orders_that_wait_for_a_quote_do_not_come_before_all_others() {
    let mut tower = Tower::new(&[]);
    let handler = nexum_sdk::address!("0xdaF33924925E03C9cC3a10D434016D6cFad0aDd5");
    let data = GoodAfterTimeData {
        sellToken: STRANGER,
        buyToken: STRANGER,
        receiver: STRANGER,
        sellAmount: U256::from(1),
        minSellBalance: U256::ZERO,
        startTime: U256::ZERO,
        endTime: U256::from(START + 99_999),
        allowPartialFill: false,
        priceCheckerPayload: Bytes::new(),
        appData: B256::ZERO,
    };
    for salt in 0..1_200 {
        tower.create(STRANGER, params(handler, salt, &data.abi_encode()));
    }
    tower
        .harness
        .host
        .on_cow(|_, _, _, _| Some(Err(Error::new(ErrorKind::InvalidInput, "no route").with_code(404))));
    tower.create(OWNER, twap(1, START));
    tower.block(START);
    tower.block(START + 12);
    assert_eq!(tower.posted(), [START + 599]);
}

#[test]
fn orders_of_every_block_take_turns() {
    let mut tower = Tower::new(&[]);
    let polled = std::rc::Rc::new(std::cell::RefCell::new(std::collections::BTreeSet::new()));
    let seen = polled.clone();
    tower.world.borrow_mut().on_poll = Some(Box::new(move |call, _| {
        seen.borrow_mut().insert(call.owner);
        Some(next_block("later"))
    }));
    for number in 0..1_200 {
        tower.create(owner(number), twap(1, START));
    }
    tower.block(START);
    tower.block(START + 12);
    polled.borrow_mut().clear();
    for block in 2..7 {
        tower.block(START + 12 * block);
    }
    assert_eq!(polled.borrow().len(), 1_200);
}

#[test]
fn a_list_that_names_one_blob_many_times_is_not_copied() {
    let mut tower = Tower::new(&[]);
    let count = 1_600_u64;
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let mut data = [word(32), word(count)].concat();
    data.extend((0..count).flat_map(|_| word(32 * count)));
    data.extend(word(50_000));
    data.extend([1; 50_000]);
    tower.emit(&MerkleRootSet {
        owner: STRANGER,
        root: B256::repeat_byte(1),
        proof: Proof {
            location: U256::from(1),
            data: data.into(),
        },
    });
    let skipped = tower.ask(&json!({}))["totals"]["skipped"].clone();
    assert_eq!(skipped, json!({ "input_too_large": count }));
}

#[test]
fn logs_that_store_nothing_take_room_of_the_event_too() {
    let mut tower = Tower::new(&[]);
    let event = SwapGuardSet {
        owner: STRANGER,
        swapGuard: STRANGER,
    };
    let logs: Vec<_> = (0..4_000).map(|index| tower.log(&event, index)).collect();
    tower.deliver_logs(logs);
    let waiting = |tower: &Tower| tower.harness.host.state.keys().any(|key| key.starts_with("backlog/"));
    assert!(waiting(&tower));
}

#[test]
fn a_node_that_lags_does_not_lose_logs() {
    let mut tower = Tower::new(&[]);
    let proof = vec![B256::repeat_byte(7); 10];
    let leaves = (0..600).map(|salt| (proof.clone(), twap(salt, START + 90_000)).abi_encode_params().into());
    let leaves: Vec<Bytes> = leaves.collect();
    let event = MerkleRootSet {
        owner: OWNER,
        root: B256::repeat_byte(1),
        proof: Proof {
            location: U256::from(1),
            data: leaves.abi_encode().into(),
        },
    };
    let log = tower.log(&event, 3);
    tower.deliver_logs(vec![log.clone()]);
    // The node gives no logs.
    tower.block(START);
    let count = |tower: &mut Tower| tower.ask(&json!({}))["totals"]["orders"].clone();
    assert_eq!(count(&mut tower), 400);
    // Orders of other blocks do not wait for it.
    tower.create(STRANGER, twap(5, START + 90_000));
    assert_eq!(count(&mut tower), 401);
    tower.world.borrow_mut().logs = vec![log];
    tower.block(START + 12);
    assert_eq!(count(&mut tower), 601);
}

#[test]
fn a_new_root_takes_the_places_of_the_old_one() {
    let mut tower = Tower::new(&[("orders_per_owner_max", "3")]);
    for (root, salts) in [(1, 0..3), (2, 3..6)] {
        let leaf = |salt| {
            (vec![B256::repeat_byte(7)], twap(salt, START + 90_000))
                .abi_encode_params()
                .into()
        };
        let leaves: Vec<Bytes> = salts.map(leaf).collect();
        tower.emit(&MerkleRootSet {
            owner: OWNER,
            root: B256::repeat_byte(root),
            proof: Proof {
                location: U256::from(1),
                data: leaves.abi_encode().into(),
            },
        });
    }
    let answer = tower.ask(&json!({ "reason": "new" }));
    assert_eq!(answer["orders"].as_array().map(Vec::len), Some(3));
    assert_eq!(answer["totals"]["skipped"], json!({}));
}

#[test]
fn a_timeout_or_an_unknown_block_is_no_fault_of_an_order() {
    for (error, reason) in [
        (
            Error::new(ErrorKind::Timeout, "no answer").with_code(504),
            "node_unreachable",
        ),
        (Error::new(ErrorKind::Timeout, "no answer"), "node_unreachable"),
        (
            Error::new(ErrorKind::Unavailable, "header not found").with_code(-32_000),
            "node_unreachable",
        ),
        (
            Error::new(ErrorKind::Unavailable, "EVM error OutOfGas").with_code(-32_003),
            "no_hint",
        ),
        (
            Error::new(ErrorKind::Unavailable, "VM execution error.").with_code(-32_015),
            "no_hint",
        ),
    ] {
        let mut tower = Tower::new(&[]);
        let answer = error.clone();
        tower.harness.host.on_rpc(move |_, _, _| Some(Err(answer.clone())));
        let id = tower.create(OWNER, twap(1, START));
        tower.block(START);
        assert_eq!(tower.order(id)["reason"], reason, "{error}");
    }
}

#[test]
fn the_orders_of_history_do_not_take_places() {
    let mut tower = Tower::new(&[("orders_per_owner_max", "1")]);
    tower.harness.host.now_ms = (START + 90_000) * 1_000;
    let over = tower.create(OWNER, twap(1, START));
    let live = tower.create(OWNER, twap(2, START + 90_000));
    let answer = tower.ask(&json!({ "id": over }));
    assert_eq!(
        (&answer["orders"], &answer["skipped"][0]["reason"]),
        (&json!([]), &json!("over"))
    );
    assert_eq!(tower.order(live)["reason"], "new");
}

#[test]
fn an_order_book_that_fails_for_one_order_takes_the_others() {
    let mut tower = Tower::new(&[]);
    let bad = tower.create(STRANGER, twap_of(1, START, 2, 1_800, 0));
    for salt in 2..5 {
        tower.create(OWNER, twap_of(salt, START, 2, 3_600, 0));
    }
    tower
        .harness
        .host
        .on_order(|_, order| match order["from"] == json!(STRANGER) {
            true => Err(Error::new(ErrorKind::Timeout, "no answer")),
            false => Ok(()),
        });
    tower.block(START);
    assert!(tower.posted().is_empty());
    tower.block(START + 24);
    assert_eq!(tower.posted(), [START + 3_599; 3]);
    assert_eq!(tower.order(bad)["reason"], "order_book_down");
}
