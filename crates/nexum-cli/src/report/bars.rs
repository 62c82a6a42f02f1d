//! Bars on a terminal, and the log beside them.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressDrawTarget};

/// The bars of this process. They are on stderr, below the log.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    MultiProgress::with_draw_target(target)
});

/// Writes to stderr without breaking the bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StderrAboveBars;

impl Write for StderrAboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match BARS.is_hidden() {
            true => io::stderr().write(bytes),
            false => BARS.suspend(|| io::stderr().write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
