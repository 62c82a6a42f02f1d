//! What a command may use.

use std::num::NonZeroU64;
use std::time::Duration;

use nexum_config::limits::{self, Limit};

/// How much memory a command has unless somebody says otherwise: enough for an interpreter with its program, and for several
/// commands beside each other on a small machine.
pub const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;

/// What a command may use. By default a command that works, and may be a service that runs for months, is not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel, each about one WebAssembly instruction. Default: no bound.
    pub fuel: Option<NonZeroU64>,
    /// Bytes of all linear memories together. Default: [`MEMORY_BYTES_DEFAULT`].
    pub memory_bytes: u64,
    /// How long it may run, from when it is entered, waiting included. Default: no bound.
    pub deadline: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: None,
            memory_bytes: MEMORY_BYTES_DEFAULT,
            deadline: None,
        }
    }
}

impl Limits {
    /// The bounds that hold inside the store; tables and instances are bounded as those of any module.
    pub(crate) fn of_store(&self) -> limits::Limits {
        limits::Limits::default().with(Limit::Memory, self.memory_bytes)
    }
}
