//! `cow-api.submit-order`.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256, keccak256};
use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_cow_errors::{Class, ERRORS};
use nexum_host_cow::{Call, ORDER_BYTES_MAX, OrderBooks, RequestError};
use nexum_net::HttpHeaders;
use nexum_testing::order_book::{Fault, OrderTerms, Scheme, SignedOrder, Trader};
use nexum_testing::{FakeClock, OrderBook};
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
            // The first duplicate of an order book confirms the UID.
            (2 * trader + 1, trader),
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
        let order = SignedOrder::good(Scheme::Eip712, trader);
        if row.class == Class::Accepted {
            submit(&books, &order).await.unwrap();
        }
        let (json, before) = (order.to_json().to_string(), posts(&book));
        book.fail_next(Fault::error(status, row.error_type));
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

/// A watch-tower has the order of a contract, with the hash of its app data alone.
#[tokio::test]
async fn an_order_is_posted_as_it_is_with_every_form_of_its_app_data() {
    let document = "{\"metadata\":{\"note\":\"é\"}}";
    let hash = keccak256(document);
    let unknown = json!({ "a": [1, null] });
    for (seed, app_data, app_data_hash) in [
        (1, json!(hash), None),
        (2, json!(B256::ZERO), None),
        (3, json!(document), None),
        (4, json!(document), Some(hash)),
    ] {
        for scheme in Scheme::ALL {
            let book = OrderBook::start().await;
            book.register_app_data(document);
            let terms = OrderTerms {
                app_data: app_data.as_str().unwrap().to_owned(),
                ..OrderTerms::random(seed)
            };
            let order = Trader::new(seed).sign(&terms, scheme);
            let mut body = order.to_json();
            let fields = body.as_object_mut().unwrap();
            for optional in ["appDataHash", "sellTokenBalance", "buyTokenBalance"] {
                fields.remove(optional);
            }
            if let Some(hash) = app_data_hash {
                fields.insert("appDataHash".to_owned(), json!(hash));
            }
            fields.insert("fullBalanceCheck".to_owned(), json!(true));
            fields.insert("newKey".to_owned(), unknown.clone());
            // The owner of a signature by a key follows from the signature.
            if matches!(scheme, Scheme::Eip712 | Scheme::EthSign) {
                fields.remove("from");
            }
            let text = format!(" {}\n", serde_json::to_string_pretty(&body).unwrap());
            let uid = books(&book).submit(CHAIN, text.as_bytes(), late()).await;
            assert_eq!(
                uid.unwrap().to_string(),
                order.uid().to_string(),
                "{scheme:?} {app_data}"
            );
            let sent = book.requests();
            assert_eq!((sent.len(), sent[0].body.as_str()), (1, text.as_str()), "{scheme:?}");
        }
    }
}

/// A look-up costs a request of the rate limit, so nexum spends one only if the order may exist.
#[tokio::test]
async fn a_refused_order_is_looked_up_only_if_it_may_exist() {
    for (error_type, looks) in [
        ("InvalidEip1271Signature", 0),
        ("InsufficientValidTo", 0),
        ("SomethingNew", 0),
        ("InsufficientBalance", 1),
        ("TooManyLimitOrders", 1),
        ("QuoteNotFound", 1),
        ("InvalidQuote", 1),
    ] {
        for (lost, more) in [(None, 0), (Some(Fault::Cut), 1), (Some(Fault::Status(503)), 1)] {
            let book = OrderBook::start().await;
            let was_lost = lost.is_some();
            if let Some(lost) = lost {
                book.fail_next(lost);
            }
            book.fail_next(Fault::error(400, error_type));
            let order = SignedOrder::good(Scheme::Eip1271, 1);
            submit(&books(&book), &order).await.unwrap_err();
            let found = book.request_count() - posts(&book) as u64;
            // An attempt whose answer was lost may have created the order.
            assert_eq!(found, looks.max(more), "{error_type}, lost: {was_lost}");
        }
    }
}

/// The answer is lost at the end of one event, and the next event submits the order again.
#[tokio::test]
async fn an_order_without_an_answer_is_looked_up_when_it_is_submitted_again() {
    let book = OrderBook::start().await;
    let books = books(&book);
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let json = order.to_json().to_string();
    book.fail_next(Fault::CutAfterStoring);
    let lost = books.submit(CHAIN, json.as_bytes(), after_one_attempt()).await;
    assert!(matches!(lost, Err(RequestError::Lost { .. })), "{lost:?}");
    book.fail_next(Fault::error(400, "InsufficientValidTo"));
    assert_eq!(submit(&books, &order).await.unwrap(), order.uid().to_string());
    // It is known now, and a further refusal costs no look-up.
    let before = book.request_count();
    book.fail_next(Fault::error(400, "InsufficientValidTo"));
    submit(&books, &order).await.unwrap_err();
    assert_eq!(book.request_count(), before + 1);
}

