//! A scripted Ethereum node over HTTP and WebSocket.

mod answer;
mod block;
mod chain;
mod faults;
mod header;
mod json;
mod limit;
mod log;
mod logs;
mod methods;
mod observe;
mod script;
mod server;
mod view;
mod world;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use self::answer::{Answer, BatchFault};
pub use self::block::Block;
pub use self::chain::Chain;
use self::chain::Finality;
pub use self::header::Blooms;
pub use self::limit::{LogsLimit, Provider};
pub use self::log::{Log, LogSpec};
pub use self::logs::LostLogs;
pub use self::observe::WAIT_MAX;
use self::script::Shared;
pub use self::script::{Call, Transport};
use self::world::{Announce, World};
use crate::TEST_CHAIN_ID;
use crate::listener::{Listener, Port};

/// A scripted Ethereum node on a free loopback port, over HTTP and WebSocket.
///
/// By default, it answers these methods from a model [`Chain`]: `eth_chainId`, `net_version`,
/// `web3_clientVersion`, `eth_syncing`, `eth_blockNumber`, `eth_getBlockByNumber`,
/// `eth_getBlockByHash`, `eth_getBlockReceipts`, `eth_getLogs`, `eth_subscribe` (`newHeads`) and
/// `eth_unsubscribe`. It refuses other methods as unknown. [`on`](Self::on) and
/// [`once`](Self::once) script any method, including faults.
///
/// Several nodes can serve one chain: see [`replica`](Self::replica).
///
/// The node stops when it is dropped.
pub struct Node {
    shared: Arc<Shared>,
    server: Option<Listener>,
    port: Port,
}

impl Node {
    /// Starts a node for the chain [`TEST_CHAIN_ID`] with only a genesis block.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub async fn start() -> Self {
        Self::serve(TEST_CHAIN_ID, &World::new(Chain::new()))
    }

    /// Starts a node for the chain [`TEST_CHAIN_ID`] that continues `chain` on a new fork.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub async fn start_on(mut chain: Chain) -> Self {
        chain.begin_fork();
        Self::serve(TEST_CHAIN_ID, &World::new(chain))
    }

    /// Starts another node of this chain. All nodes share mined and reorganised blocks, and each
    /// announces them to its own subscribers. Faults, lag and counts belong to one node.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside a tokio runtime.
    pub async fn replica(&self) -> Self {
        let chain_id = self.shared.with(|state| state.chain_id);
        Self::serve(chain_id, &self.shared.world)
    }

    fn serve(chain_id: u64, world: &Arc<World>) -> Self {
        let port = Port::reserve().expect("a free loopback port");
        let listener = port.listen().expect("the node's own port");
        let shared = Shared::new(chain_id, world);
        let server = Some(server::start(listener, &shared));
        Self { shared, server, port }
    }

    /// The HTTP endpoint.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// The WebSocket endpoint.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port.number())
    }

    /// Sets the chain id that the node reports.
    pub fn set_chain_id(&self, chain_id: u64) {
        self.shared.with(|state| state.chain_id = chain_id);
    }

    /// The current model chain, independent of this node's view.
    pub fn chain(&self) -> Chain {
        self.shared.world.chain().clone()
    }

    /// Sets the logs of every later block, as a function of the block's number and its
    /// [fork](Block::fork). `logs` must return equal logs for equal arguments, so that tests can
    /// compute the expected logs. It must not use the node.
    pub fn set_logs(&self, logs: impl Fn(u64, u64) -> Vec<LogSpec> + Send + Sync + 'static) {
        self.shared.world.chain().set_logs(logs);
    }

    /// Sets how many blocks the tags `safe` and `finalized` are behind the head. By default, both
    /// mean the genesis block.
    pub fn set_finality(&self, safe_depth: u64, finalized_depth: u64) {
        self.shared.world.chain().set_finality(Finality {
            safe_depth,
            finalized_depth,
        });
    }

    /// Leaves this many numbers without a block before the next block, as Filecoin does for a round
    /// without one.
    pub fn skip(&self, numbers: u64) {
        self.shared.world.chain().skip(numbers);
    }

    /// Mines `blocks` blocks, and announces each to the subscribers of `newHeads`.
    pub fn mine(&self, blocks: u64) -> Vec<Block> {
        self.shared.world.grow(Announce::Yes, |chain| chain.mine(blocks))
    }

    /// Mines `blocks` blocks without announcing them.
    pub fn mine_unannounced(&self, blocks: u64) -> Vec<Block> {
        self.shared.world.grow(Announce::No, |chain| chain.mine(blocks))
    }

    /// Replaces the newest `depth` blocks with `new_blocks` other blocks, and announces the new
    /// ones.
    ///
    /// # Panics
    ///
    /// If it would replace the genesis block.
    pub fn reorg(&self, depth: u64, new_blocks: u64) -> Vec<Block> {
        let reorg = |chain: &mut Chain| chain.reorg(depth, new_blocks);
        self.shared.world.grow(Announce::Yes, reorg)
    }

    /// Replaces the newest `depth` blocks with `new_blocks` other blocks, without announcing them.
    ///
    /// # Panics
    ///
    /// If it would replace the genesis block.
    pub fn reorg_unannounced(&self, depth: u64, new_blocks: u64) -> Vec<Block> {
        let reorg = |chain: &mut Chain| chain.reorg(depth, new_blocks);
        self.shared.world.grow(Announce::No, reorg)
    }

    /// Sends a block's header to the subscribers of `newHeads`, even if it is not the head.
    pub fn announce(&self, block: &Block) {
        let faults = self.shared.with(|state| state.header_faults);
        self.shared.announce(block, faults);
    }

    /// Sends any value to the subscribers of `newHeads`.
    pub fn announce_raw(&self, header: &Value) {
        self.shared.announce_raw(header.to_string());
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

    /// Listens again on its port, which the node also holds after [`stop`](Self::stop).
    ///
    /// # Panics
    ///
    /// If the system refuses the port.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = self.port.listen().expect("the node's own port");
        self.server = Some(server::start(listener, &self.shared));
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("port", &self.port.number())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.hang_up();
    }
}
