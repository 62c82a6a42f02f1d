//! The exit codes of the process.

/// nexum ended as requested.
pub(crate) const STOPPED: u8 = 0;
/// nexum failed while running.
pub(crate) const FAILED: u8 = 1;
/// nexum refused to start.
pub(crate) const REFUSED: u8 = 2;
/// A command trapped, or a limit ended it.
#[cfg(feature = "runtime")]
pub(crate) const TRAPPED: u8 = 3;
