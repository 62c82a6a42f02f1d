//! The questions of operators.

use nexum_sdk::{Address, ErrorKind, U256};
use serde_json::{Value, json};

use super::{CHAIN, Placing, SENDER, START, World, ether};
use crate::query::{ORDERS_PER_ANSWER, ORDERS_PER_ANSWER_MAX};
use crate::refunds::REFUNDS_PER_CALL;

const VALID_TO: u64 = START + 1_800;

/// A number of due orders, of two senders.
fn due(count: u64) -> World {
    let mut world = World::new();
    for index in 1..=count {
        let order = Placing {
            sender: if index % 2 == 0 {
                Address::repeat_byte(2)
            } else {
                SENDER
            },
            ..Placing::until(VALID_TO).buying(index)
        };
        world.place(&order);
    }
    world.block(VALID_TO + 1).expect("handled");
    world
}

fn uids(answer: &Value) -> Vec<&str> {
    let orders = answer["orders"].as_array().expect("orders").iter();
    orders.map(|order| order["uid"].as_str().expect("a UID")).collect()
}

#[test]
fn an_empty_question_is_about_the_counts() {
    let mut world = due(3);
    let answer = world.harness.query("").expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let counts = json!({
        "open": 0, "expired": 0, "due": 3, "stuck": 0, "filled": 0, "cancelled": 0, "refunded": 0, "closed": 0,
    });
    let chain = json!({ "chain_id": CHAIN, "counts": counts, "dropped": 0, "foreign": 0, "is_unanswered": false });
    assert_eq!(
        answer,
        json!({ "chains": [chain], "orders": [], "calls": [], "next": null })
    );
    assert_eq!(world.ask(&json!({})), answer);
}

#[test]
fn a_report_has_everything_about_an_order() {
    let mut world = World::new();
    let uid = world.place(&Placing::until(VALID_TO));
    world.block(VALID_TO + 1).expect("handled");
    let mut order = world.order(&uid);
    let data = order["call"]["data"].take();
    assert!(data.as_str().expect("calldata").starts_with("0x4cb76498"));
    let placed = order["placed_in"].take();
    assert_eq!(placed.as_str().map(str::len), Some(66));
    let expected = json!({
        "chain_id": CHAIN,
        "uid": uid,
        "contract": "0xba3cb449bd2b4adddbc894d8697f5170800eadec",
        "owner": SENDER,
        "state": "due",
        "reason": "expired without a fill",
        "since": { "block": 150, "time": VALID_TO + 1 },
        "valid_to": VALID_TO,
        "sell_amount": "1000000000000000000",
        "filled": "0",
        "refund": "1000000000000000000",
        "buy_token": "0xc6e7df5e7b4f2a278906862b61205850344d4e7d",
        "buy_amount": "1000000",
        "receiver": SENDER,
        "partially_fillable": false,
        "quote_id": 42,
        "placed_in": null,
        "next_check": VALID_TO + 1 + 3_600,
        "call": { "chain_id": CHAIN, "to": "0xba3cb449bd2b4adddbc894d8697f5170800eadec", "data": null },
    });
    assert_eq!(order, expected);
}

#[test]
fn pages_have_each_order_once() {
    let mut world = due(45);
    let mut all = Vec::new();
    let mut after = Value::Null;
    let mut pages = Vec::new();
    loop {
        let answer = world.ask(&json!({ "state": "due", "after": after }));
        pages.push(uids(&answer).len());
        all.extend(uids(&answer).into_iter().map(str::to_owned));
        after = answer["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(pages, [ORDERS_PER_ANSWER, ORDERS_PER_ANSWER, 5]);
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((count, all.len()), (45, 45));

    let answer = world.ask(&json!({ "state": "due", "limit": 45 }));
    assert_eq!((uids(&answer).len(), &answer["next"]), (45, &Value::Null));
}

/// One transaction for each group of orders of one contract.
#[test]
fn the_calls_pay_all_due_orders_of_the_answer_back() {
    let mut world = due(20);
    let answer = world.ask(&json!({ "state": "due" }));
    let calls = answer["calls"].as_array().expect("calls");
    // A selector, two words, and nine words for each order.
    let length = |orders: usize| 2 + 8 + 64 * (2 + 9 * orders);
    let lengths: Vec<_> = calls
        .iter()
        .map(|call| call["data"].as_str().expect("data").len())
        .collect();
    assert_eq!(lengths, [length(REFUNDS_PER_CALL), length(20 - REFUNDS_PER_CALL)]);
    assert_eq!(calls[0]["to"], "0xba3cb449bd2b4adddbc894d8697f5170800eadec");
}

#[test]
fn finds_the_orders_of_an_owner() {
    let mut world = due(7);
    let answer = world.ask(&json!({ "owner": SENDER }));
    assert_eq!(uids(&answer).len(), 4);
    let none = world.ask(&json!({ "owner": SENDER, "state": "stuck" }));
    assert_eq!(uids(&none).len(), 0);
    let other_chain = world.ask(&json!({ "owner": SENDER, "chain_id": 1 }));
    assert_eq!(uids(&other_chain).len(), 0);
    let stranger = world.ask(&json!({ "owner": Address::repeat_byte(8) }));
    assert_eq!(uids(&stranger).len(), 0);
}

#[test]
fn a_chain_selects_its_counts_and_orders() {
    let mut world = due(1);
    world.block_of(1, START).expect("handled");
    let chains = |answer: &Value| -> Vec<u64> {
        let chains = answer["chains"].as_array().expect("chains").iter();
        chains
            .map(|chain| chain["chain_id"].as_u64().expect("a number"))
            .collect()
    };
    assert_eq!(chains(&world.ask(&json!({}))), [1, CHAIN]);
    for chain_id in [1, CHAIN] {
        assert_eq!(chains(&world.ask(&json!({ "chain_id": chain_id }))), [chain_id]);
    }
    assert_eq!(chains(&world.ask(&json!({ "chain_id": 5 }))), [0; 0]);
}

#[test]
fn stuck_orders_have_a_call_and_are_in_no_transaction() {
    let mut world = World::new();
    world.place(&Placing::until(VALID_TO).buying(5));
    world.chain.borrow_mut().refusing.insert(U256::from(5));
    world.block(VALID_TO + 1).expect("handled");
    let answer = world.ask(&json!({ "state": "stuck" }));
    assert_eq!(answer["calls"], json!([]));
    assert!(answer["orders"][0]["call"]["data"].is_string());
    assert_eq!(answer["orders"][0]["refund"], ether().to_string());
}

#[test]
fn a_wrong_question_is_invalid_input() {
    let mut world = due(1);
    let too_many = ORDERS_PER_ANSWER_MAX + 1;
    for (question, part) in [
        (json!({ "limit": 0 }), "limit: 0 is not between 1 and 100"),
        (json!({ "limit": too_many }), "limit: 101 is not between 1 and 100"),
        (json!({ "uid": "0x00" }), "uid: a UID has 56 bytes"),
        (
            json!({ "state": "due", "after": "x" }),
            "after: \"x\" is not `next` of an answer",
        ),
        (json!({ "state": "due", "after": "1:0x00" }), "uid: a UID has 56 bytes"),
        (json!({ "state": "lost" }), "unknown variant `lost`"),
        (json!({ "sender": SENDER }), "unknown field `sender`"),
        (json!([1, 2]), "invalid type"),
    ] {
        let error = world.harness.query(question.to_string()).expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{question}");
        assert!(error.message().contains(part), "{question}: {error}");
    }
    assert!(world.harness.query("{").is_err());
}
