//! The rate of requests, and their order.

use std::num::NonZeroU32;
use std::time::Duration;

use nexum_host_cow::metrics::WAIT_SECONDS;
use nexum_host_cow::{BaseUrl, OrderBooks};
use nexum_testing::{Counts, OrderBook};
use tokio::task::JoinSet;

use crate::support::{CHAIN, call, config, late};

const PER_SECOND: usize = 10;

#[tokio::test]
async fn the_host_gets_no_more_than_its_limit_within_any_second_and_in_the_order_of_asking() {
    let book = OrderBook::start().await;
    let mut config = config(&book.url());
    config.requests_per_second = NonZeroU32::new(PER_SECOND as u32).unwrap();
    // Chains with an order book on one host share its limit.
    config.chains.entry(1).or_default().base_url = Some(BaseUrl::parse(&book.url()).unwrap());
    let books = OrderBooks::new(&config);
    let mut asking = JoinSet::new();
    for number in 0..3 * PER_SECOND {
        let books = books.clone();
        let chain_id = if number % 2 == 0 { CHAIN } else { 1 };
        asking.spawn(async move {
            let call = call("GET", &format!("/api/v1/version?{number}"));
            books.request(chain_id, &call, late()).await.unwrap();
        });
        // The next request starts when this one waits.
        tokio::task::yield_now().await;
    }
    asking.join_all().await;
    let requests = book.requests();
    assert_eq!(requests.len(), 3 * PER_SECOND);
    for pair in requests.windows(PER_SECOND + 1) {
        assert!(
            pair[PER_SECOND].at - pair[0].at >= Duration::from_secs(1),
            "{:?}",
            pair[0].path
        );
    }
    // The requests of one second go out together, and arrive in any order.
    let number = |path: &str| path.split_once('?').unwrap().1.parse::<usize>().unwrap();
    let turns: Vec<usize> = requests
        .iter()
        .map(|request| number(&request.path) / PER_SECOND)
        .collect();
    assert!(turns.is_sorted(), "{turns:?}");
}

#[tokio::test]
async fn another_host_has_a_limit_of_its_own() {
    let books_of = [OrderBook::start().await, OrderBook::start().await];
    let mut config = config(&books_of[0].url());
    config.requests_per_second = NonZeroU32::MIN;
    config.chains.entry(1).or_default().base_url = Some(BaseUrl::parse(&books_of[1].url()).unwrap());
    let books = OrderBooks::new(&config);
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    for chain_id in [CHAIN, 1] {
        books
            .request(chain_id, &call("GET", "/api/v1/version"), late())
            .await
            .unwrap();
    }
    assert_eq!(counts.sum(WAIT_SECONDS, &[]), 0);
}
