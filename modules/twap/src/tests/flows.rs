//! An order from its event to its last part.

use nexum_sdk::{B256, U256};
use serde_json::json;

use crate::contracts::ConditionalOrderCreated;
use crate::tests::world::{OWNER, START, Tower, twap, twap_of};

#[test]
fn the_block_of_the_event_posts_the_first_part() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap(1, START));
    assert!(tower.posted().is_empty());
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599]);
    let order = tower.order(id);
    assert_eq!((&order["reason"], &order["posted"]), (&json!("posted"), &json!(1)));
    assert_eq!(order["due"], json!({ "time": START + 600 }));
}

#[test]
fn each_part_is_posted_once_and_the_order_ends() {
    let mut tower = Tower::new(&[("keep_days", "1")]);
    let id = tower.create(OWNER, twap(1, START));
    for now in (START - 24..START + 2_500).step_by(12) {
        tower.block(now);
    }
    let parts: Vec<u64> = (0..4).map(|part| START + part * 600 + 599).collect();
    assert_eq!(tower.posted(), parts);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["has_ended"]),
        (&json!("finished"), &json!(true))
    );
    // One poll and one batch of checks for each part.
    assert_eq!(tower.requests(), 4 * 3);
    tower.block(START + 3_000 + 86_400);
    assert!(tower.order(id).is_null());
    assert_eq!(tower.ask(&json!({}))["totals"]["orders"], 0);
    assert_eq!(
        tower
            .harness
            .host
            .state
            .keys()
            .filter(|key| key.contains("/0x"))
            .count(),
        0
    );
}

#[test]
fn a_part_with_a_span_waits_for_the_next_one() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap_of(1, START, 3, 600, 120));
    tower.block(START + 130);
    assert!(tower.posted().is_empty());
    assert_eq!(tower.requests(), 0);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 600 }));
    tower.block(START + 601);
    assert_eq!(tower.posted(), [START + 719]);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 1_200 }));
}

#[test]
fn a_start_of_zero_comes_from_the_cabinet() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap_of(1, 0, 3, 600, 120));
    tower.world.borrow_mut().cabinets.insert((OWNER, id), START);
    tower.block(START + 10);
    assert_eq!(tower.posted(), [START + 119]);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 600 }));
    // Between two parts, the poll does not tell the start.
    tower.create(OWNER, twap_of(1, 0, 3, 600, 120));
    tower.block(START + 200);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 600 }));
    tower.block(START + 600);
    assert_eq!(tower.posted(), [START + 119, START + 719]);
}

#[test]
fn a_start_of_zero_without_a_cabinet_ends() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap(1, 0));
    tower.block(START);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["has_ended"]),
        (&json!("not_valid"), &json!(true))
    );
    assert_eq!(order["text"], "after twap finish");
}

#[test]
fn nothing_due_makes_no_request() {
    let mut tower = Tower::new(&[]);
    for salt in 0..990 {
        let log = tower.log(
            &ConditionalOrderCreated {
                owner: OWNER,
                params: twap(salt, START + 9_000),
            },
            0,
        );
        tower.deliver_logs(vec![log]);
    }
    for salt in 990..1_000 {
        tower.create(OWNER, twap(salt, START));
    }
    tower.block(START);
    assert_eq!(tower.posted(), [START + 599; 10]);
    // One Multicall3, and the checks of ten orders.
    assert_eq!(tower.world.borrow().polls[0], 10);
    let requests = tower.requests();
    assert_eq!(requests, 1 + 20);
    for now in (START + 12..START + 600).step_by(12) {
        tower.block(now);
    }
    assert_eq!(tower.requests(), requests);
}

#[test]
fn a_thousand_orders_are_polled_in_six_requests() {
    let mut tower = Tower::new(&[]);
    tower.world.borrow_mut().on_poll = Some(Box::new(|_, _| Some(super::world::next_block("wait"))));
    for salt in 0..1_000 {
        tower.create(OWNER, twap(salt, START));
    }
    tower.block(START);
    assert_eq!(tower.world.borrow().polls, [170, 170, 170, 170, 170, 150]);
    tower.block(START + 12);
    assert_eq!(tower.world.borrow().polls.len(), 12);
}

