//! The size of a module's state.

use serde::{Deserialize, Serialize};

/// The size of a module's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The number of keys.
    pub keys: u64,
    /// The size of all keys and values, in bytes.
    pub bytes: u64,
}

/// The largest state that a cache reads as a whole: a moment of a network, and a small part of the memory.
const SMALL: Usage = Usage {
    keys: 16_384,
    bytes: 1 << 20,
};

impl Usage {
    /// Whether a cache may have all keys of the module.
    pub(super) fn is_small(self) -> bool {
        self.keys <= SMALL.keys && self.bytes <= SMALL.bytes
    }

    /// The size after an entry of `old` bytes becomes one of `new` bytes. `None` stands for no entry.
    pub(crate) fn after(self, old: Option<u64>, new: Option<u64>) -> Self {
        let keys = self.keys.saturating_sub(old.is_some().into());
        let bytes = self.bytes.saturating_sub(old.unwrap_or(0));
        Self {
            keys: keys.saturating_add(new.is_some().into()),
            bytes: bytes.saturating_add(new.unwrap_or(0)),
        }
    }
}
