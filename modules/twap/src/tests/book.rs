//! The order book: queue, refusals, and failures.

use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Error, ErrorKind, U256};
use serde_json::json;

use crate::tests::world::{GoodAfterTimeData, OWNER, Outcome, START, Tower, order, params, refusal, twap, twap_of};

#[test]
fn orders_that_end_sooner_are_posted_first() {
    let mut tower = Tower::new(&[]);
    for (salt, length) in [(1, 900), (2, 300), (3, 600)] {
        tower.create(OWNER, twap_of(salt, START, 2, length, 0));
    }
    tower.block(START);
    assert_eq!(tower.posted(), [START + 299, START + 599, START + 899]);
}

#[test]
fn the_rest_of_many_orders_is_posted_at_the_next_blocks() {
    let mut tower = Tower::new(&[]);
    for salt in 0..100 {
        tower.create(OWNER, twap(salt, START));
    }
    tower.block(START);
    assert_eq!(tower.posted().len(), 89);
    let queued = tower.ask(&json!({ "reason": "queued" }));
    assert_eq!(queued["orders"].as_array().map(Vec::len), Some(11));
    tower.block(START + 12);
    assert_eq!(tower.posted().len(), 100);
    assert_eq!(tower.world.borrow().attempts.len(), 100);
}

#[test]
fn an_order_book_that_is_down_is_asked_once_in_a_pause_and_loses_no_part() {
    let mut tower = Tower::new(&[]);
    let ids: Vec<_> = (0..3)
        .map(|salt| tower.create(OWNER, twap_of(salt, START, 2, 3_600, 0)))
        .collect();
    tower.world.borrow_mut().refusal = Some(Error::new(ErrorKind::Unavailable, "connection refused"));
    for now in (START..START + 600).step_by(12) {
        tower.block(now);
    }
    assert_eq!(tower.order(ids[0])["reason"], "order_book_down");
    // Pauses of 15, 30 and then 60 seconds, which end with a block.
    assert_eq!(tower.world.borrow().attempts.len(), 11);
    tower.world.borrow_mut().refusal = None;
    tower.block(START + 660);
    assert_eq!(tower.posted(), [START + 3_599; 3]);
}

#[test]
fn a_refused_part_backs_off_and_the_next_part_starts_fresh() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap_of(1, START, 2, 3_600, 0));
    tower.world.borrow_mut().refusal = Some(refusal(400, "InsufficientBalance"));
    tower.block(START);
    let order = tower.order(id);
    assert_eq!(
        (&order["reason"], &order["due"]),
        (&json!("refused"), &json!({ "time": START + 600 }))
    );
    assert_eq!(order["text"], "InsufficientBalance: the test");
    tower.block(START + 600);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 1_800 }));
    // The third wait is longer than the part.
    tower.block(START + 1_800);
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 3_600 }));
    assert_eq!(tower.world.borrow().attempts.len(), 3);
    tower.block(START + 3_600);
    assert_eq!(tower.order(id)["part"]["failures"], 1);
    tower.world.borrow_mut().refusal = None;
    tower.block(START + 4_200);
    assert_eq!(tower.posted(), [START + 7_199]);
}

#[test]
fn refusals_of_a_part_and_of_the_order_differ() {
    for (status, word, reason, has_ended, due) in [
        (400, "DuplicatedOrder", "posted", false, json!({ "time": START + 600 })),
        (
            400,
            "InsufficientValidTo",
            "refused",
            false,
            json!({ "time": START + 600 }),
        ),
        (
            400,
            "SameBuyAndSellToken",
            "refused",
            true,
            json!({ "ended": START + 30 * 86_400 }),
        ),
        (400, "QuoteNotFound", "refused", false, json!({ "time": START + 15 })),
        (400, "BrandNewWord", "refused", false, json!({ "time": START + 60 })),
    ] {
        let mut tower = Tower::new(&[]);
        let id = tower.create(OWNER, twap(1, START));
        tower.world.borrow_mut().refusal = Some(refusal(status, word));
        tower.block(START);
        let order = tower.order(id);
        assert_eq!(
            (&order["reason"], &order["has_ended"]),
            (&json!(reason), &json!(has_ended)),
            "{word}"
        );
        assert_eq!(order["due"], due, "{word}");
        tower.block(START);
        assert_eq!(tower.world.borrow().attempts.len(), 1, "{word}");
    }
}

#[test]
fn an_invalid_signature_is_posted_only_at_growing_intervals() {
    let mut tower = Tower::new(&[]);
    let id = tower.create(OWNER, twap_of(1, START, 2, 36_000, 0));
    tower.world.borrow_mut().bad_signatures.insert(OWNER);
    tower.world.borrow_mut().refusal = Some(refusal(400, "InvalidEip1271Signature"));
    let mut attempts = Vec::new();
    for now in (START..START + 2_000).step_by(12) {
        let before = tower.world.borrow().attempts.len();
        tower.block(now);
        if tower.world.borrow().attempts.len() > before {
            attempts.push(now - START);
        }
    }
    assert_eq!(attempts, [60, 180, 420, 900, 1_860]);
    assert_eq!(tower.order(id)["part"]["failures"], 6);
    // With its hooks, the order book finds the signature valid.
    tower.world.borrow_mut().refusal = None;
    tower.block(START + 1_860 + 1_920);
    assert_eq!(tower.posted(), [START + 35_999]);
}

/// A GoodAfterTime order that is valid for an hour.
fn good_after_time(start: u64) -> crate::contracts::ConditionalOrderParams {
    let handler = nexum_sdk::address!("0xdaF33924925E03C9cC3a10D434016D6cFad0aDd5");
    let data = GoodAfterTimeData {
        sellToken: Address::with_last_byte(1),
        buyToken: Address::with_last_byte(2),
        receiver: Address::ZERO,
        sellAmount: U256::from(500),
        minSellBalance: U256::from(1),
        startTime: U256::from(start),
        endTime: U256::from(start + 3_600),
        allowPartialFill: false,
        priceCheckerPayload: Default::default(),
        appData: B256::ZERO,
    };
    params(handler, 1, &data.abi_encode())
}

#[test]
fn a_good_after_time_order_is_posted_with_a_quote_of_an_earlier_event() {
    let mut tower = Tower::new(&[("quote_slippage_bps", "100")]);
    tower.world.borrow_mut().on_poll = Some(Box::new(|call, _| {
        let mut order = order(u32::try_from(START + 3_600).expect("32 bits"));
        order.buyAmount = U256::abi_decode(&call.offchainInput).expect("an amount");
        Some(Outcome::Order(order.into()))
    }));
    tower.harness.host.on_cow(|_, method, path, body| {
        assert_eq!((method, path), ("POST", "/api/v1/quote"));
        let body = body.expect("a body");
        assert_eq!(
            (&body["sellAmountBeforeFee"], &body["from"]),
            (&json!("500"), &json!(OWNER))
        );
        Some(Ok(json!({ "quote": { "buyAmount": "10000" } })))
    });
    let id = tower.create(OWNER, good_after_time(START));
    tower.block(START - 12);
    assert_eq!(tower.requests(), 0);
    tower.block(START);
    assert_eq!((tower.posted().len(), &tower.order(id)["reason"]), (0, &json!("quote")));
    tower.block(START + 12);
    assert_eq!(tower.world.borrow().attempts[0]["buyAmount"], "9900");
    assert_eq!(tower.order(id)["due"], json!({ "time": START + 3_601 }));
    tower.block(START + 3_601);
    assert_eq!(tower.order(id)["reason"], "finished");
}
