//! A scripted Ethereum node over real http and ws.

mod answer;
mod chain;
mod script;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

pub use self::answer::Answer;
pub use self::chain::{Block, Chain};
use self::script::Shared;
pub use self::script::{Call, Transport};
use self::server::Server;
use crate::TEST_CHAIN_ID;

/// How long [`Node::until`] waits: far longer than anything on the loopback takes, so that only a test that has failed gets
/// there.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// An Ethereum node that does what a test tells it, on a free loopback port that serves http and ws.
///
/// By itself it answers `eth_chainId`, `net_version`, `web3_clientVersion`, `eth_blockNumber`, `eth_getBlockByNumber`,
/// `eth_getBlockByHash`, `eth_subscribe` (`newHeads`) and `eth_unsubscribe` from a model [`Chain`], and refuses every other
/// method as unknown. [`on`](Self::on) and [`once`](Self::once) script any method, faults included.
///
/// It stops when it is dropped.
pub struct Node {
    shared: Arc<Shared>,
    server: Option<Server>,
    port: u16,
}

impl Node {
    /// Starts a node of the chain [`TEST_CHAIN_ID`] that has a genesis block alone.
    ///
    /// # Panics
    ///
    /// When no loopback port is free, or outside a tokio runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared = Arc::new(Shared::new(TEST_CHAIN_ID));
        let server = Some(Server::start(listener, &shared));
        Self { shared, server, port }
    }

    /// Its endpoint over http.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its endpoint over ws.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Says another chain id from now on.
    pub fn set_chain_id(&self, chain_id: u64) {
        self.shared.with(|state| state.chain_id = chain_id);
    }

    /// The model chain as it is now.
    pub fn chain(&self) -> Chain {
        self.shared.with(|state| state.chain.clone())
    }

    /// Mines `blocks` blocks and announces each to the subscribers of `newHeads`.
    pub fn mine(&self, blocks: u64) -> Vec<Block> {
        let mined = self.mine_unannounced(blocks);
        mined.iter().for_each(|block| self.announce(block));
        mined
    }

    /// Mines `blocks` blocks that no subscriber hears of.
    pub fn mine_unannounced(&self, blocks: u64) -> Vec<Block> {
        self.shared.with(|state| state.chain.mine(blocks))
    }

    /// Replaces the newest `depth` blocks by `new_blocks` others and announces these.
    pub fn reorg(&self, depth: u64, new_blocks: u64) -> Vec<Block> {
        let mined = self.shared.with(|state| state.chain.reorg(depth, new_blocks));
        mined.iter().for_each(|block| self.announce(block));
        mined
    }

    /// Sends a block's header to the subscribers of `newHeads`, whether or not it is the head.
    pub fn announce(&self, block: &Block) {
        self.announce_raw(&block.to_json());
    }

    /// Sends any value to the subscribers of `newHeads`.
    pub fn announce_raw(&self, header: &Value) {
        self.shared.announce(header);
    }

    /// Answers every later call of `method` as `answer` says for its parameters, in place of what the node would do by
    /// itself. The method `*` stands for all that have no answer of their own.
    pub fn on(&self, method: &str, answer: impl Fn(&RawValue) -> Answer + Send + Sync + 'static) {
        self.shared
            .with(|state| state.handlers.insert(method.to_owned(), Arc::new(answer)));
    }

    /// Ends what [`on`](Self::on) began.
    pub fn restore(&self, method: &str) {
        self.shared.with(|state| state.handlers.remove(method));
    }

    /// Answers the next call of `method` so, before anything else does; several wait in a queue.
    pub fn once(&self, method: &str, answer: Answer) {
        self.shared
            .with(|state| state.queued.entry(method.to_owned()).or_default().push_back(answer));
    }

    /// Whether a batch is answered by one error, as endpoints do that have no batches.
    pub fn refuse_batches(&self, refuse: bool) {
        self.shared.with(|state| state.refuses_batches = refuse);
    }

    /// Answers the handshake of every later ws connection with this http status in place of an upgrade.
    pub fn refuse_ws(&self, status: Option<u16>) {
        self.shared.with(|state| state.refuses_ws = status);
    }

    /// Closes every connection and keeps listening.
    pub fn drop_connections(&self) {
        self.shared.hang_up();
    }

    /// Closes every connection and refuses new ones.
    pub async fn stop(&mut self) {
        self.shared.hang_up();
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Listens again on the same port after [`stop`](Self::stop).
    ///
    /// # Panics
    ///
    /// When something else has taken the port.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .expect("the node's own port");
        self.server = Some(Server::start(listener, &self.shared));
    }

    /// How many http requests have come in; a batch is one.
    pub fn http_requests(&self) -> u64 {
        self.shared.with(|state| state.http_requests)
    }

    /// How many ws connections have been made.
    pub fn ws_connections(&self) -> u64 {
        self.shared.with(|state| state.ws_connections)
    }

    /// How many bytes of [`Answer::Huge`] have been handed to connections.
    pub fn huge_bytes_sent(&self) -> u64 {
        self.shared.with(|state| state.huge_bytes_sent)
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.with(|state| state.calls.clone())
    }

    /// How many calls of `method` there were.
    pub fn count(&self, method: &str) -> usize {
        self.shared
            .with(|state| state.calls.iter().filter(|call| call.method == method).count())
    }

    /// How many subscriptions to `newHeads` are open.
    pub fn subscribers(&self) -> usize {
        self.shared.with(|state| state.subscribers)
    }

    /// Waits until `reached` holds; it is asked again whenever a connection, call or subscription has come or gone.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`WAIT_MAX`].
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes();
        let wait = changes.wait_for(|_| reached(self));
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            panic!("the node did not get there; its calls: {:#?}", self.calls());
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.hang_up();
    }
}
