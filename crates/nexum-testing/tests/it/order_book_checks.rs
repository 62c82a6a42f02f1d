//! Refusals of the order book, and their reasons.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, address};
use nexum_testing::order_book::{OrderTerms, Scheme, SignedOrder, TokenBalance, Trader};
use nexum_testing::{Anvil, FakeClock, OrderBook};
use serde_json::{Value, json};

use crate::order_book_support::{Answer, place, post};

/// Posts the good order after a change that its owner has signed.
async fn post_signed(book: &OrderBook, change: impl Fn(&mut OrderTerms)) -> Answer {
    let mut terms = OrderTerms::good();
    change(&mut terms);
    post(book, &Trader::new(1).sign(&terms, Scheme::Eip712).to_json()).await
}

/// A change of the good order, and the expected `errorType`.
type Row = (fn(&mut OrderTerms), &'static str);

#[tokio::test]
async fn each_rule_has_its_error() {
    const YEAR: u32 = 365 * 24 * 60 * 60;
    let book = OrderBook::start().await;
    book.refuse_token(Address::repeat_byte(0x11));
    let rows: &[Row] = &[
        (|terms| terms.valid_to -= 1_800, "InsufficientValidTo"),
        (|terms| terms.valid_to = 0, "InsufficientValidTo"),
        (|terms| terms.valid_to += YEAR, "ExcessiveValidTo"),
        (|terms| terms.valid_to = u32::MAX, "ExcessiveValidTo"),
        (|terms| terms.sell_amount = U256::ZERO, "ZeroAmount"),
        (|terms| terms.buy_amount = U256::ZERO, "ZeroAmount"),
        (|terms| terms.fee_amount = U256::ONE, "NonZeroFee"),
        (|terms| terms.buy_token = terms.sell_token, "SameBuyAndSellToken"),
        (
            |terms| terms.sell_token = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"),
            "InvalidNativeSellToken",
        ),
        (
            |terms| terms.sell_token = Address::repeat_byte(0x11),
            "UnsupportedToken",
        ),
        (|terms| terms.buy_token = Address::repeat_byte(0x11), "UnsupportedToken"),
        (
            |terms| terms.sell_token_balance = TokenBalance::External,
            "UnsupportedSellTokenSource",
        ),
        (
            |terms| terms.buy_token_balance = TokenBalance::Internal,
            "UnsupportedBuyTokenDestination",
        ),
        (|terms| terms.app_data = "[]".into(), "InvalidAppData"),
        (
            |terms| terms.app_data = format!(r#"{{"a":"{}"}}"#, "a".repeat(8_192)),
            "InvalidAppData",
        ),
        (
            |terms| terms.app_data = B256::repeat_byte(1).to_string(),
            "InvalidAppData",
        ),
        (
            |terms| terms.app_data = format!(r#"{{"metadata":{{"signer":"{}"}}}}"#, Address::ZERO),
            "AppdataFromMismatch",
        ),
    ];
    for (index, (change, error_type)) in rows.iter().enumerate() {
        let answer = post_signed(&book, change).await;
        assert_eq!(answer.refusal(), (400, (*error_type).to_owned()), "row {index}");
    }
    assert_eq!(book.orders(), []);
    assert_eq!(post_signed(&book, |_| ()).await.status, 201);
}

/// A change after the signature, and the expected status and `errorType`.
type Edit = (fn(&mut Value), u16, &'static str);

#[tokio::test]
async fn a_body_that_was_changed_after_it_was_signed_is_refused() {
    let book = OrderBook::start().await;
    let edits: &[Edit] = &[
        (|order| order["sellAmount"] = json!("1"), 400, "WrongOwner"),
        (|order| order["kind"] = json!("buy"), 400, "WrongOwner"),
        (
            |order| order["receiver"] = json!(Address::repeat_byte(7)),
            400,
            "WrongOwner",
        ),
        (|order| order["signingScheme"] = json!("ethsign"), 400, "WrongOwner"),
        (|order| order["from"] = json!(Address::ZERO), 400, "WrongOwner"),
        (|order| order["appData"] = json!("{ }"), 400, "AppDataHashMismatch"),
        (|order| order["appDataHash"] = json!("0x12"), 422, ""),
        (
            |order| order["signature"] = json!(format!("0x{}", "00".repeat(65))),
            400,
            "InvalidSignature",
        ),
        (|order| order["signature"] = json!("0x1234"), 422, ""),
        (|order| order["signature"] = json!("hello"), 422, ""),
        (|order| order["sellAmount"] = json!("-1"), 422, ""),
        (|order| order["sellAmount"] = json!(1), 422, ""),
        (|order| order["validTo"] = json!(1_u64 << 32), 422, ""),
        (|order| order["kind"] = json!("swap"), 422, ""),
        (|order| *order = json!([]), 422, ""),
        (
            |order| {
                order.as_object_mut().unwrap().remove("buyToken");
            },
            422,
            "",
        ),
    ];
    for (index, (edit, status, error_type)) in edits.iter().enumerate() {
        let mut order = SignedOrder::good(Scheme::Eip712, 1).to_json();
        edit(&mut order);
        let answer = post(&book, &order).await;
        assert_eq!(answer.status, *status, "row {index}: {answer:?}");
        if !error_type.is_empty() {
            assert_eq!(answer.refusal().1, *error_type, "row {index}");
        }
    }
    assert_eq!(book.orders(), []);
}

#[tokio::test]
async fn whose_an_order_is_can_be_left_out_where_a_key_tells_it() {
    let book = OrderBook::start().await;
    for (scheme, key_tells) in [
        (Scheme::Eip712, true),
        (Scheme::EthSign, true),
        (Scheme::Eip1271, false),
        (Scheme::Presign, false),
    ] {
        let order = SignedOrder::good(scheme, scheme as u64);
        let mut creation = order.to_json();
        creation.as_object_mut().unwrap().remove("from");
        let answer = post(&book, &creation).await;
        if key_tells {
            assert_eq!(answer.json(), json!(order.uid()), "{scheme:?}");
        } else {
            assert_eq!(answer.refusal(), (400, "MissingFrom".into()), "{scheme:?}");
        }
    }
}

#[tokio::test]
async fn an_order_of_another_chain_has_another_owner() {
    let book = OrderBook::start_for(1).await;
    let elsewhere = SignedOrder::good(Scheme::Eip712, 1);
    assert_eq!(post(&book, &elsewhere.to_json()).await.refusal().1, "WrongOwner");
    place(&book, &Trader::on_chain(1, 1).sign(&OrderTerms::good(), Scheme::Eip712)).await;
}

#[tokio::test]
async fn the_clock_says_what_is_over() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let valid_to_ms = u64::from(order.terms.valid_to) * 1_000;
    let clock = Arc::new(FakeClock::at(valid_to_ms - 59_000));
    book.set_clock(clock.clone());
    assert_eq!(post(&book, &order.to_json()).await.refusal().1, "InsufficientValidTo");
    clock.set_now_ms(valid_to_ms - 365 * 86_400_000 - 1_000);
    assert_eq!(post(&book, &order.to_json()).await.refusal().1, "ExcessiveValidTo");
    clock.advance(Duration::from_secs(1));
    place(&book, &order).await;
}

#[tokio::test]
async fn an_order_is_taken_once() {
    let book = OrderBook::start().await;
    for scheme in Scheme::ALL {
        let order = SignedOrder::good(scheme, scheme as u64);
        place(&book, &order).await;
        let again = post(&book, &order.to_json()).await;
        assert_eq!(again.refusal(), (400, "DuplicatedOrder".into()), "{scheme:?}");
    }
    assert_eq!(book.orders().len(), Scheme::ALL.len());
}

#[tokio::test]
async fn an_owner_has_so_many_open_limit_orders_and_no_more() {
    let book = OrderBook::start().await;
    book.set_limit_orders_max(2);
    let order = |number: u64| {
        let terms = OrderTerms {
            sell_amount: U256::from(number),
            ..OrderTerms::good()
        };
        Trader::new(1).sign(&terms, Scheme::Eip712)
    };
    let first = order(1);
    place(&book, &first).await;
    place(&book, &order(2)).await;
    let third = order(3).to_json();
    assert_eq!(post(&book, &third).await.refusal(), (400, "TooManyLimitOrders".into()));
    // The limit takes precedence over the duplicate.
    assert_eq!(post(&book, &first.to_json()).await.refusal().1, "TooManyLimitOrders");

    place(&book, &SignedOrder::good(Scheme::Eip712, 2)).await;
    book.settle(&first.uid());
    assert_eq!(post(&book, &third).await.status, 201);
}

#[tokio::test]
async fn an_owner_or_a_receiver_can_be_denied() {
    let book = OrderBook::start().await;
    let denied = Trader::new(1).address();
    book.deny(denied);
    let answer = post_signed(&book, |_| ()).await;
    assert_eq!(answer.refusal(), (403, "Forbidden".into()));
    let terms = OrderTerms {
        receiver: Some(denied),
        ..OrderTerms::good()
    };
    let for_denied = Trader::new(2).sign(&terms, Scheme::Eip712);
    assert_eq!(post(&book, &for_denied.to_json()).await.refusal().0, 403);
    place(&book, &SignedOrder::good(Scheme::Eip712, 2)).await;
}

#[tokio::test]
async fn a_contract_is_asked_for_its_signature_where_there_is_a_chain() {
    let anvil = Anvil::start();
    let book = OrderBook::start().await.with_chain(&anvil.http_url());
    let order = SignedOrder::good(Scheme::Eip1271, 1);
    let refused = (400, "InvalidEip1271Signature".to_owned());
    assert_eq!(post(&book, &order.to_json()).await.refusal(), refused, "no contract");

    anvil
        .request("anvil_setCode", json!([order.terms.sell_token, TOKEN]))
        .await;
    for selector in [BALANCE_OF, ALLOWANCE] {
        set(&anvil, &order, selector, order.terms.sell_amount).await;
    }
    let other = SignedOrder::random(2);
    for (code, taken) in [(other.wallet_code(), false), (order.wallet_code(), true)] {
        anvil.request("anvil_setCode", json!([order.owner(), code])).await;
        let answer = post(&book, &order.to_json()).await;
        if taken {
            assert_eq!(answer.status, 201);
        } else {
            assert_eq!(answer.refusal(), refused, "of another order");
        }
    }

    let unreachable = OrderBook::start().await.with_chain("http://127.0.0.1:1");
    assert_eq!(post(&unreachable, &order.to_json()).await.refusal(), refused);
}

/// A contract that returns, for each function, the word at the storage slot with the number of the
/// function's selector. It reverts if all bits of the word are set.
const TOKEN: &str = "0x60003560e01c5480191560155760005260206000f35b60006000fd";

const BALANCE_OF: u32 = 0x70a0_8231;
const ALLOWANCE: u32 = 0xdd62_ed3e;
const TRANSFER_FROM: u32 = 0x23b8_72dd;

/// Sets the result of a function of the order's sold token.
async fn set(anvil: &Anvil, order: &SignedOrder, selector: u32, result: U256) {
    let (slot, word) = (B256::from(U256::from(selector)), B256::from(result));
    let params = json!([order.terms.sell_token, slot, word]);
    anvil.request("anvil_setStorageAt", params).await;
}

#[tokio::test]
async fn the_owner_must_have_the_sold_tokens_where_there_is_a_chain() {
    let anvil = Anvil::start();
    let book = OrderBook::start().await.with_chain(&anvil.http_url());
    let in_parts = OrderTerms {
        partially_fillable: true,
        ..OrderTerms::good()
    };
    let in_parts = Trader::new(2).sign(&in_parts, Scheme::Eip712);
    let whole = SignedOrder::good(Scheme::Eip712, 1);
    let mut checked = in_parts.to_json();
    checked["fullBalanceCheck"] = json!(true);
    let all = whole.terms.sell_amount;
    anvil
        .request("anvil_setCode", json!([whole.terms.sell_token, TOKEN]))
        .await;
    for (selector, result, of_whole, of_parts) in [
        (BALANCE_OF, U256::ZERO, "InsufficientBalance", "InsufficientBalance"),
        (BALANCE_OF, U256::ONE, "InsufficientBalance", "InsufficientAllowance"),
        (BALANCE_OF, all, "InsufficientAllowance", "InsufficientAllowance"),
        (ALLOWANCE, all - U256::ONE, "InsufficientAllowance", ""),
        (
            TRANSFER_FROM,
            U256::MAX,
            "InsufficientAllowance",
            "TransferSimulationFailed",
        ),
        (ALLOWANCE, all, "TransferSimulationFailed", "TransferSimulationFailed"),
    ] {
        set(&anvil, &whole, selector, result).await;
        assert_eq!(post(&book, &whole.to_json()).await.refusal().1, of_whole);
        let answer = post(&book, &in_parts.to_json()).await;
        match of_parts {
            "" => assert_eq!(answer.status, 201),
            of_parts => assert_eq!(answer.refusal().1, of_parts),
        }
        assert_eq!(post(&book, &checked).await.refusal().1, of_whole);
    }
    // An order that waits for its owner's transaction needs no tokens yet.
    place(&book, &SignedOrder::good(Scheme::Presign, 3)).await;
    set(&anvil, &whole, TRANSFER_FROM, U256::ONE).await;
    place(&book, &whole).await;
}

#[tokio::test]
async fn a_body_has_a_size_that_the_order_book_takes() {
    let book = OrderBook::start().await;
    let mut order = SignedOrder::good(Scheme::Eip712, 1).to_json();
    order["more"] = json!("x".repeat(16 * 1_024));
    let answer = post(&book, &order).await;
    assert_eq!((answer.status, answer.text.starts_with('{')), (413, false));
}

/// The app data comes first, then the signature, then the terms, and the duplicate last.
#[tokio::test]
async fn the_checks_have_the_sequence_of_the_service() {
    let book = OrderBook::start().await;
    let terms = OrderTerms {
        valid_to: 0,
        app_data: "[]".into(),
        ..OrderTerms::good()
    };
    let mut order = Trader::new(1).sign(&terms, Scheme::Eip712).to_json();
    order["from"] = json!(Address::ZERO);
    assert_eq!(post(&book, &order).await.refusal().1, "InvalidAppData");
    let late = OrderTerms {
        app_data: "{}".into(),
        ..terms
    };
    let mut order = Trader::new(1).sign(&late, Scheme::Eip712).to_json();
    assert_eq!(post(&book, &order).await.refusal().1, "InsufficientValidTo");
    order["from"] = json!(Address::ZERO);
    assert_eq!(post(&book, &order).await.refusal().1, "WrongOwner");
    let placed = SignedOrder::good(Scheme::Eip712, 1);
    place(&book, &placed).await;
    book.deny(placed.owner());
    assert_eq!(post(&book, &placed.to_json()).await.refusal().1, "Forbidden");
}
