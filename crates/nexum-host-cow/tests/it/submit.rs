//! `cow-api.submit-order`.

use std::time::Duration;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_cow_errors::{Class, ERRORS};
use nexum_host_cow::{ORDER_BYTES_MAX, OrderBooks, RequestError};
use nexum_testing::OrderBook;
use nexum_testing::order_book::{Fault, OrderTerms, Scheme, SignedOrder, Trader};
use serde_json::{Value, json};

use crate::support::{CHAIN, after_one_attempt, books, config, late};

async fn submit(books: &OrderBooks, order: &SignedOrder) -> Result<String, RequestError> {
    let json = order.to_json().to_string();
    let uid = books.submit(CHAIN, json.as_bytes(), late()).await?;
    Ok(uid.to_string())
}

#[tokio::test]
async fn each_signing_scheme_is_taken() {
    let book = OrderBook::start().await;
    let books = books(&book);
    for (scheme, trader) in Scheme::ALL.into_iter().zip(1..) {
        let order = SignedOrder::good(scheme, trader);
        assert_eq!(
            submit(&books, &order).await.unwrap(),
            order.uid().to_string(),
            "{scheme:?}"
        );
        assert!(book.status(&order.uid()).is_some(), "{scheme:?}");
    }
    assert_eq!(book.orders().len(), 4);
}

