//! Merkle trees of conditional orders.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;

use super::abi::Proof;
use super::conditional::ConditionalOrder;

/// The location of proofs that the event carries.
const EMITTED: u64 = 1;

/// A tree whose leaves are conditional orders.
#[derive(Clone, Debug)]
pub struct Tree {
    orders: Vec<ConditionalOrder>,
    /// The nodes of each level, from the leaves to the root.
    levels: Vec<Vec<B256>>,
}

impl Tree {
    /// A tree of these orders. With one order, it has no usable proof.
    ///
    /// # Panics
    ///
    /// If there is no order.
    pub fn new(orders: Vec<ConditionalOrder>) -> Self {
        assert!(!orders.is_empty(), "a tree has a leaf");
        let leaves = orders.iter().map(|order| keccak256(order.id())).collect();
        let mut levels: Vec<Vec<B256>> = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            // A node without a neighbour rises to the next level.
            let next = level.chunks(2).map(|pair| match pair {
                [a, b] => keccak256([a.min(b).0, a.max(b).0].concat()),
                _ => pair[0],
            });
            let next = next.collect();
            levels.push(next);
        }
        Self { orders, levels }
    }

    /// The leaves.
    pub fn orders(&self) -> &[ConditionalOrder] {
        &self.orders
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.levels[self.levels.len() - 1][0]
    }

    /// The proof of the leaf at this index.
    pub fn proof(&self, mut index: usize) -> Vec<B256> {
        let mut proof = Vec::new();
        for level in &self.levels {
            proof.extend(level.get(index ^ 1));
            index /= 2;
        }
        proof
    }

    /// The proofs of all leaves, as an event carries them.
    pub fn emitted(&self) -> Proof {
        let leaf = |(index, order): (usize, &ConditionalOrder)| -> Bytes {
            (self.proof(index), order.params()).abi_encode_params().into()
        };
        let leaves: Vec<_> = self.orders.iter().enumerate().map(leaf).collect();
        Proof {
            location: U256::from(EMITTED),
            data: leaves.abi_encode().into(),
        }
    }
}
