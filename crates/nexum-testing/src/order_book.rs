//! A CoW Protocol order book over HTTP.
//!
//! It makes the checks of the real order book that depend on the client, and responds with the
//! field names and status codes of the public API. A test can script faults. The hashes and signers
//! are computed here, without the libraries that a client uses.

mod checks;
mod creation;
mod date;
mod eip712;
mod fault;
mod onchain;
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

use alloy_primitives::{Address, FixedBytes, address, keccak256};
use nexum_core::clock::Clock;
use tokio::net::TcpListener;

pub use self::fault::Fault;
pub use self::scheme::Scheme;
pub use self::signing::{SignedOrder, Trader};
pub use self::state::ReceivedRequest;
use self::state::Shared;
pub use self::stored::{OrderStatus, StoredOrder, Trade};
pub use self::terms::{Kind, OrderTerms, TokenBalance};
use crate::draw::Faulty;
use crate::listener::Listener;
use crate::{TEST_CHAIN_ID, WAIT_MAX};

/// The id of an order: its digest, its owner, and its `validTo` in big-endian order.
pub type OrderUid = FixedBytes<56>;

/// The settlement contract on all chains. Its domain is part of an order's digest.
pub const SETTLEMENT: Address = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");

/// The default base path. The public order books each have one. A client that omits it receives
/// 404.
const BASE_PATH: &str = "/sepolia";

/// An order book on a free loopback port.
///
/// It serves `POST`, `GET` and `DELETE` of orders, an owner's orders, trades, quotes, native
/// prices, app data and the version. By default, an atom of every token is worth one native atom,
/// no owner is denied, and the order book accepts EIP-1271 signatures without a check.
///
/// The order book stops when it is dropped.
pub struct OrderBook {
    shared: Arc<Shared>,
    port: u16,
    _listener: Listener,
}

impl OrderBook {
    /// Starts an order book for the chain [`TEST_CHAIN_ID`], without orders.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub async fn start() -> Self {
        Self::start_for(TEST_CHAIN_ID).await
    }

    /// Starts an order book for another chain.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
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

    /// Asks the chain through this JSON-RPC endpoint: the owners' contracts for EIP-1271 signatures,
    /// and the sold tokens for balances, allowances and whether the transfer succeeds.
    #[must_use]
    pub fn with_chain(self, rpc_url: &str) -> Self {
        self.shared.with(|state| state.chain_url = Some(rpc_url.to_owned()));
        self
    }

    /// Sets the base path, which starts with a slash and ends without one.
    #[must_use]
    pub fn with_base_path(self, path: &str) -> Self {
        self.shared.with(|state| state.base_path = path.to_owned());
        self
    }

    /// The base URL, with the base path and without a final slash.
    pub fn url(&self) -> String {
        let base_path = self.shared.with(|state| state.base_path.clone());
        format!("http://127.0.0.1:{}{base_path}", self.port)
    }

    /// Sets the clock. The default is the machine's.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.shared.with(|state| state.clock = clock);
    }

    /// Sets the most open limit orders per owner. The default is 10, as in the real order book. An
    /// order that names a quote of this order book does not count.
    pub fn set_limit_orders_max(&self, limit_orders_max: usize) {
        self.shared.with(|state| state.limit_orders_max = limit_orders_max);
    }

    /// Sets the value of one atom of a token in native atoms; `None` means that the token has no
    /// liquidity.
    pub fn set_price(&self, token: Address, price: Option<f64>) {
        self.shared.with(|state| state.prices.insert(token, price));
    }

    /// Refuses later orders of this owner, and those that this account receives the bought token of.
    pub fn deny(&self, account: Address) {
        self.shared.with(|state| state.rules.denied.insert(account));
    }

    /// Stores an app-data document, as `PUT /api/v1/app_data` does. An order can then name it by its
    /// hash.
    pub fn register_app_data(&self, document: &str) {
        self.shared
            .change(|state| state.app_data.insert(keccak256(document), document.to_owned()));
    }

    /// Refuses later orders that sell or buy this token.
    pub fn refuse_token(&self, token: Address) {
        self.shared.with(|state| state.rules.refused_tokens.insert(token));
    }

    /// Scripts a fault for the next request without one. Several faults form a queue.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_next_of("", fault);
    }

    /// Scripts a fault for the next request that starts with `start`, for example `"POST
    /// /api/v1/orders"`: the method and the path below the base.
    pub fn fail_next_of(&self, start: &str, fault: Fault) {
        self.shared.with(|state| state.faults.push(start, fault));
    }

    /// Scripts a fault for every request without a queued fault; `None` ends it.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.shared.with(|state| state.faults.set_standing(fault));
    }

    /// Makes this percentage of the requests without a queued fault fail, chosen by the seed: with a
    /// status, or with a broken connection before or after the order book has handled the request. 0
    /// ends it.
    pub fn fail_at_random(&self, seed: u64, percent: u64) {
        self.shared
            .with(|state| state.faults.set_random(Faulty::new(seed, percent)));
    }

    /// Closes every connection and keeps listening.
    pub fn drop_connections(&self) {
        self.shared.hang_up();
    }

    /// Records the owner's transaction for an order of [`Scheme::Presign`].
    ///
    /// # Panics
    ///
    /// If the order does not exist.
    pub fn presign(&self, uid: &OrderUid) {
        self.shared.change(|state| {
            let order = state.orders.get_mut(uid).expect("an accepted order");
            order.presigned = true;
        });
    }

    /// Executes an order completely at its limit price.
    ///
    /// # Panics
    ///
    /// If the order does not exist.
    pub fn settle(&self, uid: &OrderUid) -> Trade {
        let trade = self.shared.change(|state| routes::settle(state, uid));
        trade.expect("an accepted order")
    }

    /// The accepted orders, oldest first.
    pub fn orders(&self) -> Vec<StoredOrder> {
        self.shared.with(|state| state.orders.all().to_vec())
    }

    /// The status of an order; `None` if the order does not exist.
    pub fn status(&self, uid: &OrderUid) -> Option<OrderStatus> {
        self.shared
            .with(|state| Some(state.orders.get(uid)?.status(state.now_s())))
    }

    /// Every request so far, in order of arrival; empty after
    /// [`forget_requests`](Self::forget_requests).
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.with(|state| state.requests.clone()).unwrap_or_default()
    }

    /// Discards the recorded requests and stops recording, for benches with very many requests. The
    /// order book still counts them.
    pub fn forget_requests(&self) {
        self.shared.with(|state| state.requests = None);
    }

    /// The number of requests so far.
    pub fn request_count(&self) -> u64 {
        self.shared.with(|state| state.request_count)
    }

    /// The bytes of [`Fault::Huge`] that connections have taken.
    pub fn huge_bytes_sent(&self) -> u64 {
        self.shared.with(|state| state.huge_bytes_sent)
    }

    /// Waits until `reached` returns true. The order book calls it after each request and each
    /// change of an order.
    ///
    /// # Panics
    ///
    /// After [`WAIT_MAX`].
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = changes.wait_for(|_| reached(self));
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            panic!(
                "the order book did not reach the expected state; its requests: {:#?}",
                self.requests()
            );
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
