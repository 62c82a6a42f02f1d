//! The state of an order book, which the test and the connections share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use nexum_core::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::checks::Rules;
use super::fault::Faults;
use super::quoted::Quoted;
use super::stored::Orders;
use super::{BASE_PATH, Trade};

/// The default for the most open limit orders per owner.
const LIMIT_ORDERS_MAX: usize = 10;

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The time since the start of the order book.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// The exact path and query.
    pub path: String,
    /// The headers, in order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl ReceivedRequest {
    /// The value of a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(found, _)| found == name);
        header.map(|(_, value)| value.as_str())
    }
}

pub(super) struct State {
    pub(super) base_path: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chain_url: Option<String>,
    pub(super) rules: Rules,
    pub(super) limit_orders_max: usize,
    pub(super) faults: Faults,
    pub(super) orders: Orders,
    pub(super) trades: Vec<Trade>,
    pub(super) app_data: HashMap<B256, String>,
    pub(super) quotes: Vec<Quoted>,
    /// Native atoms per atom of a token: 1 for a missing token, `None` for a token without
    /// liquidity.
    pub(super) prices: HashMap<Address, Option<f64>>,
    /// `None` while the order book only counts requests.
    pub(super) requests: Option<Vec<ReceivedRequest>>,
    pub(super) request_count: u64,
    pub(super) huge_bytes_sent: u64,
}

impl State {
    /// The time, in seconds since the Unix epoch.
    pub(super) fn now_s(&self) -> u64 {
        self.clock.now_ms() / 1_000
    }

    pub(super) fn price(&self, token: Address) -> Option<f64> {
        self.prices.get(&token).copied().unwrap_or(Some(1.0))
    }
}

pub(super) struct Shared {
    pub(super) chain_id: u64,
    pub(super) client: reqwest::Client,
    start: Instant,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    hang_up: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new(chain_id: u64) -> Arc<Self> {
        Arc::new(Self {
            chain_id,
            client: nexum_net::http_client().no_proxy().build().expect("a client"),
            start: Instant::now(),
            state: Mutex::new(State {
                base_path: BASE_PATH.to_owned(),
                clock: Arc::new(SystemClock::new()),
                chain_url: None,
                rules: Rules::default(),
                limit_orders_max: LIMIT_ORDERS_MAX,
                faults: Faults::default(),
                orders: Orders::default(),
                trades: Vec::new(),
                app_data: HashMap::new(),
                quotes: Vec::new(),
                prices: HashMap::new(),
                requests: Some(Vec::new()),
                request_count: 0,
                huge_bytes_sent: 0,
            }),
            changed: watch::Sender::new(()),
            hang_up: watch::Sender::new(()),
        })
    }

    /// Reads or changes the state. The caller must not call back into the order book.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock())
    }

    /// Changes the state as [`with`](Self::with) does, and wakes
    /// [`OrderBook::until`](super::OrderBook::until).
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let result = self.with(f);
        self.changed.send_replace(());
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn hang_up(&self) {
        self.hang_up.send_replace(());
    }

    /// Changes when the order book closes all connections.
    pub(super) fn hang_ups(&self) -> watch::Receiver<()> {
        self.hang_up.subscribe()
    }
}
