//! No log, error or metric shows a secret.

use nexum_host_cow::{Call, OrderBooks, SILENCED_LOG_TARGETS};
use nexum_testing::order_book::{Fault, Scheme, SignedOrder};
use nexum_testing::{OrderBook, Records};

use crate::support::{CHAIN, after_one_attempt, call, config};

const SECRETS: [&str; 3] = ["hunter2-password", "0123456789abcdef-path", "a-user-name"];

fn check(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "shows {secret}: {text}");
    }
}

#[tokio::test]
async fn no_failure_shows_the_address() {
    let (records, _guard) = Records::capture();
    let [password, path, user] = SECRETS;
    let book = OrderBook::start().await.with_base_path(&format!("/keys/{path}"));
    let url = book.url().replace("http://", &format!("http://{user}:{password}@"));
    let echo = format!("{user} with {password} at http://h/keys/{path}/api is nobody");
    let faults = [
        Fault::PlainText(401, echo.clone()),
        Fault::PlainText(500, echo),
        Fault::error(400, path),
        Fault::TooManyRequests { retry_after: Some(1) },
        Fault::Hang,
        Fault::Cut,
        Fault::Huge { bytes: 100_000_000 },
    ];
    let config = config(&url);
    check(&format!("{config:?}"));
    let order = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
    let post = Call::new("POST", "/api/v1/orders", Some("{}".to_owned())).unwrap();
    for fault in &faults {
        for request in [&call("GET", "/api/v1/version"), &post] {
            let books = OrderBooks::new(&config);
            check(&format!("{books:?} {request:?}"));
            book.fail_next(fault.clone());
            let error = books.request(CHAIN, request, after_one_attempt()).await.unwrap_err();
            check(&format!("{error:?} {error} {:?}", error.to_host_error()));
        }
        book.fail_next(fault.clone());
        let error = OrderBooks::new(&config)
            .submit(CHAIN, order.as_bytes(), after_one_attempt())
            .await;
        let error = error.unwrap_err();
        check(&format!("{error:?} {error} {:?}", error.to_host_error()));
    }
    drop(book);
    let error = OrderBooks::new(&config)
        .submit(CHAIN, order.as_bytes(), after_one_attempt())
        .await
        .unwrap_err();
    check(&format!("{error:?} {error} {:?}", error.to_host_error()));
    let is_silenced = |target: &str| SILENCED_LOG_TARGETS.iter().any(|silenced| target.starts_with(silenced));
    for record in records.all().iter().filter(|record| !is_silenced(&record.target)) {
        check(&format!("{record:?}"));
    }
}
