//! Text from guests, component files and servers, made safe for terminals and logs.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes every character that could move a terminal's cursor, reorder the text, or begin a line.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_hostile(c) || c == '\n')
}

/// Escapes as [`harmless`], but keeps line breaks, and begins each line after the first with `indent`, so that no line passes for one
/// of the host's own.
pub fn harmless_lines<'a>(text: &'a str, indent: &str) -> Cow<'a, str> {
    match escaped(text, is_hostile) {
        text if indent.is_empty() || !text.contains('\n') => text,
        text => Cow::Owned(text.replace('\n', &format!("\n{indent}"))),
    }
}

/// Escapes as [`harmless`] in JSON over one or more lines. The result is equal JSON: outside of strings, JSON has none of these
/// characters.
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hostile) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if is_hostile(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn escaped(text: &str, is_hostile: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        if is_hostile(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, but for tab and line feed, and the characters that separate lines or change the direction of text.
fn is_hostile(c: char) -> bool {
    let is_control = c.is_control() && c != '\n' && c != '\t';
    is_control
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_moves_a_terminal_or_reorders_text() {
        for (text, expected) in [
            ("plain\ttext, ünï", "plain\ttext, ünï"),
            ("a\u{1b}[2Jb\n", "a\\u{1b}[2Jb\\n"),
            ("bell\u{7} csi\u{9b}", "bell\\u{7} csi\\u{9b}"),
            ("cr\rlf", "cr\\rlf"),
            ("\u{202e}txt\u{2028}", "\\u{202e}txt\\u{2028}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn escapes_json_as_equal_json() {
        let value = serde_json::json!({ "a\u{9b}": ["\u{202e}x", "\u{1b}", "line\nline\t", "\u{feff}ü𝄞", "\u{7f}"] });
        let text = format!("{value:#}");
        let escaped = harmless_json(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).ok(), Some(value));
        assert!(!escaped.contains(is_hostile), "{escaped}");
        for part in ["a\\u009b", "\\u202ex", "\\u001b", "\\ufeffü𝄞", "\\u007f"] {
            assert!(escaped.contains(part), "{part} in {escaped}");
        }
        assert!(matches!(harmless_json("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn keeps_lines_apart_from_those_of_the_host() {
        assert_eq!(harmless_lines("one\ntwo\u{1b}", "    "), "one\n    two\\u{1b}");
        assert_eq!(harmless_lines("one\ntwo", ""), "one\ntwo");
    }
}