/// A crash after the post, and a quote that has expired meanwhile.
#[tokio::test]
async fn an_order_whose_quote_has_expired_since_it_was_placed_is_submitted() {
    let book = OrderBook::start().await;
    let clock = Arc::new(FakeClock::at(SystemClock::new().now_ms()));
    book.set_clock(clock.clone());
    let terms = OrderTerms::good();
    let request = json!({
        "kind": "sell", "sellToken": terms.sell_token, "buyToken": terms.buy_token,
        "sellAmountBeforeFee": terms.sell_amount.to_string(), "from": Trader::new(1).address(),
    });
    let books = books(&book);
    let call = Call::new("POST", "/api/v1/quote", Some(request.to_string())).unwrap();
    let quote: Value = serde_json::from_str(&books.request(CHAIN, &call, late()).await.unwrap()).unwrap();
    let terms = OrderTerms {
        quote_id: quote["id"].as_i64(),
        ..terms
    };
    let order = Trader::new(1).sign(&terms, Scheme::Eip712);
    submit(&books, &order).await.unwrap();
    clock.advance(Duration::from_secs(600));
    assert_eq!(submit(&books, &order).await.unwrap(), order.uid().to_string());
    // An order that does not exist needs a new quote.
    let another = OrderTerms {
        sell_amount: terms.sell_amount + U256::ONE,
        ..terms
    };
    let another = Trader::new(1).sign(&another, Scheme::Eip712);
    assert_eq!(
        submit(&books, &another).await.unwrap_err().class(),
        Some(Class::NextBlock)
    );
}

#[tokio::test]
async fn the_headers_of_a_chain_are_sent_and_not_shown() {
    let book = OrderBook::start().await;
    let mut config = config(&book.url());
    let headers = [
        ("X-API-Key", "a-partner-key"),
        ("Authorization", "Bearer \"token\"of-mine"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    config.chains.get_mut(&CHAIN).unwrap().headers = HttpHeaders::new(&headers).unwrap();
    let books = OrderBooks::new(&config);
    submit(&books, &SignedOrder::good(Scheme::Eip712, 1)).await.unwrap();
    assert_eq!(book.requests()[0].header("x-api-key"), Some("a-partner-key"));
    book.fail_next(Fault::PlainText(
        400,
        "no a-partner-key, no \\\"token\\\"of-mine".to_owned(),
    ));
    let error = submit(&books, &SignedOrder::good(Scheme::Eip712, 2)).await.unwrap_err();
    assert_eq!(
        error.to_host_error().data.as_deref(),
        Some("no [redacted], no [redacted]")
    );
    let shown = format!("{config:?} {books:?} {error:?}");
    assert!(!shown.contains("a-partner-key"), "{shown}");
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
    let mut ownerless = SignedOrder::good(Scheme::Eip1271, 1).to_json();
    ownerless.as_object_mut().unwrap().remove("from");
    for (bytes, part) in [
        (b"not JSON".to_vec(), "at line 1 column 2"),
        (b"{\n  \"sellToken\": 7\n}".to_vec(), "at line 2 column 16"),
        (b"{}".to_vec(), "missing field `sellToken` at line 1 column 2"),
        (vec![0xff, 0xfe], "an order is JSON, which is UTF-8"),
        (b"{\"newKey\":\"\xff\"}".to_vec(), "an order is JSON, which is UTF-8"),
        (b" [1]".to_vec(), "a list instead of an object"),
        (
            [good.to_string().as_bytes(), b" x"].concat(),
            "trailing characters at line 1",
        ),
        (Vec::new(), "at line 1 column 0"),
        ("[".repeat(10_000).into_bytes(), "a list instead of an object"),
        ("{\"a\":".repeat(10_000).into_bytes(), "at line 1"),
        (with("sellAmount", json!("-1")), "at line 1 column"),
        (
            with("sellAmount", json!("0x10")),
            "is no number of 256 bits in decimal digits",
        ),
        (
            with("sellAmount", json!("")),
            "is no number of 256 bits in decimal digits",
        ),
        (with("sellAmount", json!("1")), "another owner, order, chain"),
        (with("signature", json!("0x00")), "signature"),
        (with("signature", json!(format!("0x{}", "00".repeat(65)))), "signature"),
        (with("signingScheme", json!("ethsign")), "another owner, order, chain"),
        (
            with("appData", json!("{\"a\":1}")),
            "is not the hash of appData, which is 0x",
        ),
        (
            with("appData", json!("[]")),
            "appData is neither a JSON object nor a hash",
        ),
        (
            with("appData", json!(format!("0x{}", "00".repeat(32)))),
            "appData is neither a JSON object nor a hash",
        ),
        (
            with("from", json!("0x0000000000000000000000000000000000000001")),
            "another owner, order, chain",
        ),
        (presigned.to_string().into_bytes(), "from is the zero address"),
        (ownerless.to_string().into_bytes(), "from is missing"),
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
        (&RequestError::AnotherUid, HostErrorKind::Internal)
    );
    // The order book has the order now, under its own UID.
    let again = submit(&books, &SignedOrder::good(Scheme::Presign, 1)).await;
    assert_eq!(again.unwrap_err(), RequestError::AnotherUid);
    let error = submit(&books, &SignedOrder::good(Scheme::Eip712, 2)).await.unwrap_err();
    assert_eq!(error.class(), Some(Class::OurBug));
}
