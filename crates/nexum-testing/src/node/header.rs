//! Headers with wrong fields about a block's logs.

use alloy_primitives::{B256, Bloom, BloomInput};
use serde_json::{Value, json};

use super::block::Block;

/// The bloom that a node shows for a block with logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blooms {
    /// The bloom of the block's logs.
    #[default]
    True,
    /// The empty bloom.
    Empty,
    /// A bloom that has nothing to do with the block.
    Unrelated,
    /// The bloom of the block's first log alone.
    OfFirstLog,
    /// `0x`, which is no bloom.
    Unreadable,
}

/// The faults of a node's headers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeaderFaults {
    pub(super) blooms: Blooms,
    pub(super) false_receipts_roots: bool,
    /// Whether headers that are announced have another hash than the blocks have.
    pub(super) other_hashes: bool,
}

impl HeaderFaults {
    /// The block as JSON-RPC shows it, with these faults.
    pub(super) fn show(self, block: &Block) -> Value {
        let mut header = block.to_json();
        if block.logs().is_empty() {
            return header;
        }
        if let Some(bloom) = self.blooms.of(block) {
            header["logsBloom"] = bloom;
        }
        if self.false_receipts_roots {
            header["receiptsRoot"] = json!(B256::ZERO);
        }
        header
    }
}

impl Blooms {
    /// The bloom in place of the true one.
    fn of(self, block: &Block) -> Option<Value> {
        let mut bloom = Bloom::ZERO;
        match self {
            Self::True => return None,
            Self::Unreadable => return Some(json!("0x")),
            Self::Empty => {}
            Self::Unrelated => bloom.accrue(BloomInput::Raw(&block.hash)),
            Self::OfFirstLog => {
                let first = block.logs().first()?;
                bloom.accrue_raw_log(first.address, &first.topics);
            }
        }
        Some(json!(bloom))
    }
}
