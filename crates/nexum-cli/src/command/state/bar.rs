//! How far a long command is.

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::bars::BARS;

/// A bar that says how many rows were read or written, on a terminal. It is gone when this is.
pub(crate) struct Rows(ProgressBar);

/// What it shows where it is known how many there are, and where not.
const ROWS_OF: &str = "{msg} {bar:30} {percent:>3}% {human_pos}/{human_len} rows, {per_sec}, {eta} left";
const ROWS: &str = "{msg} {human_pos} rows, {per_sec}, {elapsed}";

impl Rows {
    /// A line that begins with what is done.
    pub(crate) fn new(what: String) -> Self {
        let bar = BARS.add(ProgressBar::no_length());
        Self(bar.with_style(style(ROWS)).with_message(what))
    }

    /// So many rows by now, of about so many; none of which is known is 0.
    pub(crate) fn reached(&mut self, rows: u64, of: u64) {
        if of > 0 && self.0.length().is_none() {
            self.0.set_style(style(ROWS_OF));
            self.0.set_length(of);
        }
        self.0.set_position(rows);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
