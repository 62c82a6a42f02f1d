//! Handlers, owners and guards that answer in any way.

use nexum_sdk::{Address, Bytes, Error, ErrorKind, U256};
use serde_json::json;

use crate::contracts::Poll;
use crate::contracts::Poll::PollErrors;
use crate::contracts::SwapGuardSet;
use crate::tests::world::{OWNER, Outcome, START, Tower, next_block, not_valid, order, params, twap};

const HANDLER: Address = Address::with_last_byte(0x77);

/// A world whose unknown handlers give this outcome.
fn tower(outcome: Outcome) -> Tower {
    let tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(move |call, _| {
        (call.params.handler == HANDLER).then(|| outcome.clone())
    }));
    tower
}

#[test]
fn two_endless_handlers_do_not_starve_others() {
    let mut tower = tower(Outcome::Endless);
    for salt in 0..2 {
        tower.create(OWNER, params(HANDLER, salt, &[]));
    }
    for salt in 0..20 {
        tower.create(OWNER, twap(salt, START));
    }
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599; 20]);
    assert_eq!(
        tower.ask(&json!({ "reason": "no_hint" }))["orders"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    // The checks of the good ones come first. The endless ones are polled alone, in one batch.
    assert_eq!(tower.world.borrow().polls[0], 20);
    assert_eq!(tower.harness.host.batches, [8, 8, 8, 8, 8, 2]);
}

#[test]
fn owners_that_use_up_the_gas_of_a_multicall_are_polled_alone() {
    let mut tower = Tower::new(&[]);
    let endless = Address::with_last_byte(0xee);
    tower.world.borrow_mut().on_poll = Some(Box::new(move |call, _| {
        (call.owner == endless).then_some(Outcome::Endless)
    }));
    let bad: Vec<_> = (100..102)
        .map(|salt| tower.create(endless, twap(salt, START)))
        .collect();
    for salt in 0..20 {
        tower.create(OWNER, twap(salt, START));
    }
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599; 20]);
    for id in &bad {
        assert_eq!(tower.order(*id)["reason"], "no_hint");
    }
    tower.block(START + 60);
    let polls = tower.world.borrow().polls.clone();
    assert_eq!(polls[polls.len() - 2..], [1, 1]);
}

#[test]
fn a_batch_that_fails_as_a_whole_is_divided() {
    let mut tower = tower(next_block("later"));
    let slow = tower.create(OWNER, params(HANDLER, 0, &[]));
    let ids: Vec<_> = (1..8)
        .map(|salt| tower.create(OWNER, params(HANDLER, salt, &[])))
        .collect();
    // The first batch of eight fails as a whole, and the first half of it too.
    let mut calls = 0;
    tower.harness.host.on_rpc(move |_, _, _| {
        calls += 1;
        (calls <= 12).then(|| Err(Error::new(ErrorKind::Timeout, "slow")))
    });
    tower.block(START);
    assert_eq!(tower.harness.host.batches, [8, 4, 2, 2, 4]);
    for id in ids {
        assert_eq!(tower.order(id)["reason"], "try_next_block");
    }
    assert_eq!(tower.order(slow)["reason"], "try_next_block");
}

#[test]
fn the_waits_for_an_unknown_handler_grow() {
    let mut tower = tower(next_block("later"));
    let id = tower.create(OWNER, params(HANDLER, 1, &[]));
    let mut polled = Vec::new();
    for _ in 0..120 {
        let before = tower.requests();
        tower.block(START);
        if tower.requests() > before {
            polled.push(tower.number);
        }
    }
    assert_eq!(polled, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 23, 39, 71, 103]);
    assert_eq!(tower.order(id)["text"], "later");
}

#[test]
fn no_hint_backs_off_and_ends_after_a_day() {
    let mut tower = tower(Outcome::Revert(Bytes::new()));
    let id = tower.create(OWNER, params(HANDLER, 1, &[]));
    for (now, next) in [(0, 60), (60, 660), (660, 4_260), (4_260, 7_860)] {
        tower.block(START + now);
        let order = tower.order(id);
        assert_eq!(
            (&order["reason"], &order["due"]),
            (&json!("no_hint"), &json!({ "time": START + next }))
        );
    }
    tower.block(START + 86_400);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["has_ended"]),
        (&json!("gave_up"), &json!(true))
    );
    assert_eq!(order["text"], "reverts without data");
}

