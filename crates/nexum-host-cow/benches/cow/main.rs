//! What the order book costs through the host, against the same asked of the same server by reqwest alone.
//!
//! Samples of both sides take turns, so that what else the machine does befalls both. The order book has a thread of its own.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

mod orders;
mod requests;
mod stamps;

use std::convert::Infallible;
use std::num::NonZeroU32;

use nexum_host_cow::{BaseUrl, CowConfig};
use nexum_testing::bench;
use nexum_testing::{OrderBook, TEST_CHAIN_ID};
use tokio::runtime::{Builder, Runtime};

/// Where things run.
struct Runtimes {
    /// The host, and the bare side: as the binary's on this many threads.
    host: Runtime,
    /// The order book.
    far_side: Runtime,
}

impl Runtimes {
    fn order_book(&self) -> OrderBook {
        let book = self.far_side.block_on(OrderBook::start());
        book.forget_requests();
        book
    }
}

fn main() -> std::io::Result<()> {
    let runtimes = Runtimes {
        host: Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        far_side: Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
    };
    let mut figures = vec![requests::figure(&runtimes)];
    figures.extend(orders::figures(&runtimes));
    bench::publish("cow", &figures);
    Ok(())
}

/// An order book at this URL, and no limit.
fn config(book: &OrderBook) -> CowConfig {
    let mut config = CowConfig::default();
    config.requests_per_second = NonZeroU32::MAX;
    let url = BaseUrl::parse(&book.url()).expect("a URL");
    config.base_urls.insert(TEST_CHAIN_ID, url);
    config
}

/// Takes pairs of samples, after some that warm both sides, and returns the median of each: the host's and the bare one's.
fn medians(warm_up: usize, samples: usize, mut pair: impl FnMut() -> (f64, f64)) -> (f64, f64) {
    let Ok(medians) = bench::medians(warm_up, samples, || Ok::<_, Infallible>(pair()));
    medians
}
