//! The cost of the order book through the host, against reqwest alone on the same server.
//!
//! Samples of both sides alternate, so that other load of the machine affects both. The order book
//! has its own thread.
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

/// The runtimes of the bench.
struct Runtimes {
    /// The host and the bare client, on as many threads as the binary uses.
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

/// A configuration with an order book at this URL and without a limit.
fn config(book: &OrderBook) -> CowConfig {
    let mut config = CowConfig::default();
    config.requests_per_second = NonZeroU32::MAX;
    let url = BaseUrl::parse(&book.url()).expect("a URL");
    config.chains.entry(TEST_CHAIN_ID).or_default().base_url = Some(url);
    config
}

/// Takes pairs of samples, after some to warm up both sides. Returns the median of each side: the
/// host's and the bare client's.
fn medians(warm_up: usize, samples: usize, mut pair: impl FnMut() -> (f64, f64)) -> (f64, f64) {
    let Ok(medians) = bench::medians(warm_up, samples, || Ok::<_, Infallible>(pair()));
    medians
}
