//! How much a module keeps.

use serde::{Deserialize, Serialize};

/// How much a module keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many keys.
    pub keys: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
}
