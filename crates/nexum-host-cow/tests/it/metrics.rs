//! The metrics of the crate.

use nexum_host_cow::{Call, OrderBooks, metrics as names};
use nexum_testing::order_book::{Fault, Scheme, SignedOrder};
use nexum_testing::{Counts, OrderBook};

use crate::support::{CHAIN, call, config, late};

#[tokio::test]
async fn requests_are_counted_by_route_and_orders_by_class() {
    let book = OrderBook::start().await;
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let books = OrderBooks::new(&config(&book.url()));

    let order = SignedOrder::good(Scheme::Eip712, 1);
    let json = order.to_json().to_string();
    book.fail_next(Fault::CutAfterStoring);
    for _ in 0..2 {
        books.submit(CHAIN, json.as_bytes(), late()).await.unwrap();
    }
    let other = SignedOrder::good(Scheme::Eip712, 2).to_json().to_string();
    books.submit(CHAIN, other.as_bytes(), late()).await.unwrap();
    let third = SignedOrder::good(Scheme::Eip712, 3).to_json().to_string();
    for fault in [Fault::error(400, "InsufficientBalance"), Fault::Huge { bytes: 1 << 30 }] {
        book.fail_next(fault);
        books.submit(CHAIN, third.as_bytes(), late()).await.unwrap_err();
    }
    books.submit(CHAIN, b"{}", late()).await.unwrap_err();
    let uid = order.uid();
    for path in [
        &*format!("/api/v1/orders/{uid}"),
        "/api/v1/orders/0x00",
        "/secret/path?x=y",
    ] {
        let _ = books.request(CHAIN, &call("GET", path), late()).await;
    }
    let quote = Call::new("POST", "/api/v1/quote", Some("{}".to_owned())).unwrap();
    book.fail_next(Fault::TooManyRequests {
        retry_after: Some(3_600),
    });
    // The limit stops the second request before it is sent.
    for _ in 0..2 {
        books.request(CHAIN, &quote, late()).await.unwrap_err();
    }

    let (chain, submit) = ("chain=11155111", ["method=POST", "route=api/v1/orders"]);
    for (name, labels, count) in [
        (names::REQUESTS, vec![chain], 12),
        (names::REQUESTS, [&submit[..], &["outcome=ok"]].concat(), 1),
        (names::REQUESTS, [&submit[..], &["outcome=rejected"]].concat(), 3),
        (names::REQUESTS, [&submit[..], &["outcome=unavailable"]].concat(), 1),
        (names::REQUESTS, [&submit[..], &["outcome=malformed"]].concat(), 1),
        // The first duplicate of an order book confirms the UID.
        (names::REQUESTS, vec!["route=api/v1/orders/{uid}", "outcome=ok"], 2),
        (
            names::REQUESTS,
            vec!["route=api/v1/orders/{uid}", "outcome=rejected"],
            2,
        ),
        (names::REQUESTS, vec!["route=other"], 1),
        (names::REQUESTS, vec!["route=api/v1/quote", "outcome=rate_limited"], 1),
        (names::REQUEST_SECONDS, vec![chain], 12),
        (names::RETRIES, submit.to_vec(), 1),
        (names::SUBMISSIONS, vec![chain, "class=accepted"], 1),
        (names::SUBMISSIONS, vec![chain, "class=duplicate"], 2),
        (names::SUBMISSIONS, vec![chain, "class=back_off"], 1),
        (names::SUBMISSIONS, vec![chain, "class=unknown"], 1),
        (names::SUBMISSIONS, vec![chain, "class=refused"], 1),
        (names::WAIT_SECONDS, vec![chain], 1),
    ] {
        assert_eq!(counts.sum(name, &labels), count, "{name} {labels:?}");
    }
}
