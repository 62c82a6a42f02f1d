//! A daemon with the module `twap`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::time::Duration;

use nexum_testing::cow::{Address, CowChain, Twap};
use nexum_testing::order_book::StoredOrder;
use nexum_testing::{OrderBook, Relay, TEST_CHAIN_ID, guests};
use serde_json::Value;
use tokio::sync::watch;

use crate::Dir;
use crate::running::{self, RUNNING, Started};

/// The longest wait for anything: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The most blocks that a test mines while it waits for orders.
const BLOCKS_MAX: u64 = 1_000;

/// The last lines of the log that a failure shows.
const LINES_SHOWN: usize = 40;

/// A chain, an order book, and the daemon between them.
pub(super) struct Tower {
    pub(super) chain: CowChain,
    pub(super) relay: Relay,
    pub(super) book: OrderBook,
    dir: Dir,
    daemon: Option<Daemon>,
}

/// A running daemon. Dropping the value kills it.
struct Daemon {
    child: Started,
    progress: watch::Receiver<Progress>,
}

/// The progress that the log shows.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The records of [`RUNNING`] that are missing.
    missing: Vec<&'static str>,
    /// The newest block whose event is handled.
    block: u64,
    /// The last lines.
    lines: VecDeque<String>,
}

impl Tower {
    /// Starts a chain and an order book without a daemon.
    ///
    /// `limits` is the section `[engine.limits]` of the configuration.
    async fn new(limits: &str) -> Self {
        let chain = CowChain::start().await;
        let book = chain.order_book().await;
        let relay = Relay::start(&chain.anvil().http_url()).await;
        let dir = Dir::new();
        let module = dir.guest("twap").display().to_string();
        dir.write("nexum.toml", manifest());
        let config = format!(
            "[engine]\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\
             [engine.limits]\n{limits}\n\
             [engine.restart]\nbackoff_ms = 1\n\
             [chains.11155111]\nrpc_url = {:?}\npoll_interval_ms = 10\n\
             [cow]\nrequests_per_second = 10000\n\
             [cow.11155111]\nbase_url = {:?}\n\
             [[modules]]\npath = {module:?}\n",
            relay.url(),
            book.url(),
        );
        dir.write("engine.toml", config);
        Self {
            chain,
            relay,
            book,
            dir,
            daemon: None,
        }
    }

