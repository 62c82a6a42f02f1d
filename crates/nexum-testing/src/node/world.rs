//! A chain, and the nodes that serve it.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::block::Block;
use super::chain::Chain;

/// Whether subscribers receive new blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Announce {
    Yes,
    No,
}

/// A node, as the chain that it serves knows it.
pub(super) trait Follower: Send + Sync {
    /// Catches up with the chain, which has grown. The caller holds none of the world's locks.
    fn follow(&self, announce: Announce);
}

/// Locks are taken in the order: a node's state, the chain.
pub(super) struct World {
    chain: Mutex<Chain>,
    nodes: Mutex<Vec<Weak<dyn Follower>>>,
}

impl World {
    pub(super) fn new(chain: Chain) -> Arc<Self> {
        Arc::new(Self {
            chain: Mutex::new(chain),
            nodes: Mutex::default(),
        })
    }

    pub(super) fn join(&self, node: Weak<dyn Follower>) {
        let mut nodes = self.nodes.lock();
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(node);
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock()
    }

    /// Extends the chain, and then updates every node.
    pub(super) fn grow(&self, announce: Announce, grow: impl FnOnce(&mut Chain) -> Vec<Block>) -> Vec<Block> {
        let mined = grow(&mut self.chain());
        let nodes = self.nodes.lock().clone();
        for node in nodes.iter().filter_map(Weak::upgrade) {
            node.follow(announce);
        }
        mined
    }
}
