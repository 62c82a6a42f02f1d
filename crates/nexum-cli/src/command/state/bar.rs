//! The progress of a long command.

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::bars::BARS;

/// A bar on a terminal with the number of rows that were read or written. Dropping it removes the
/// bar.
pub(crate) struct Rows(ProgressBar);

/// The content of the bar when the total is known, and when it is not.
const ROWS_OF: &str = "{msg} {bar:30} {percent:>3}% {human_pos}/{human_len} rows, {per_sec}, {eta} left";
const ROWS: &str = "{msg} {human_pos} rows, {per_sec}, {elapsed}";

impl Rows {
    /// A bar with a label, such as the name of the task.
    pub(crate) fn new(what: String) -> Self {
        let bar = BARS.add(ProgressBar::no_length());
        Self(bar.with_style(style(ROWS)).with_message(what))
    }

    /// Sets the number of rows so far, and the approximate total. 0 is an unknown total.
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
