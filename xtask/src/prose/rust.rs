//! The prose of a Rust source: its comments, and its string literals with spaces.

use std::{iter::Peekable, str::Chars};

use super::{BREAK, GAP, markdown};

/// The start of the unit tests in a source. Their string literals are test data.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// The comments of the source, and its string literals outside of unit tests, with all line breaks.
pub(super) fn prose(source: &str) -> String {
    let (source, tests) = source.split_at(source.find(TESTS).unwrap_or(source.len()));
    reduce(source, true) + &comments(tests)
}

/// The comments of the source, as [`prose`] reduces them.
pub(super) fn comments(source: &str) -> String {
    reduce(source, false)
}

fn reduce(source: &str, with_literals: bool) -> String {
    let mut prose = String::with_capacity(source.len());
    let mut rest = source.chars().peekable();
    let (mut run, mut marker) = (String::new(), "");
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                let (next, text) = comment(&mut rest);
                if next != marker {
                    flush(&mut prose, &mut run);
                    marker = next;
                }
                run.push_str(&text);
                run.push(BREAK);
            }
            '\n' if !run.is_empty() => {
                // The next line may continue the comment.
                if run.ends_with(BREAK) {
                    run.pop();
                }
                run.push('\n');
            }
            c if c.is_whitespace() && !run.is_empty() => {}
            c => {
                flush(&mut prose, &mut run);
                code(c, &mut rest, &mut prose, with_literals);
            }
        }
    }
    flush(&mut prose, &mut run);
    prose
}

/// Reads a comment after its first `/`, up to the end of its line. Returns the rest of its marker,
/// and its text.
fn comment(rest: &mut Peekable<Chars<'_>>) -> (&'static str, String) {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        text.push(c);
    }
    let marker = if text.starts_with("//") {
        "//"
    } else if text.starts_with("/!") {
        "/!"
    } else {
        "/"
    };
    let text = text.split_off(marker.len());
    (marker, text)
}

/// Adds a run of comments with one marker, which is Markdown.
fn flush(prose: &mut String, run: &mut String) {
    if run.is_empty() {
        return;
    }
    let has_end = run.ends_with('\n');
    let text = markdown::prose(run.trim_end_matches(BREAK));
    prose.push(BREAK);
    prose.push_str(if has_end { &text } else { text.trim_end_matches('\n') });
    prose.push(BREAK);
    run.clear();
}

/// Reads code from the character `c` on: a string literal becomes prose if `with_literals`, other
/// code becomes its line breaks.
fn code(c: char, rest: &mut Peekable<Chars<'_>>, prose: &mut String, with_literals: bool) {
    match c {
        '\n' => prose.push('\n'),
        '"' => literal(rest, None, prose, with_literals),
        '\'' => character(rest),
        c if c.is_alphanumeric() || c == '_' => {
            let mut word = String::from(c);
            while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
            if matches!(word.as_str(), "r" | "br") {
                let mut hashes = 0;
                while rest.next_if_eq(&'#').is_some() {
                    hashes += 1;
                }
                // Without a quotation mark, this is a raw identifier.
                if rest.next_if_eq(&'"').is_some() {
                    literal(rest, Some(hashes), prose, with_literals);
                }
            }
        }
        _ => {}
    }
}

/// Skips a character, or the quotation mark of a lifetime.
fn character(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    match (ahead.next(), ahead.next()) {
        (Some('\\'), _) => {
            rest.next();
            rest.next();
            rest.by_ref().find(|c| *c == '\'');
        }
        (Some(_), Some('\'')) => drop(rest.nth(1)),
        _ => {}
    }
}

/// Reads a literal after its first quotation mark. `raw` is the number of `#` of a raw literal. Adds
/// only its line breaks if it is not prose, or without `with_literals`.
fn literal(rest: &mut Peekable<Chars<'_>>, raw: Option<usize>, prose: &mut String, with_literals: bool) {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match (c, raw) {
            ('"', None) => break,
            ('"', Some(hashes)) => {
                let mut ahead = rest.clone();
                if (0..hashes).all(|_| ahead.next() == Some('#')) {
                    *rest = ahead;
                    break;
                }
                text.push(c);
            }
            ('\\', None) => match rest.next() {
                Some('\n') => text.push('\n'),
                Some('n') => text.push(BREAK),
                _ => text.push(GAP),
            },
            ('{', _) => {
                text.push(GAP);
                while rest.next_if(|c| !matches!(c, '}' | '"' | '\n')).is_some() {}
                rest.next_if_eq(&'}');
            }
            ('`', _) => {
                text.push(GAP);
                while rest.next_if(|c| !matches!(c, '`' | '"' | '\n')).is_some() {}
                rest.next_if_eq(&'`');
            }
            (c, _) => text.push(c),
        }
    }
    let is_prose = with_literals && text.trim().contains(char::is_whitespace);
    let kept = |c: char| is_prose || c == '\n';
    prose.push(BREAK);
    prose.extend(text.chars().filter(|c| kept(*c)));
    prose.push(BREAK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::find;

    fn found(source: &str) -> Vec<(usize, &'static str)> {
        let found = find(&prose(source)).into_iter();
        found.map(|(line, (phrase, _))| (line, phrase)).collect()
    }

    #[test]
    fn finds_words_in_literals_and_comments() {
        let source = "/// Starts\n/// anew.\nfn a() {\n    b(\"it is \\\n       told\", r#\"\"nobody\" asks\"#); // anew\n}\n//! Who asks?\n";
        assert_eq!(
            found(source),
            [(2, "anew"), (4, "is told"), (5, "nobody"), (5, "anew"), (7, "who")]
        );
        assert_eq!(found("//! a\n\n\n/// anew\n\n\"all anew\""), [(4, "anew"), (6, "anew")]);
        assert_eq!(found("f(\"a {\n}\");\n// anew"), [(3, "anew")]);
    }

    #[test]
    fn comments_are_without_literals_and_keep_their_lines() {
        let source = "/// Starts\n/// anew.\nfn a() {\n    b(\"all anew\"); // nobody\n}\n//! Who asks?\n";
        let found: Vec<_> = find(&comments(source))
            .into_iter()
            .map(|(line, (phrase, _))| (line, phrase))
            .collect();
        assert_eq!(found, [(2, "anew"), (4, "nobody"), (6, "who")]);
    }

    #[test]
    fn leaves_code_and_the_literals_of_tests_out() {
        let source = "let anew = 'a';\nlet b: &'static str = \"anew\";\nf('\"', '\\'', \"`anew` x {anew} y\");\n\
                      /// `anew` here\nfn r#anew() {}\n#[cfg(test)]\nmod tests {\n    // nobody\n    f(\"all anew\");\n}\n";
        assert_eq!(found(source), [(8, "nobody")]);
    }

    #[test]
    fn reads_raw_literals_up_to_their_hashes() {
        let source = "f(br#\"all \" anew\"#);\nlet nobody = r\"a \\\";\n\"it is told\"";
        assert_eq!(found(source), [(1, "anew"), (3, "is told")]);
    }

    #[test]
    fn a_comment_ends_one_with_another_marker() {
        assert_eq!(
            found("/// It is\n// code\n/// told\nfn a() {}\n// anew\nlet b = \"all anew\";"),
            [(5, "anew"), (6, "anew")]
        );
        assert_eq!(found("// It is\n// told\n//! anew"), [(1, "is told"), (3, "anew")]);
    }
}
