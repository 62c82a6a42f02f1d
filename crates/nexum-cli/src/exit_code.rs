//! How the process ends.

/// Told to stop, and did.
pub(crate) const STOPPED: u8 = 0;
/// Failed while running.
pub(crate) const FAILED: u8 = 1;
/// Refused to start.
pub(crate) const REFUSED: u8 = 2;
/// A command trapped, or was ended by a limit.
#[cfg(feature = "runtime")]
pub(crate) const TRAPPED: u8 = 3;
