//! The exit codes of the process.

/// nexum ended as requested.
pub(crate) const STOPPED: u8 = 0;
/// nexum failed while running, or a compiler failed.
pub(crate) const FAILED: u8 = 1;
/// nexum refused to start.
pub(crate) const REFUSED: u8 = 2;
/// A signal ended a command for authors.
#[cfg(feature = "author")]
pub(crate) const INTERRUPTED: u8 = 130;
/// A command trapped, or a limit ended it.
#[cfg(feature = "runtime")]
pub(crate) const TRAPPED: u8 = 3;
/// nexum ended as requested, and abandoned events at the deadline of its shutdown. It handles them at
/// the next start.
#[cfg(feature = "runtime")]
pub(crate) const ABANDONED: u8 = 4;

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::*;

    #[test]
    fn the_service_knows_the_exit_codes() {
        let unit = include_str!("../../../packaging/systemd/nexum.service");
        let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        assert_eq!(value("RestartPreventExitStatus"), Some(REFUSED.to_string().as_str()));
        assert_eq!(value("SuccessExitStatus"), Some(ABANDONED.to_string().as_str()));
    }
}
