//! The stages of a module's life.

use std::fmt;

/// The stage of a module's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The module's first `init` has not returned yet.
    Starting,
    /// The module handles new events.
    Running,
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
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Replaying,
        Self::Backoff,
        Self::Stalled,
        Self::Dead,
        Self::Stopped,
    ];

    /// The stage's name, in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Replaying => "replaying",
            Self::Backoff => "backoff",
            Self::Stalled => "stalled",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
