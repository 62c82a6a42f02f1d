//! Shows the lines: in place on a terminal, otherwise each when it changes.

use std::io::{self, IsTerminal as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::row::{HEADER, Row};

/// A line, which ends where the terminal ends, so that it never wraps.
const LINE: &str = "{wide_msg}";

/// The lines of the demo.
pub(crate) enum Screen {
    /// Lines that are drawn again in place.
    Terminal {
        bars: MultiProgress,
        lines: Vec<ProgressBar>,
        has_colors: bool,
    },
    /// The facts of each line that was printed last.
    Plain(Vec<String>),
}

impl Screen {
    pub(crate) fn new() -> Self {
        if !io::stdout().is_terminal() {
            return Self::Plain(Vec::new());
        }
        Self::Terminal {
            // Hidden until all lines exist, so that the first picture has them all.
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            lines: Vec::new(),
            has_colors: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        }
    }

    pub(crate) fn show(&mut self, block: u64, rows: &[Row], status: &str) {
        match self {
            Self::Terminal {
                bars,
                lines,
                has_colors,
            } => {
                let paint = |style: Style, text: &str| match has_colors {
                    true => format!("{style}{text}{style:#}"),
                    false => text.to_owned(),
                };
                let mut texts = vec![paint(Style::new().bold(), HEADER)];
                for row in rows {
                    let text = format!("{}  {}  {}", row.facts, row.times, row.why);
                    texts.push(paint(row.style, &text));
                }
                texts.push(paint(Style::new().bold(), status));
                let is_first = lines.is_empty();
                lines.resize_with(texts.len(), || bars.add(ProgressBar::no_length().with_style(style())));
                for (line, text) in lines.iter().zip(texts) {
                    line.set_message(text);
                }
                if is_first {
                    bars.set_draw_target(ProgressDrawTarget::stdout());
                    lines.iter().for_each(ProgressBar::tick);
                }
            }
            Self::Plain(printed) => {
                if printed.is_empty() {
                    println!("BLOCK  {HEADER}");
                }
                printed.resize_with(rows.len(), String::new);
                for (row, printed) in rows.iter().zip(printed) {
                    let facts = format!("{}  {}", row.facts, row.why);
                    if *printed != facts {
                        println!("{block:>5}  {}  {}  {}", row.facts, row.times, row.why);
                        *printed = facts;
                    }
                }
            }
        }
    }

    /// Leaves the last lines on the terminal.
    pub(crate) fn end(&self) {
        if let Self::Terminal { lines, .. } = self {
            lines.iter().for_each(ProgressBar::abandon);
        }
    }
}

/// The style of a line. The template is a constant, so the default style never appears.
fn style() -> ProgressStyle {
    ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar())
}
