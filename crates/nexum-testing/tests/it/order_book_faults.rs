//! The faults of the order book, and its records of requests.

use std::time::Duration;

use nexum_testing::OrderBook;
use nexum_testing::order_book::{Fault, Scheme, SignedOrder};
use serde_json::json;

use crate::order_book_support::{get, place, post, request, respond};

const VERSION: &str = "/api/v1/version";

#[tokio::test]
async fn answers_as_the_script_says() {
    let book = OrderBook::start().await;
    let insufficient = r#"{"description":"the script says InsufficientBalance","errorType":"InsufficientBalance"}"#;
    for (fault, status, retry_after, body) in [
        (
            Fault::TooManyRequests { retry_after: None },
            429,
            None,
            "too many requests",
        ),
        (
            Fault::TooManyRequests { retry_after: Some(7) },
            429,
            Some("7"),
            "too many requests",
        ),
        (Fault::Status(503), 503, None, ""),
        (Fault::PlainText(502, "<html>".into()), 502, None, "<html>"),
        (Fault::error(400, "InsufficientBalance"), 400, None, insufficient),
        (Fault::Huge { bytes: 3 }, 200, None, "   "),
    ] {
        book.fail_next(fault.clone());
        let response = respond(&book, "GET", VERSION, "").await.unwrap();
        let header = response.headers().get("retry-after").cloned();
        assert_eq!(response.status(), status, "{fault:?}");
        assert_eq!(
            header.as_ref().map(|value| value.to_str().unwrap()),
            retry_after,
            "{fault:?}"
        );
        assert_eq!(response.text().await.unwrap(), body, "{fault:?}");
        assert_eq!(get(&book, VERSION).await.status, 200, "after {fault:?}");
    }
}

#[tokio::test]
async fn a_cut_connection_may_have_stored_the_order() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let body = order.to_json().to_string();
    for (fault, stored) in [(Fault::Cut, 0), (Fault::CutAfterStoring, 1)] {
        book.fail_next(fault.clone());
        let answer = request(&book, "POST", "/api/v1/orders", &body).await;
        assert!(answer.is_err(), "{fault:?}: {answer:?}");
        assert_eq!(book.orders().len(), stored, "{fault:?}");
    }
    assert_eq!(post(&book, &order.to_json()).await.refusal().1, "DuplicatedOrder");
}

#[tokio::test]
async fn a_hanging_request_hangs_until_the_connections_are_dropped() {
    let book = OrderBook::start().await;
    book.fail_next(Fault::Hang);
    let hanging = request(&book, "GET", VERSION, "");
    let dropping = async {
        book.until(|book| book.request_count() == 1).await;
        book.drop_connections();
    };
    let (answer, ()) = tokio::join!(hanging, dropping);
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(get(&book, VERSION).await.status, 200);
}

#[tokio::test]
async fn faults_wait_for_the_request_that_they_are_for() {
    let book = OrderBook::start().await;
    book.fail_next_of("POST /api/v1/orders", Fault::Status(500));
    book.fail_next_of("GET /api/v1/version", Fault::Status(501));
    book.fail_next(Fault::Status(502));
    book.fail_always(Some(Fault::Status(503)));
    let order = SignedOrder::good(Scheme::Eip712, 1);
    for status in [501, 502, 503] {
        assert_eq!(get(&book, VERSION).await.status, status);
    }
    for status in [500, 503] {
        assert_eq!(post(&book, &order.to_json()).await.status, status);
    }
    book.fail_always(None);
    place(&book, &order).await;
}

#[tokio::test]
async fn remembers_what_it_was_sent() {
    let book = OrderBook::start().await;
    get(&book, "/api/v1/trades?owner=%2e%2e").await;
    request(&book, "PUT", "/api/v1/app_data", "text").await.unwrap();
    let requests = book.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.method.as_str(), request.path.as_str(), request.body.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("GET", "/sepolia/api/v1/trades?owner=%2e%2e", ""),
            ("PUT", "/sepolia/api/v1/app_data", "text"),
        ]
    );
    assert_eq!(requests[1].header("content-type"), Some("application/json"));
    assert!(requests[0].at <= requests[1].at && requests[1].at < Duration::from_secs(600));

    book.forget_requests();
    get(&book, VERSION).await;
    assert_eq!((book.requests().len(), book.request_count()), (0, 3));
}

#[tokio::test]
async fn two_order_books_are_two() {
    let (one, other) = (OrderBook::start().await, OrderBook::start().await);
    place(&one, &SignedOrder::random(1)).await;
    assert_eq!(other.orders(), []);
    let body = json!([SignedOrder::random(1).uid()]).to_string();
    let found = request(&other, "POST", "/api/v1/orders/by_uids", &body).await.unwrap();
    assert_eq!(found.json(), json!([]));
}

#[tokio::test]
async fn another_base_path_takes_the_place_of_the_first() {
    let book = OrderBook::start().await.with_base_path("/a/key");
    assert!(book.url().ends_with("/a/key"));
    assert_eq!(get(&book, VERSION).await.status, 200);
    let book = book.with_base_path("");
    assert_eq!(get(&book, &format!("/sepolia{VERSION}")).await.status, 404);
    assert_eq!(get(&book, VERSION).await.status, 200);
}
