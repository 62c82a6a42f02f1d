//! A chain with orders, an order book, and a nexum with the module `twap`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::Address;
use nexum_testing::bench::{Figure, median};
use nexum_testing::cow::{ConditionalOrder, CowChain, TOWER, tower_config};
use nexum_testing::{Daemon, OrderBook};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

/// The environment variable with the program to measure. The default is the one of this build.
const PROGRAM: &str = "NEXUM_PROGRAM";

/// The rate of requests to the order book in measurements without a limit: the largest that nexum
/// permits.
pub(crate) const UNLIMITED: u32 = 10_000;

/// The most blocks that may pass until the module has stored all orders.
const BLOCKS_MAX: u32 = 100;

/// A chain and an order book.
pub(crate) struct Setting {
    pub(crate) chain: CowChain,
    pub(crate) book: OrderBook,
    requests_per_second: u32,
    /// The start of the order book.
    start: Instant,
}

impl Setting {
    /// Starts them. nexum sends up to this many requests per second to the order book.
    pub(crate) async fn new(requests_per_second: u32) -> Self {
        let chain = CowChain::start().await;
        let book = chain.order_book().await;
        Self {
            chain,
            book,
            requests_per_second,
            start: Instant::now(),
        }
    }

    /// The time at which the order book received its last request.
    pub(crate) fn last_request_at(&self) -> Instant {
        let requests = self.book.requests();
        self.start + requests.last().map_or(Duration::ZERO, |request| request.at)
    }

    /// Creates orders with the numbers from 0 on as salts, whose owners take turns.
    pub(crate) async fn create(&self, owners: &[Address], count: u64, order: impl Fn(u64) -> ConditionalOrder) {
        let orders: Vec<_> = owners
            .iter()
            .cycle()
            .zip(0..count)
            .map(|(owner, number)| (*owner, order(number)))
            .collect();
        self.chain.create(&orders).await;
    }

    /// Starts nexum with its state in this directory.
    pub(crate) async fn daemon(&self, directory: &Path) -> Daemon {
        let config = tower_config(directory, &self.chain, &self.book, self.requests_per_second);
        Daemon::start(&program(), directory, &config).await
    }

    /// Starts nexum in a new directory, and lets blocks pass until the module has stored so many orders.
    pub(crate) async fn tower(&self, orders: u64) -> Tower {
        let directory = tempfile::tempdir().expect("a directory");
        let daemon = self.daemon(directory.path()).await;
        self.until_stored(&daemon, orders).await;
        Tower { daemon, directory }
    }

    /// Lets blocks pass until the module has stored so many orders: an event stores a few hundred.
    pub(crate) async fn until_stored(&self, daemon: &Daemon, orders: u64) {
        daemon.until_handled(TOWER, self.chain.block_number().await).await;
        for _ in 0..BLOCKS_MAX {
            let answer = daemon.ask(TOWER, &json!({ "limit": 1 })).await;
            if answer.is_some_and(|answer| answer["totals"]["orders"] == orders) {
                return;
            }
            self.block(daemon).await;
        }
        panic!("the module has not stored {orders} orders: {:#?}", daemon.records());
    }

    /// Mines a block. Returns the times of the request, of the node's answer, and of the record of the
    /// handled block.
    pub(crate) async fn block(&self, daemon: &Daemon) -> Times {
        let number = self.chain.block_number().await + 1;
        let start = Instant::now();
        self.chain.request::<Value>("evm_mine", json!([])).await;
        let mined = start.elapsed();
        let record = daemon.until_handled(TOWER, number).await;
        self.chain.read_time().await;
        Times {
            handled: record.at - start,
            handler: record.took(),
            mined,
        }
    }

    /// The times of several blocks, after some to warm up, and nexum's requests to the node for each.
    pub(crate) async fn blocks(&self, daemon: &Daemon, warm_up: usize, count: u32) -> (Samples, f64) {
        for _ in 0..warm_up {
            self.block(daemon).await;
        }
        let before = requests(daemon).await;
        let mut samples = Samples::default();
        for _ in 0..count {
            samples.0.push(self.block(daemon).await);
        }
        let sent = requests(daemon).await - before;
        (samples, sent / f64::from(count))
    }
}

/// A nexum, and the directory of its state.
pub(crate) struct Tower {
    pub(crate) daemon: Daemon,
    pub(crate) directory: TempDir,
}

/// The times of a block, from the request that mines it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The log record of the handled block.
    pub(crate) handled: Duration,
    /// The handler alone.
    pub(crate) handler: Duration,
    /// The node's answer to the request.
    pub(crate) mined: Duration,
}

/// The times of several blocks.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Times>);

impl Samples {
    /// The median of one of the times, in milliseconds.
    pub(crate) fn median(&self, time: impl Fn(&Times) -> Duration) -> f64 {
        median(self.milliseconds(time))
    }

    /// The least of one of the times, in milliseconds.
    pub(crate) fn least(&self, time: impl Fn(&Times) -> Duration) -> f64 {
        self.milliseconds(time).into_iter().fold(f64::INFINITY, f64::min)
    }

    fn milliseconds(&self, time: impl Fn(&Times) -> Duration) -> Vec<f64> {
        self.0.iter().map(|times| milliseconds(time(times))).collect()
    }

    /// The figures of these blocks: the median with its aim and the least, beside the public tower; and
    /// the median beside the bare node.
    pub(crate) fn figures(&self, name: &str, public_tower: f64, goal: f64, bare_name: &str, bare: f64) -> [Figure; 4] {
        let handled = self.median(|times| times.handled);
        let handler = self.median(|times| times.handler);
        let least = self.least(|times| times.handled);
        [
            Figure::new(name, "ms", handled, public_tower).at_most(goal),
            Figure::new(format!("{name}, least"), "ms", least, public_tower),
            Figure::new(format!("{name}; bare: {bare_name}"), "ms", handled, bare),
            Figure::new(format!("{name}, handler alone; bare: {bare_name}"), "ms", handler, bare),
        ]
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// nexum's requests to the node so far.
async fn requests(daemon: &Daemon) -> f64 {
    metric(daemon, "nexum_chain_requests_total", &[]).await
}

/// The sum of a metric over all of these labels.
pub(crate) async fn metric(daemon: &Daemon, name: &str, labels: &[&str]) -> f64 {
    daemon.metrics().await.expect("metrics").sum(name, labels)
}

fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| env!("CARGO_BIN_EXE_nexum").into(), PathBuf::from)
}
