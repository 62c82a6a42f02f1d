//! Texts of a fixed width, numbers for people, and lines of blocks.

use std::collections::VecDeque;

use ratatui::text::Span;

/// A text that is unknown.
pub(super) const UNKNOWN: &str = "-";

/// The begin of the further lines of a text.
const INDENT: &str = "      ";

/// The heights of a value in a line of blocks, lowest first.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A text with exactly so many columns of the terminal, whatever the width of its characters.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let width = |text: &str| Span::raw(text).width();
    let mut fitted = String::new();
    if width(text) <= columns {
        fitted.push_str(text);
    } else {
        let mut used = 0;
        for c in text.chars() {
            let own = width(c.encode_utf8(&mut [0; 4]));
            // The last column says that the text is cut.
            if used + own >= columns {
                break;
            }
            used += own;
            fitted.push(c);
        }
        fitted.push('~');
    }
    let used = width(&fitted);
    fitted.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    fitted
}

/// A text in lines of at most so many columns, with breaks between words. The further lines are indented.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let width = |text: &str| Span::raw(text).width();
    let words = text.trim_start();
    let mut line = text[..text.len() - words.len()].to_owned();
    let mut lines = Vec::new();
    let mut is_first = true;
    for word in words.split(' ') {
        if !is_first && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::replace(&mut line, INDENT.to_owned()));
        } else if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    lines.push(line);
    lines
}

/// A text at the right end of so many columns.
pub(super) fn right(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    let text = fitted.trim_end();
    let gap = fitted.len() - text.len();
    format!("{}{text}", " ".repeat(gap))
}

/// A value for people, or [`UNKNOWN`].
pub(super) fn or_unknown<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), shown)
}

/// Events per second.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 0.1 => "<0.1".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// A size in the largest unit of which there is one.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// The last values that fit into so many columns, as blocks whose height is the share of the largest one.
pub(super) fn spark(values: &VecDeque<f64>, columns: usize) -> String {
    let shown = values.iter().skip(values.len().saturating_sub(columns));
    let largest = shown.clone().copied().fold(0.0, f64::max);
    let block = |value: &f64| match largest > 0.0 {
        // From 0 to 7: a rate is neither negative nor above the largest.
        true => BLOCKS[((value / largest * 7.0).round() as usize).min(7)],
        false => BLOCKS[0],
    };
    shown.map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_columns_whatever_its_characters() {
        for (text, columns, expected) in [
            ("noop", 6, "noop  "),
            ("a-long-name", 6, "a-lon~"),
            ("日本語", 6, "日本語"),
            ("日本語x", 6, "日本~ "),
            ("", 2, "  "),
        ] {
            assert_eq!(fit(text, columns), expected);
        }
        assert_eq!(right("7", 3), "  7");
    }

    #[test]
    fn a_long_text_has_several_lines() {
        assert_eq!(wrapped("one two three", 20), ["one two three"]);
        assert_eq!(wrapped("  one two three", 9), ["  one two", "      three"]);
    }

    #[test]
    fn blocks_have_the_height_of_their_share() {
        let values = VecDeque::from([9.0, 0.0, 1.0, 2.0]);
        assert_eq!(spark(&values, 3), "▁▅█");
        assert_eq!(spark(&VecDeque::from([0.0, 0.0]), 3), "▁▁");
    }
}