#[test]
fn after_a_downtime_the_current_part_is_posted() {
    let mut tower = Tower::new(&[]);
    tower.create(OWNER, twap(1, START));
    tower.block(START);
    tower.harness.drop_instance();
    tower.block(START + 1_300);
    assert_eq!(tower.posted(), [START + 599, START + 1_799]);
    tower.harness.drop_instance();
    tower.block(START + 9_000);
    assert_eq!(tower.posted().len(), 2);
}

#[test]
fn a_part_that_ends_too_soon_waits_for_the_next() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap(1, START));
    tower.block(START + 545);
    assert!(tower.posted().is_empty());
    assert_eq!(tower.order(id)["reason"], "too_late");
    tower.block(START + 600);
    assert_eq!(tower.posted(), [START + 1_199]);
}

#[test]
fn a_filled_or_cancelled_part_is_not_posted() {
    for amount in [U256::from(1_000), U256::MAX] {
        let mut tower = Tower::new(&[]);
        let id = tower.create(OWNER, twap(1, START));
        tower.block(START);
        let uid = uid_of(&mut tower);
        tower.world.borrow_mut().filled.insert(uid, amount);
        // This module does not know the part.
        let mut forgetful = Tower::with_world(tower.world.clone(), &[]);
        forgetful.create(OWNER, twap(1, START));
        forgetful.block(START);
        assert!(forgetful.posted().is_empty());
        let order = forgetful.order(id);
        assert_eq!(
            (&order["reason"], &order["due"]),
            (&json!("filled"), &json!({ "time": START + 600 }))
        );
    }
}

/// The UID of the part that was posted.
fn uid_of(tower: &mut Tower) -> nexum_sdk::Bytes {
    let digest: B256 =
        serde_json::from_value(tower.ask(&json!({}))["orders"][0]["finished"][0][0].clone()).expect("a digest");
    let valid_to = u32::try_from(START + 599).expect("32 bits");
    nexum_sdk::cow::uid(digest, OWNER, valid_to)
}

#[test]
fn a_removed_order_ends_and_a_new_event_brings_it_back() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap(1, START));
    tower.block(START);
    tower.world.borrow_mut().removed.insert(id);
    tower.block(START + 600);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["has_ended"]),
        (&json!("not_authorised"), &json!(true))
    );
    tower.world.borrow_mut().removed.clear();
    tower.block(START + 700);
    assert_eq!(tower.posted().len(), 1);
    tower.create(OWNER, twap(1, START));
    tower.block(START + 712);
    assert_eq!(tower.posted(), [START + 599, START + 1_199]);
    // The known part is not posted again.
    tower.create(OWNER, twap(1, START));
    tower.block(START + 724);
    assert_eq!(tower.posted().len(), 2);
}

#[test]
fn a_retried_event_submits_identical_orders() {
    let mut tower = Tower::new(&[]);
    tower.create(OWNER, twap(1, START));
    tower.create(OWNER, twap(2, START));
    // Each call of the store fails once, so that the event is retried from each of its states.
    for call in 1..200 {
        tower.harness.host.trap_store_at(call);
        tower.number = 0;
        if tower.try_block(START).is_ok() {
            break;
        }
    }
    tower.harness.host.fail_store_at(usize::MAX);
    let bodies: std::collections::BTreeSet<String> =
        tower.world.borrow().attempts.iter().map(ToString::to_string).collect();
    assert_eq!(bodies.len(), 2);
    assert!(tower.world.borrow().attempts.len() > 2);
    assert_eq!(tower.ask(&json!({}))["totals"]["posted"], 2);
}

#[test]
fn no_answer_of_the_node_keeps_orders_due() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap(1, START));
    tower.world.borrow_mut().is_down = true;
    tower.block(START);
    assert_eq!(tower.order(id)["reason"], "node_unreachable");
    tower.world.borrow_mut().is_down = false;
    tower.block(START + 12);
    assert_eq!(tower.posted(), [START + 599]);
}
