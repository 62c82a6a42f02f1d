//! `cow-api.request`.

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_cow::{BODY_BYTES_MAX, Call, RESPONSE_BYTES_MAX, RequestError};
use nexum_testing::OrderBook;
use nexum_testing::order_book::{Fault, Scheme, SignedOrder};
use serde_json::{Value, json};

use crate::support::{CHAIN, after_one_attempt, books, call, get, late};

#[tokio::test]
async fn a_request_goes_out_as_it_was_given() {
    let book = OrderBook::start().await.with_base_path("/some/base");
    let books = books(&book);
    for (method, path, body) in [
        ("GET", "/api/v1/version", None),
        ("get", "api/v2/trades?owner=0xAb&limit=1", None),
        ("Post", "/api/v1/quote?a=%20b", Some("{\"é\": 1}")),
        ("put", "/api/v1/app_data", Some("{}")),
        ("dElEtE", "/api/v1/orders", Some("{}")),
        ("DELETE", "/api/v1/orders", None),
    ] {
        let sent = Call::new(method, path, body.map(str::to_owned)).unwrap();
        let _ = books.request(CHAIN, &sent, late()).await;
        let received = book.requests().pop().unwrap();
        assert_eq!(received.method, method.to_uppercase());
        assert_eq!(received.path, format!("/some/base/{}", path.trim_start_matches('/')));
        assert_eq!(received.body, body.unwrap_or_default());
        let agent = concat!("nexum/", env!("CARGO_PKG_VERSION"));
        assert_eq!(received.header("user-agent"), Some(agent));
        assert_eq!(
            received.header("content-type"),
            body.map(|_| "application/json"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn the_body_of_a_success_comes_back_as_it_is() {
    let book = OrderBook::start().await;
    let books = books(&book);
    assert_eq!(get(&books, "/api/v1/version").await.unwrap(), "nexum-testing");
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let post = Call::new("POST", "/api/v1/orders", Some(order.to_json().to_string())).unwrap();
    assert!(post.has_effect());
    let uid = books.request(CHAIN, &post, late()).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&uid).unwrap(), json!(order.uid()));
    let stored = get(&books, &format!("/api/v1/orders/{}", order.uid())).await.unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&stored).unwrap()["uid"],
        json!(order.uid())
    );
}

#[tokio::test]
async fn a_failure_comes_back_verbatim_with_status_and_kind() {
    let book = OrderBook::start().await;
    let books = books(&book);
    let text = |status| Fault::PlainText(status, "<html>no JSON</html>".to_owned());
    for (fault, code, kind) in [
        (text(301), 301, HostErrorKind::Unavailable),
        (text(400), 400, HostErrorKind::InvalidInput),
        (text(401), 401, HostErrorKind::Denied),
        (text(403), 403, HostErrorKind::Denied),
        (text(404), 404, HostErrorKind::InvalidInput),
        (text(408), 408, HostErrorKind::Timeout),
        (text(413), 413, HostErrorKind::InvalidInput),
        (text(422), 422, HostErrorKind::InvalidInput),
        (text(429), 429, HostErrorKind::RateLimited),
        (text(500), 500, HostErrorKind::Unavailable),
        (text(503), 503, HostErrorKind::Unavailable),
        (text(504), 504, HostErrorKind::Timeout),
        (Fault::error(400, "InvalidSignature"), 400, HostErrorKind::InvalidInput),
        (
            Fault::error(500, "InternalServerError"),
            500,
            HostErrorKind::Unavailable,
        ),
        (
            Fault::error(500, "SellAmountOverflow"),
            500,
            HostErrorKind::InvalidInput,
        ),
    ] {
        // A new origin for each fault, so that no pause of one affects another.
        let books = self::books(&book);
        book.fail_next(fault.clone());
        let error = books
            .request(CHAIN, &call("GET", "/api/v1/version"), after_one_attempt())
            .await;
        let error = error.unwrap_err().to_host_error();
        assert_eq!(
            (error.domain.as_str(), error.code, error.kind),
            ("cow-api", code, kind),
            "{fault:?}"
        );
        match fault {
            Fault::PlainText(_, text) => assert_eq!(error.data, Some(text)),
            Fault::Error {
                error_type,
                description,
                ..
            } => {
                let data: Value = serde_json::from_str(&error.data.unwrap()).unwrap();
                assert_eq!(
                    (&data["errorType"], &data["description"]),
                    (&json!(error_type), &json!(description))
                );
                assert!(error.message.contains(&error_type), "{}", error.message);
            }
            other => panic!("{other:?}"),
        }
    }
    // An error response of the order book itself.
    let error = get(&books, "/api/v1/orders/0x00").await.unwrap_err().to_host_error();
    assert_eq!((error.code, error.kind), (400, HostErrorKind::InvalidInput));
    assert!(error.data.unwrap().contains("0x00"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let book = OrderBook::start().await;
    book.fail_next(Fault::Status(302));
    let error = get(&books(&book), "/api/v1/version").await.unwrap_err();
    assert_eq!(error.to_host_error().code, 302);
    assert_eq!(book.request_count(), 1);
}

#[tokio::test]
async fn what_may_not_be_asked_is_not_sent() {
    let book = OrderBook::start().await;
    let books = books(&book);
    for (method, path, body) in [
        ("PATCH", "/api/v1/orders", None),
        ("", "/api/v1/orders", None),
        ("GET /x HTTP/1.1\r\nX: ", "/api/v1/orders", None),
        ("GET", "//evil.example", None),
        ("GET", "/api/../..", None),
        ("GET", "/api/v1/version", Some(String::new())),
        ("POST", "/api/v1/quote", Some("x".repeat(BODY_BYTES_MAX + 1))),
    ] {
        let error = Call::new(method, path, body).unwrap_err();
        assert_eq!(
            error.to_host_error().kind,
            HostErrorKind::InvalidInput,
            "{method:?} {path:?}"
        );
    }
    let unknown = books.request(31_337, &call("GET", "/api/v1/version"), late()).await;
    assert_eq!(unknown.unwrap_err().to_host_error().kind, HostErrorKind::Unsupported);
    assert_eq!(book.request_count(), 0);
}

#[tokio::test]
async fn an_answer_is_bounded_while_it_is_read() {
    let book = OrderBook::start().await;
    let bytes = 64 * RESPONSE_BYTES_MAX as u64;
    book.fail_next(Fault::Huge { bytes });
    let error = get(&books(&book), "/api/v1/version").await.unwrap_err();
    assert_eq!(
        error,
        RequestError::TooLarge {
            bytes_max: RESPONSE_BYTES_MAX
        }
    );
    assert_eq!(error.to_host_error().kind, HostErrorKind::Denied);
    assert!(book.huge_bytes_sent() < bytes);
}