#[tokio::test]
async fn an_order_that_is_there_already_is_submitted() {
    let book = OrderBook::start().await;
    let books = books(&book);
    let order = SignedOrder::good(Scheme::Eip712, 1);
    for _ in 0..3 {
        assert_eq!(submit(&books, &order).await.unwrap(), order.uid().to_string());
    }
    assert_eq!((book.request_count(), book.orders().len()), (3, 1));
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_places_one_order() {
    let book = OrderBook::start().await;
    let books = books(&book);
    for (fault, trader) in [Fault::CutAfterStoring, Fault::Cut, Fault::Status(502)]
        .into_iter()
        .zip(1..)
    {
        book.fail_next(fault.clone());
        let order = SignedOrder::good(Scheme::Eip712, trader);
        assert_eq!(
            submit(&books, &order).await.unwrap(),
            order.uid().to_string(),
            "{fault:?}"
        );
        assert_eq!(
            (book.request_count(), book.orders().len() as u64),
            (2 * trader, trader),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn an_order_that_is_refused_because_it_is_there_is_submitted() {
    let book = OrderBook::start().await;
    book.set_limit_orders_max(1);
    let books = books(&book);
    let order = SignedOrder::good(Scheme::Eip712, 1);
    book.fail_next(Fault::CutAfterStoring);
    assert_eq!(submit(&books, &order).await.unwrap(), order.uid().to_string());
    assert_eq!(book.orders().len(), 1);
    // Another order of the owner does not exist, and stays refused.
    let another = Trader::new(1).sign(&OrderTerms::random(7), Scheme::Eip712);
    submit(&books, &another).await.unwrap_err();
}

/// The number of posted orders.
fn posts(book: &OrderBook) -> usize {
    book.requests()
        .iter()
        .filter(|request| request.method == "POST")
        .count()
}

#[tokio::test]
async fn each_error_is_classified_by_the_table() {
    let book = OrderBook::start().await;
    for (row, trader) in ERRORS.iter().zip(1..) {
        let books = books(&book);
        let status = match row.error_type {
            "InternalServerError" | "MetadataSerializationFailed" | "SellAmountOverflow" => 500,
            "Forbidden" => 403,
            "NoLiquidity" => 404,
            _ => 400,
        };
        book.fail_next(Fault::error(status, row.error_type));
        let order = SignedOrder::good(Scheme::Eip712, trader);
        let (json, before) = (order.to_json().to_string(), posts(&book));
        let result = books.submit(CHAIN, json.as_bytes(), after_one_attempt()).await;
        assert_eq!(posts(&book), before + 1, "{row:?}");
        let error = match (row.class, result) {
            (Class::Accepted, Ok(uid)) => {
                assert_eq!(uid.to_string(), order.uid().to_string());
                continue;
            }
            (_, result) => result.unwrap_err(),
        };
        assert_eq!(error.class(), Some(row.class), "{row:?}");
        let error = error.to_host_error();
        let data: Value = serde_json::from_str(&error.data.unwrap()).unwrap();
        assert_eq!(
            (error.code, &data["errorType"]),
            (i32::from(status), &json!(row.error_type))
        );
    }
}

#[tokio::test]
async fn an_error_that_will_not_pass_is_not_tried_again() {
    let book = OrderBook::start().await;
    let books = books(&book);
    book.fail_next(Fault::error(500, "SellAmountOverflow"));
    let error = submit(&books, &SignedOrder::good(Scheme::Eip712, 1)).await.unwrap_err();
    assert_eq!((error.class(), book.request_count()), (Some(Class::StopOrder), 1));
    book.fail_next(Fault::error(500, "InternalServerError"));
    submit(&books, &SignedOrder::good(Scheme::Eip712, 1)).await.unwrap();
    assert_eq!(book.request_count(), 3);
}

#[tokio::test]
async fn an_html_page_of_a_firewall_is_a_reason_to_back_off() {
    let book = OrderBook::start().await;
    let books = books(&book);
    let page = "<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>";
    for (status, trader) in [(401, 1), (403, 2)] {
        book.fail_next(Fault::PlainText(status, page.to_owned()));
        let before = posts(&book);
        let order = SignedOrder::good(Scheme::Eip712, trader);
        let error = submit(&books, &order).await.unwrap_err();
        assert_eq!(posts(&book), before + 1, "{status}");
        assert_eq!(error.class(), Some(Class::BackOff(Duration::from_secs(60))), "{status}");
        let error = error.to_host_error();
        assert_eq!((error.code, error.data.as_deref()), (i32::from(status), Some(page)));
        // A refusal by the firewall does not concern the order.
        submit(&books, &order).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_replacement_stops_the_order_whatever_the_status() {
    let book = OrderBook::start().await;
    let books = books(&book);
    for (error_type, class) in [("InvalidReplacement", Class::StopOrder), ("InvalidJson", Class::OurBug)] {
        for status in [400, 401, 403] {
            book.fail_next(Fault::error(status, error_type));
            let before = posts(&book);
            let order = SignedOrder::good(Scheme::Eip712, 1);
            let error = submit(&books, &order).await.unwrap_err();
            assert_eq!(
                (error.class(), posts(&book)),
                (Some(class), before + 1),
                "{error_type} with {status}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_good_order_is_not_sent() {
    let book = OrderBook::start().await;
    let books = books(&book);
    let good = SignedOrder::good(Scheme::Eip712, 1).to_json();
    let with = |key: &str, value: Value| {
        let mut order = good.clone();
        order[key] = value;
        order.to_string().into_bytes()
    };
    let mut presigned = SignedOrder::good(Scheme::Presign, 1).to_json();
    presigned["from"] = json!("0x0000000000000000000000000000000000000000");
    let far = OrderTerms {
        valid_to: u32::MAX,
        ..OrderTerms::good()
    };
    let far = Trader::new(1).sign(&far, Scheme::Eip712);
    for (bytes, part) in [
        (b"not JSON".to_vec(), "at line 1 column 2"),
        (b"{\n  \"sellToken\": 7\n}".to_vec(), "at line 2 column 16"),
        (b"{}".to_vec(), "missing field `sellToken` at line 1 column 2"),
        (vec![0xff, 0xfe], "at line 1 column 1"),
        (
            [good.to_string().as_bytes(), b" x"].concat(),
            "trailing characters at line 1",
        ),
        (Vec::new(), "at line 1 column 0"),
        ("[".repeat(10_000).into_bytes(), "at line 1"),
        (with("sellAmount", json!("-1")), "at line 1 column"),
        (with("sellAmount", json!("1")), "signer mismatch"),
        (with("signature", json!("0x00")), "signature"),
        (with("signature", json!(format!("0x{}", "00".repeat(65)))), "signature"),
        (with("signingScheme", json!("ethsign")), "signer mismatch"),
        (with("appData", json!("{\"a\":1}")), "app_data"),
        (
            with("from", json!("0x0000000000000000000000000000000000000001")),
            "signer mismatch",
        ),
        (presigned.to_string().into_bytes(), "owner address must be non-zero"),
        (far.to_json().to_string().into_bytes(), "maximum horizon"),
        (
            with("appData", json!("x".repeat(ORDER_BYTES_MAX))),
            "an order has at most",
        ),
    ] {
        let error = books.submit(CHAIN, &bytes, late()).await.unwrap_err().to_host_error();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert_eq!((error.kind, error.code), (HostErrorKind::InvalidInput, 0), "{shown}");
        assert!(error.message.contains(part), "{shown}: {}", error.message);
        assert!(error.message.len() <= 1_024);
    }
    let unknown = books.submit(31_337, good.to_string().as_bytes(), late()).await;
    assert_eq!(unknown.unwrap_err().to_host_error().kind, HostErrorKind::Unsupported);
    assert_eq!(book.request_count(), 0);
}

#[tokio::test]
async fn an_order_book_of_another_chain_is_found_out() {
    let book = OrderBook::start_for(1).await;
    let books = OrderBooks::new(&config(&book.url()));
    // This order book computes the UID for its own chain.
    let error = submit(&books, &SignedOrder::good(Scheme::Presign, 1))
        .await
        .unwrap_err();
    assert_eq!(
        (&error, error.to_host_error().kind),
        (&RequestError::Malformed, HostErrorKind::Unavailable)
    );
    let error = submit(&books, &SignedOrder::good(Scheme::Eip712, 2)).await.unwrap_err();
    assert_eq!(error.class(), Some(Class::OurBug));
}
