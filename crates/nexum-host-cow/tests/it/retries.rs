//! Retries, and their waits.

use std::time::Duration;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_host_cow::{Call, OrderBooks, RequestError};
use nexum_testing::order_book::Fault;
use nexum_testing::{OrderBook, Record, Records};
use tokio::time::Instant;
use tracing::Level;

use crate::support::{CHAIN, books, call, config, get, late};

#[tokio::test]
async fn only_what_does_no_harm_is_sent_again_after_it_may_have_been_received() {
    let book = OrderBook::start().await;
    let mut config = config(&book.url());
    config.request_timeout_ms = 200;
    let may_be_received = [Fault::Status(500), Fault::Status(408), Fault::Cut, Fault::Hang];
    let was_refused = [Fault::TooManyRequests { retry_after: None }];
    for (method, path, harmless) in [
        ("GET", "/api/v1/version", true),
        ("GET", "/anything", true),
        ("POST", "/api/v1/quote", true),
        ("POST", "/api/v1/orders/by_uids", true),
        ("PUT", "/api/v1/app_data", true),
        ("DELETE", "/api/v1/orders", true),
        ("POST", "/api/v1/orders", false),
        ("POST", "/anything", false),
    ] {
        let repeated = |fault: &Fault| harmless || was_refused.contains(fault);
        for fault in may_be_received.iter().chain(&was_refused) {
            let books = OrderBooks::new(&config);
            book.fail_next(fault.clone());
            let body = (method != "GET").then(|| "{}".to_owned());
            let before = book.request_count();
            let _ = books
                .request(CHAIN, &Call::new(method, path, body).unwrap(), late())
                .await;
            let expected = if repeated(fault) { 2 } else { 1 };
            assert_eq!(book.request_count() - before, expected, "{method} {path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_host_that_says_when_is_left_alone_until_then_by_all() {
    let (records, _capture) = Records::capture();
    let book = OrderBook::start().await;
    let books = books(&book);
    book.fail_next(Fault::TooManyRequests { retry_after: Some(1) });
    let first = get(&books, "/api/v1/version?first");
    let second = async {
        // The second request starts after the order book refuses the first.
        while records
            .find("the order book limits the request rate; pausing")
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        get(&books, "/api/v1/version?second").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        ("nexum-testing".to_owned(), "nexum-testing".to_owned())
    );
    let requests = book.requests();
    assert_eq!(requests.len(), 3);
    for later in &requests[1..] {
        assert!(later.at - requests[0].at >= Duration::from_secs(1), "{requests:?}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_logged_when_it_begins_and_when_it_ends() {
    let (records, _capture) = Records::capture();
    let book = OrderBook::start().await;
    let books = books(&book);
    for _ in 0..3 {
        book.fail_next(Fault::TooManyRequests { retry_after: None });
    }
    get(&books, "/api/v1/version").await.unwrap();
    let lines = || {
        let records = records.all().into_iter();
        let records = records.filter(|record| record.target == "nexum::cow" && record.level <= Level::INFO);
        let line = |record: Record| (record.level, record.message, record.fields["attempts"].clone());
        records.map(line).collect::<Vec<_>>()
    };
    let line = |level, message: &str, attempts: &str| (level, message.to_owned(), attempts.to_owned());
    let expected = [
        line(Level::WARN, "the order book limits the request rate; pausing", "1"),
        line(Level::INFO, "the order book answers again", "3"),
    ];
    assert_eq!(lines(), expected);
    get(&books, "/api/v1/version").await.unwrap();
    assert_eq!(lines(), expected);
}

#[tokio::test]
async fn a_turn_that_would_come_too_late_is_not_waited_for() {
    let book = OrderBook::start().await;
    let books = books(&book);
    book.fail_next(Fault::TooManyRequests {
        retry_after: Some(3_600),
    });
    let began = Instant::now();
    let refused = get(&books, "/api/v1/version").await.unwrap_err().to_host_error();
    assert_eq!((refused.kind, refused.code), (HostErrorKind::RateLimited, 429));
    let error = get(&books, "/api/v1/version").await.unwrap_err();
    assert_eq!(
        (&error, error.to_host_error().kind),
        (&RequestError::NoTurn, HostErrorKind::RateLimited)
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(book.request_count(), 1);
}

#[tokio::test]
async fn attempts_end_before_the_deadline() {
    let book = OrderBook::start().await;
    let books = books(&book);
    book.fail_always(Some(Fault::Status(503)));
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = books
        .request(CHAIN, &call("GET", "/api/v1/version"), deadline)
        .await
        .unwrap_err();
    assert_eq!(error.to_host_error().code, 503);
    assert!(Instant::now() < deadline);
    assert!(book.request_count() >= 2, "{}", book.request_count());
}

#[tokio::test]
async fn a_request_that_hangs_is_given_up_at_the_timeout_or_the_deadline() {
    let book = OrderBook::start().await;
    let mut config = config(&book.url());
    config.request_timeout_ms = 3_600_000;
    book.fail_always(Some(Fault::Hang));
    let deadline = Instant::now() + Duration::from_millis(300);
    let error = OrderBooks::new(&config)
        .request(CHAIN, &call("GET", "/api/v1/version"), deadline)
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, RequestError::Timeout { timeout_ms } if timeout_ms <= 300),
        "{error:?}"
    );
    assert_eq!(error.to_host_error().kind, HostErrorKind::Timeout);
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_tried_again() {
    let book = OrderBook::start().await;
    let url = book.url();
    drop(book);
    let deadline = Instant::now() + Duration::from_secs(1);
    let began = Instant::now();
    let post = Call::new("POST", "/api/v1/orders", Some("{}".to_owned())).unwrap();
    let error = OrderBooks::new(&config(&url))
        .request(CHAIN, &post, deadline)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RequestError::Unreachable { cause: Some(_) }),
        "{error:?}"
    );
    assert_eq!(error.to_host_error().kind, HostErrorKind::Unavailable);
    // The attempts have waits between them.
    assert!(began.elapsed() >= Duration::from_millis(125) && Instant::now() < deadline + Duration::from_millis(100));
}
