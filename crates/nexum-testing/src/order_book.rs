//! A CoW Protocol order book over real http.
//!
//! It checks what the real one checks and a client can get wrong, answers with the field names and status codes of the public
//! API, and goes wrong when it is told to. What it hashes and recovers is worked out here and not by any library that a client
//! would use.

mod checks;
mod creation;
mod date;
mod draw;
mod eip712;
mod fault;
mod quoted;
mod reply;
mod routes;
mod scheme;
mod server;
mod signing;
mod state;
mod stored;
mod terms;

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, FixedBytes, address};
use nexum_core::clock::Clock;
use tokio::net::TcpListener;

pub use self::fault::Fault;
pub use self::scheme::Scheme;
pub use self::signing::{SignedOrder, Trader};
pub use self::state::ReceivedRequest;
use self::state::Shared;
pub use self::stored::{OrderStatus, StoredOrder, Trade};
pub use self::terms::{Kind, OrderTerms, TokenBalance};
use crate::listener::Listener;
use crate::{TEST_CHAIN_ID, WAIT_MAX};

/// The name of an order: its digest, its owner, and its `validTo` with the highest byte first.
pub type OrderUid = FixedBytes<56>;

/// The settlement contract, whose domain orders are signed for; the same on all chains.
pub const SETTLEMENT: Address = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");

/// The path that everything is under unless a test says otherwise. The public order books have one each; a client that loses it
/// is told 404.
const BASE_PATH: &str = "/sepolia";

/// An order book on a free loopback port.
///
/// It serves `POST`, `GET` and `DELETE` of orders, an owner's orders, trades, quotes, native prices, app data and the version.
/// Until a test says otherwise every token is worth one native atom, nobody is denied, and signatures by EIP-1271 are taken
/// unseen.
///
/// It stops when it is dropped.
pub struct OrderBook {
    shared: Arc<Shared>,
    port: u16,
    _listener: Listener,
}

impl OrderBook {
    /// Starts one of the chain [`TEST_CHAIN_ID`] without orders.
    ///
    /// # Panics
    ///
    /// When no loopback port is free, or outside a tokio runtime.
    pub async fn start() -> Self {
        Self::start_for(TEST_CHAIN_ID).await
    }

    /// Starts one of another chain.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_for(chain_id: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared = Shared::new(chain_id);
        Self {
            _listener: Listener::start(listener, server::router(&shared), shared.hang_ups()),
            shared,
            port,
        }
    }

    /// Asks the contracts of this chain, by JSON-RPC, whether they accept signatures by EIP-1271.
    #[must_use]
    pub fn with_chain(self, rpc_url: &str) -> Self {
        self.shared.with(|state| state.chain_url = Some(rpc_url.to_owned()));
        self
    }

    /// Puts everything under this path, which begins with a slash and ends without one.
    #[must_use]
    pub fn with_base_path(self, path: &str) -> Self {
        self.shared.with(|state| state.base_path = path.to_owned());
        self
    }

    /// Its base URL, with a path and without a slash at its end.
    pub fn url(&self) -> String {
        let base_path = self.shared.with(|state| state.base_path.clone());
        format!("http://127.0.0.1:{}{base_path}", self.port)
    }

    /// Takes the time from this clock, in place of the machine's.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.shared.with(|state| state.clock = clock);
    }

    /// Says how many open limit orders an owner may have: 10 until then, as with the real one. An order that names a quote of
    /// this order book is none.
    pub fn set_limit_orders_max(&self, limit_orders_max: usize) {
        self.shared.with(|state| state.limit_orders_max = limit_orders_max);
    }

    /// Says what an atom of a token is worth in native atoms, or that nobody trades it.
    pub fn set_price(&self, token: Address, price: Option<f64>) {
        self.shared.with(|state| state.prices.insert(token, price));
    }

    /// Takes no more orders of this owner.
    pub fn deny_owner(&self, owner: Address) {
        self.shared.with(|state| state.rules.denied_owners.insert(owner));
    }

    /// Takes no more orders that sell or buy this token.
    pub fn refuse_token(&self, token: Address) {
        self.shared.with(|state| state.rules.refused_tokens.insert(token));
    }

    /// Has the next request that has no fault yet go wrong; several wait in a queue.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_next_of("", fault);
    }

    /// Has the next request go wrong that begins so, such as `"POST /api/v1/orders"`: the method and the path under the base.
    pub fn fail_next_of(&self, start: &str, fault: Fault) {
        self.shared.with(|state| state.faults.push(start, fault));
    }

    /// Has every request go wrong for which no fault waits, or with `None` no more.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.shared.with(|state| state.faults.set_standing(fault));
    }

    /// Closes every connection and keeps listening.
    pub fn drop_connections(&self) {
        self.shared.hang_up();
    }

    /// Notes that the owner of an order of [`Scheme::Presign`] has sent the transaction.
    ///
    /// # Panics
    ///
    /// When there is no such order.
    pub fn presign(&self, uid: &OrderUid) {
        self.shared.change(|state| {
            let order = state.orders.get_mut(uid).expect("an order that was taken");
            order.presigned = true;
        });
    }

    /// Executes all of an order at its limit.
    ///
    /// # Panics
    ///
    /// As [`presign`](Self::presign).
    pub fn settle(&self, uid: &OrderUid) -> Trade {
        let trade = self.shared.change(|state| routes::settle(state, uid));
        trade.expect("an order that was taken")
    }

    /// The orders that it has taken, oldest first.
    pub fn orders(&self) -> Vec<StoredOrder> {
        self.shared.with(|state| state.orders.all().to_vec())
    }

    /// What has become of an order; nothing if it was not taken.
    pub fn status(&self, uid: &OrderUid) -> Option<OrderStatus> {
        self.shared
            .with(|state| Some(state.orders.get(uid)?.status(state.now_s())))
    }

    /// Every request so far, in order of arrival; none after [`forget_requests`](Self::forget_requests).
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.with(|state| state.requests.clone()).unwrap_or_default()
    }

    /// Drops the requests so far and records no more, for benches that make very many. They are still counted.
    pub fn forget_requests(&self) {
        self.shared.with(|state| state.requests = None);
    }

    /// How many requests have come in.
    pub fn request_count(&self) -> u64 {
        self.shared.with(|state| state.request_count)
    }

    /// How many bytes of [`Fault::Huge`] have been handed to connections.
    pub fn huge_bytes_sent(&self) -> u64 {
        self.shared.with(|state| state.huge_bytes_sent)
    }

    /// Waits until `reached` holds; it is asked again whenever a request has come in or an order has changed.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`WAIT_MAX`].
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = changes.wait_for(|_| reached(self));
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            panic!("the order book did not get there; its requests: {:#?}", self.requests());
        }
    }
}

impl fmt::Debug for OrderBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderBook")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Drop for OrderBook {
    fn drop(&mut self) {
        self.shared.hang_up();
    }
}
