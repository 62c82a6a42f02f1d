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