    /// Starts everything, and waits until the module follows the chain.
    pub(super) async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`start`](Self::start), with these limits in the configuration.
    pub(super) async fn start_with(limits: &str) -> Self {
        let mut tower = Self::new(limits).await;
        tower.run().await;
        tower
    }

    /// Starts the daemon, and waits until the module follows the chain.
    pub(super) async fn run(&mut self) {
        let child = running::spawn(&self.dir, &["run"]);
        let mut daemon = Daemon::of(child);
        daemon.until(|progress| progress.missing.is_empty()).await;
        self.daemon = Some(daemon);
    }

    /// Kills the daemon with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.daemon = None;
    }

    /// Waits until the module has handled the newest block.
    pub(super) async fn caught_up(&mut self) {
        let block = self.chain.block_number().await;
        let daemon = self.daemon.as_mut().expect("a running daemon");
        daemon.until(|progress| progress.block >= block).await;
    }

    /// Mines a block with this time, and waits until the module has handled it.
    pub(super) async fn handle_at(&mut self, timestamp: u64) {
        self.chain.mine_at(timestamp).await;
        self.caught_up().await;
    }

    /// Mines a block, and waits until the module has handled it.
    pub(super) async fn handle_block(&mut self) {
        self.chain.mine(1).await;
        self.caught_up().await;
    }

    /// Mines blocks with these seconds between them, which the module handles one by one, until the order
    /// book has accepted this many orders. So the time passes as slowly as the machine works.
    pub(super) async fn handle_until_orders(&mut self, count: usize, seconds: u64) {
        for _ in 0..BLOCKS_MAX {
            if self.book.orders().len() >= count {
                return;
            }
            self.handle_at(self.chain.timestamp() + seconds).await;
        }
        panic!("{} of {count} orders: {:#?}", self.book.orders().len(), self.lines());
    }

    /// Mines blocks with these seconds between them, which the module handles one by one, until the order
    /// book has accepted this order, at most to this time.
    pub(super) async fn handle_until(&mut self, end: u64, seconds: u64, is_it: impl Fn(&StoredOrder) -> bool) {
        while !self.book.orders().iter().any(&is_it) {
            let next = self.chain.timestamp() + seconds;
            assert!(next <= end, "no order until {end}: {:#?}", self.lines());
            self.handle_at(next).await;
        }
    }

    /// The number of requests for new orders.
    pub(super) fn posts(&self) -> usize {
        let requests = self.book.requests();
        let posts = requests
            .iter()
            .filter(|request| request.method == "POST" && request.path.ends_with("/api/v1/orders"));
        posts.count()
    }

    /// The ends of the accepted orders of this owner, sorted.
    pub(super) fn ends(&self, owner: Address) -> Vec<u64> {
        let orders = self.book.orders();
        let owned = orders.iter().filter(|order| order.owner == owner);
        let mut ends: Vec<_> = owned.map(|order| u64::from(order.terms.valid_to)).collect();
        ends.sort_unstable();
        ends
    }

    /// Asserts that the accepted orders of this owner are these parts of the TWAP, each once.
    pub(super) fn assert_parts(&self, owner: Address, twap: &Twap, parts: Range<u64>) {
        let expected: Vec<_> = parts.map(|part| twap.valid_to(part)).collect();
        assert_eq!(self.ends(owner), expected, "{:#?}", self.lines());
    }

    /// The last lines of the daemon's log.
    fn lines(&self) -> Vec<String> {
        self.daemon.as_ref().map(Daemon::lines).unwrap_or_default()
    }
}

/// The module's manifest, for the chain of the tests instead of mainnet.
fn manifest() -> String {
    let path = guests::dir("twap").join("nexum.toml");
    let manifest = std::fs::read_to_string(path).expect("a manifest");
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some((key @ "chain_id", _)) => format!("{key} = {TEST_CHAIN_ID}\n"),
        Some((key @ "required", "[1]")) => format!("{key} = [{TEST_CHAIN_ID}]\n"),
        Some((key @ "from_block", _)) => format!("{key} = 0\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

impl Daemon {
    /// Reads the log of a process until it ends.
    fn of(mut child: Started) -> Self {
        let log = BufReader::new(child.stderr.take().expect("a log"));
        let (sender, progress) = watch::channel(Progress {
            missing: RUNNING.to_vec(),
            ..Progress::default()
        });
        std::thread::spawn(move || {
            // The last line of a killed process can be cut.
            for line in log.lines().map_while(Result::ok) {
                sender.send_modify(|progress| progress.read(line));
            }
        });
        Self { child, progress }
    }

    async fn until(&mut self, reached: impl Fn(&Progress) -> bool) {
        let wait = self.progress.wait_for(|progress| reached(progress));
        let outcome = tokio::time::timeout(WAIT_MAX, wait).await.map(|seen| seen.is_ok());
        assert_eq!(outcome, Ok(true), "the daemon's log: {:#?}", self.lines());
    }

    fn lines(&self) -> Vec<String> {
        self.progress.borrow().lines.iter().cloned().collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Progress {
    /// Reads a line of the log.
    fn read(&mut self, line: String) {
        self.missing.retain(|record| !line.contains(record));
        if line.contains("event handled") && line.contains(":block\"") {
            let record: Value = serde_json::from_str(&line).unwrap_or_default();
            self.block = self.block.max(record["block"].as_u64().unwrap_or_default());
        }
        self.lines.push_back(line);
        if self.lines.len() > LINES_SHOWN {
            self.lines.pop_front();
        }
    }
}
