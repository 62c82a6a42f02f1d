//! Where a module is in its life.

use std::fmt;

/// Where a module is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Its first `init` has not returned yet.
    Starting,
    /// It handles events as they come.
    Running,
    /// It handles events that it missed.
    Replaying,
    /// It has failed, and waits before it is tried again.
    Backoff,
    /// The state store has failed: it waits for that, and then goes on.
    Stalled,
    /// It has failed too often, or cannot go on.
    Dead,
    /// It was told to stop, and did.
    Stopped,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Replaying,
        Self::Backoff,
        Self::Stalled,
        Self::Dead,
        Self::Stopped,
    ];

    /// It in one word.
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
