//! Bars on a terminal, and the log beside them.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;

use indicatif::{HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with a text, which ends where the terminal ends. So a line never wraps.
const OF_KNOWN_LENGTH: &str = "{bar:16} {percent:>3}% {wide_msg}";

/// The text of a work without a known end.
const OF_UNKNOWN_LENGTH: &str = "{wide_msg}";

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

/// How far a work has come, on a terminal. The line is gone when this is.
pub(crate) struct Progress {
    bar: ProgressBar,
    subject: String,
    unit: &'static str,
}

impl Progress {
    /// A line about this subject, which counts in this unit.
    pub(crate) fn new(subject: String, unit: &'static str) -> Self {
        Self::on(&BARS, subject, unit)
    }

    fn on(bars: &MultiProgress, subject: String, unit: &'static str) -> Self {
        let bar = bars.add(ProgressBar::no_length().with_style(style(OF_UNKNOWN_LENGTH)));
        Self { bar, subject, unit }
    }

    /// Shows that `at` of `of` units are done, or of an unknown number if `of` is 0.
    pub(crate) fn reached(&self, at: u64, of: u64) {
        let Self { bar, subject, unit } = self;
        if of > 0 && bar.length().is_none() {
            bar.set_style(style(OF_KNOWN_LENGTH));
        }
        if of > 0 {
            bar.set_length(of);
        }
        bar.set_position(at);
        let (done, rate) = (HumanCount(at), bar.per_sec());
        // The text begins with its most important part, because a narrow terminal cuts its end.
        bar.set_message(match bar.length() {
            Some(of) => {
                let (left, of) = (HumanDuration(bar.eta()), HumanCount(of));
                format!("{subject}: {left:#} left, {done} of {of} {unit}, {rate:.0}/s")
            }
            None => {
                let elapsed = HumanDuration(bar.elapsed());
                format!("{subject}: {done} {unit}, {elapsed:#}, {rate:.0}/s")
            }
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The style of a template. The templates are constants, so the default style never appears.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::TermLike;
    use parking_lot::Mutex;

    use super::*;

    /// A terminal that records each line.
    #[derive(Clone, Debug)]
    struct Terminal {
        width: u16,
        lines: Arc<Mutex<Vec<String>>>,
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            self.width
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.lines.lock().push(text.to_owned());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The last line with the subject, on a terminal of this width. No line is wider than the terminal.
    fn drawn(width: u16, subject: &str, at: u64, of: u64) -> String {
        let lines = Arc::default();
        let terminal = Terminal {
            width,
            lines: Arc::clone(&lines),
        };
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(terminal)));
        let progress = Progress::on(&bars, subject.to_owned(), "blocks");
        progress.reached(at, of);
        progress.bar.force_draw();
        let lines = lines.lock().clone();
        for line in &lines {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line:?}");
        }
        let begin: String = subject.chars().take(5).collect();
        let last = lines.iter().rev().find(|line| line.contains(&begin));
        last.expect("a line").clone()
    }

    #[test]
    fn a_line_fits_the_terminal() {
        for width in [200, 80, 60, 40, 30] {
            let long = "a-module-with-a-long-name 11155111@finalized";
            drawn(width, long, 123_456_789, 987_654_321);
            drawn(width, long, 123_456_789, 0);
        }
        let line = drawn(80, "noop 11155111", 250, 1_000);
        assert!(line.contains(" 25% noop 11155111: "), "{line:?}");
        assert!(line.contains(" left, 250 of 1,000 blocks"), "{line:?}");
        let line = drawn(80, "exporting", 1_250, 0);
        assert!(line.contains("exporting: 1,250 blocks, "), "{line:?}");
    }
}
