//! `cow-api.submit-order`.

use std::time::{Duration, Instant};

use cowprotocol::{Chain, OrderCreation};
use nexum_host_cow::OrderBooks;
use nexum_testing::TEST_CHAIN_ID;
use nexum_testing::bench::Figure;
use nexum_testing::order_book::{Scheme, SignedOrder};

use crate::{Runtimes, config, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 200;
const WARM_UP: usize = 20;
/// Orders in a sample.
const ORDERS_PER_SAMPLE: u32 = 20;
/// The most that submitting may cost beside the network, in microseconds.
const HOST_US_MAX: f64 = 300.0;
/// A deadline that no request reaches.
const LATE: Duration = Duration::from_secs(60);

pub(crate) fn figures(runtimes: &Runtimes) -> [Figure; 2] {
    let book = runtimes.order_book();
    let books = OrderBooks::new(&config(&book));
    // The scheme that takes the longest: it recovers the signer.
    let json = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
    let checked = medians(WARM_UP, SAMPLES, || {
        (us_each(|| check(&books, &json)), us_each(|| bare_check(&json)))
    });

    // Posted first, so that all later posts get one answer.
    let runtime = &runtimes.host;
    let post = || runtime.block_on(books.submit(TEST_CHAIN_ID, json.as_bytes(), tokio::time::Instant::now() + LATE));
    let uid = post().expect("an order that is taken");
    let client = nexum_net::http_client().build().expect("a client");
    let url = format!("{}/api/v1/orders", book.url());
    let bare_post = || {
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .body(json.clone());
        let sent = runtime.block_on(async { request.send().await?.text().await });
        assert!(sent.expect("an answer").contains("DuplicatedOrder"));
    };
    let posted = medians(WARM_UP, SAMPLES, || {
        (
            us_each(|| assert_eq!(post().expect("an order that is there"), uid)),
            us_each(bare_post),
        )
    });
    [
        Figure::new("an order: parse, verify, UID", "us", checked.0, checked.1).at_most(HOST_US_MAX),
        Figure::new("submit-order, one by one", "us", posted.0, posted.1).at_most_over_baseline(HOST_US_MAX),
    ]
}

fn check(books: &OrderBooks, json: &str) {
    let order = books.check_order(TEST_CHAIN_ID, json.as_bytes()).expect("a good order");
    assert!(!order.uid().is_zero());
}

/// The library's work without the host.
fn bare_check(json: &str) {
    let domain = Chain::Sepolia.settlement_domain();
    let order: OrderCreation = serde_json::from_str(json).expect("an order");
    let owner = order.verify_owner(&domain).expect("its owner's");
    assert!(!order.order_data().uid(&domain, owner).is_zero());
}

fn us_each(mut one: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..ORDERS_PER_SAMPLE {
        one();
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(ORDERS_PER_SAMPLE)
}
