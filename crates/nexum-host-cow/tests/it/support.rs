use std::num::NonZeroU32;
use std::time::Duration;

use nexum_host_cow::{BaseUrl, Call, CowConfig, OrderBooks, RequestError};
use nexum_testing::{OrderBook, TEST_CHAIN_ID, WAIT_MAX};
use tokio::time::Instant;

pub(crate) use nexum_testing::TEST_CHAIN_ID as CHAIN;

/// A configuration with an order book at this URL, and a limit that no test reaches.
pub(crate) fn config(url: &str) -> CowConfig {
    let mut config = CowConfig::default();
    config.requests_per_second = NonZeroU32::new(1_000).unwrap();
    config.chains.entry(TEST_CHAIN_ID).or_default().base_url = Some(BaseUrl::parse(url).unwrap());
    config
}

pub(crate) fn books(book: &OrderBook) -> OrderBooks {
    OrderBooks::new(&config(&book.url()))
}

/// A deadline that no test reaches.
pub(crate) fn late() -> Instant {
    Instant::now() + WAIT_MAX
}

/// A deadline that leaves time for one attempt on loopback, but not for a wait and a second
/// attempt.
pub(crate) fn after_one_attempt() -> Instant {
    Instant::now() + Duration::from_millis(600)
}

pub(crate) fn call(method: &str, path: &str) -> Call {
    Call::new(method, path, None).unwrap()
}

pub(crate) async fn get(books: &OrderBooks, path: &str) -> Result<String, RequestError> {
    books.request(CHAIN, &call("GET", path), late()).await
}