#[test]
fn hints_wait_for_their_block_and_time() {
    let hint = |number: U256| {
        Outcome::revert(PollErrors::PollTryAtEpoch(Poll::PollTryAtEpoch {
            timestamp: number,
            reason: "later".into(),
        }))
    };
    let at_block = |number: u64| {
        Outcome::revert(PollErrors::PollTryAtBlock(Poll::PollTryAtBlock {
            blockNumber: U256::from(number),
            reason: "later".into(),
        }))
    };
    for (outcome, due) in [
        (hint(U256::from(1_u64 << 33)), json!({ "time": 1_u64 << 33 })),
        (hint(U256::from(5)), json!({ "block": 2 })),
        (at_block(900), json!({ "block": 900 })),
        (at_block(1), json!({ "block": 2 })),
        (hint(U256::MAX), json!({ "time": START + 30 * 86_400 })),
    ] {
        let mut tower = tower(outcome);
        let id = tower.create(OWNER, params(HANDLER, 1, &[]));
        tower.block(START);
        assert_eq!(tower.order(id)["due"], due);
    }
}

#[test]
fn a_wait_for_ever_ends_by_age() {
    let mut tower = tower(Outcome::revert(PollErrors::PollTryAtBlock(Poll::PollTryAtBlock {
        blockNumber: U256::MAX,
        reason: String::new(),
    })));
    let id = tower.create(OWNER, params(HANDLER, 1, &[]));
    tower.block(START);
    assert_eq!(tower.order(id)["has_ended"], false);
    tower.block(START + 30 * 86_400);
    assert_eq!(tower.order(id)["reason"], "gave_up");
}

#[test]
fn a_new_swap_guard_polls_restricted_orders_at_once() {
    let mut tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(|_, now| {
        let restricted = PollErrors::SwapGuardRestricted(Poll::SwapGuardRestricted {});
        (now < START + 24).then(|| Outcome::revert(restricted))
    }));
    let id = tower.create(OWNER, twap(1, START));
    tower.block(START);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["due"]),
        (&json!("swap_guard"), &json!({ "time": START + 600 }))
    );
    tower.emit(&SwapGuardSet {
        owner: OWNER,
        swapGuard: Address::ZERO,
    });
    tower.block(START + 24);
    assert_eq!(tower.posted(), [START + 599]);
}

#[test]
fn a_handler_that_makes_orders_at_each_block_is_posted_once_for_each() {
    let mut tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(|_, now| {
        let end = u32::try_from(now / 900 * 900 + 899).expect("32 bits");
        Some(Outcome::Order(order(end).into()))
    }));
    tower.create(OWNER, params(HANDLER, 1, &[]));
    for now in (START..START + 1_000).step_by(12) {
        tower.block(now);
    }
    assert_eq!(tower.posted(), [START + 899, START + 1_799]);
}

#[test]
fn not_valid_of_an_unknown_handler_is_final_unless_the_operator_retries() {
    let mut tower = tower(not_valid("not now"));
    let id = tower.create(OWNER, params(HANDLER, 1, &[]));
    tower.block(START);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["has_ended"]),
        (&json!("not_valid"), &json!(true))
    );

    let state = tower.harness.host.state.clone();
    let mut other = Tower::with_world(tower.world.clone(), &[("retry", &id.to_string())]);
    other.harness.host.state = state;
    other.number = tower.number;
    other.block(START + 12);
    assert_eq!(other.order(id)["due"], json!({ "time": START + 12 + 3_600 }));
    other.world.borrow_mut().on_poll = Some(Box::new(|_, _| Some(Outcome::Order(order_at(START + 9_000).into()))));
    other.block(START + 12 + 3_600);
    assert_eq!(other.posted(), [START + 9_000]);
}

fn order_at(end: u64) -> crate::contracts::OrderData {
    order(u32::try_from(end).expect("32 bits"))
}
