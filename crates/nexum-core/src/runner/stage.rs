//! The stages of a module's life.

use std::fmt;

/// The stage of a module's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The module's first `init` has not returned yet.
    Starting,
    /// A chain that the module requires or subscribes to cannot be read or followed now.
    WaitingForChain,
    /// The module handles new events.
    Running,
    /// The module reads new events, and is more than [`Stage::BEHIND_BLOCKS_MAX`] blocks behind.
    Behind,
    /// The module handles events that it missed.
    Replaying,
    /// The module failed, and waits before nexum retries.
    Backoff,
    /// The state store failed. The module waits for it, and then continues.
    Stalled,
    /// The module failed too often, or cannot continue.
    Dead,
    /// The operator stopped the module.
    Stopped,
    /// Another process of the installation runs the module, or none does yet.
    Standby,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 10] = [
        Self::Starting,
        Self::WaitingForChain,
        Self::Running,
        Self::Behind,
        Self::Replaying,
        Self::Backoff,
        Self::Stalled,
        Self::Dead,
        Self::Stopped,
        Self::Standby,
    ];

    /// The most blocks between the cursor and the head of a module that keeps up: three minutes of
    /// Ethereum, and four seconds of a chain with four blocks per second, which a handler with a few
    /// requests takes now and then.
    pub const BEHIND_BLOCKS_MAX: u64 = 16;

    /// The stage's name for programs, in lower case with underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::WaitingForChain => "waiting_for_chain",
            stage => stage.words(),
        }
    }

    /// The stage in words, for the operator.
    pub fn words(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::WaitingForChain => "waiting for chain",
            Self::Running => "running",
            Self::Behind => "behind",
            Self::Replaying => "replaying",
            Self::Backoff => "backoff",
            Self::Stalled => "stalled",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
            Self::Standby => "standby",
        }
    }
}

/// The stage in words.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
