//! The limits of a command.

use std::num::NonZeroU64;
use std::time::Duration;

use nexum_config::limits::{self, Limit};

/// Default of `memory_bytes`: enough for an interpreter with its program, and small enough for
/// several commands on a small machine.
pub const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;

/// The limits of a command. The defaults do not end a working command, which may be a service that
/// runs for months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel, each about one WebAssembly instruction. Default: no bound.
    pub fuel: Option<NonZeroU64>,
    /// Bytes of all linear memories together. Default: [`MEMORY_BYTES_DEFAULT`].
    pub memory_bytes: u64,
    /// Run time from the start of the command, including waits. Default: no bound.
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
    /// The limits inside the store. Tables and instances have the default limits of a module.
    pub(crate) fn of_store(&self) -> limits::Limits {
        limits::Limits::default().with(Limit::Memory, self.memory_bytes)
    }
}
