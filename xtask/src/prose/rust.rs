//! The prose of a Rust source: its doc comments, and its string literals with spaces.

use std::{iter::Peekable, str::Chars};

use super::{BREAK, GAP, markdown};

/// The start of the unit tests in a source. The check ends there.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// The source with its line breaks, without code, ordinary comments and unit tests.
pub(super) fn prose(source: &str) -> String {
    reduce(source, true)
}

/// The string literals of the source, as [`prose`] reduces them: the texts that a user of the program reads.
pub(super) fn literals(source: &str) -> String {
    reduce(source, false)
}

fn reduce(source: &str, with_docs: bool) -> String {
    let source = source.split(TESTS).next().unwrap_or_default();
    let mut prose = String::with_capacity(source.len());
    let mut rest = source.chars().peekable();
    let mut doc = String::new();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => comment(&mut rest, &mut doc),
            '\n' if !doc.is_empty() => {
                // The next line may continue the comment.
                if doc.ends_with(BREAK) {
                    doc.pop();
                }
                doc.push('\n');
            }
            c if c.is_whitespace() && !doc.is_empty() => {}
            c => {
                flush(&mut prose, &mut doc, with_docs);
                code(c, &mut rest, &mut prose);
            }
        }
    }
    flush(&mut prose, &mut doc, with_docs);
    prose
}

/// Reads a comment up to the end of its line. Adds a doc comment to `doc`, with a mark at its end.
fn comment(rest: &mut Peekable<Chars<'_>>, doc: &mut String) {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        text.push(c);
    }
    match text.strip_prefix("//").or_else(|| text.strip_prefix("/!")) {
        Some(text) => doc.push_str(text),
        None => doc.push(BREAK),
    }
    doc.push(BREAK);
}

/// Adds a run of doc comments, which is Markdown, or only its line breaks.
fn flush(prose: &mut String, doc: &mut String, with_docs: bool) {
    if !with_docs {
        doc.retain(|c| c == '\n');
        prose.push_str(doc);
        doc.clear();
    } else if !doc.is_empty() {
        let has_end = doc.ends_with('\n');
        let text = markdown::prose(doc.trim_end_matches(BREAK));
        prose.push(BREAK);
        prose.push_str(if has_end { &text } else { text.trim_end_matches('\n') });
        prose.push(BREAK);
        doc.clear();
    }
}

/// Reads code from the character `c` on: a string literal becomes prose, other code becomes its
/// line breaks.
fn code(c: char, rest: &mut Peekable<Chars<'_>>, prose: &mut String) {
    match c {
        '\n' => prose.push('\n'),
        '"' => literal(rest, None, prose),
        'r' if matches!(rest.peek(), Some('"' | '#')) => {
            let mut hashes = 0;
            while rest.next_if_eq(&'#').is_some() {
                hashes += 1;
            }
            // Without a quotation mark, this is a raw identifier.
            if rest.next_if_eq(&'"').is_some() {
                literal(rest, Some(hashes), prose);
            }
        }
        '\'' => character(rest),
        c if c.is_alphanumeric() || c == '_' => {
            // The end of a name is not a prefix of a literal.
            while rest.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {}
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

/// Reads a literal after its first quotation mark. `raw` is the number of `#` of a raw literal.
fn literal(rest: &mut Peekable<Chars<'_>>, raw: Option<usize>, prose: &mut String) {
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
                while rest.next_if(|c| !matches!(c, '}' | '"')).is_some() {}
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
    let is_prose = text.trim().contains(char::is_whitespace);
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
    fn finds_words_in_literals_and_doc_comments() {
        let source = "/// Starts\n/// anew.\nfn a() {\n    b(\"it is \\\n       told\", r#\"\"nobody\" asks\"#);\n}\n//! Who asks?\n";
        assert_eq!(found(source), [(2, "anew"), (4, "is told"), (5, "nobody"), (7, "who")]);
        assert_eq!(found("//! a\n\n\n/// anew\n\n\"all anew\""), [(4, "anew"), (6, "anew")]);
    }

    #[test]
    fn literals_are_without_doc_comments_and_keep_their_lines() {
        let source = "/// Starts\n/// anew.\nfn a() {\n    b(\"all anew\");\n}\n//! Who asks?\n";
        let found: Vec<_> = find(&literals(source))
            .into_iter()
            .map(|(line, (phrase, _))| (line, phrase))
            .collect();
        assert_eq!(found, [(4, "anew")]);
    }

    #[test]
    fn leaves_code_comments_and_tests_out() {
        let source = "// anew\nlet anew = 'a'; // nobody\nlet b: &'static str = \"anew\";\nf('\"', '\\'', \"`anew` x {anew} y\");\n\
                      /// `anew` here\nfn r#anew() {}\n#[cfg(test)]\nmod tests {\n    //! anew\n}\n";
        assert_eq!(found(source), []);
    }

    #[test]
    fn a_comment_that_is_no_documentation_ends_one_that_is() {
        assert_eq!(
            found("/// It is\n// code\n/// told\nfn a() {}\n// anew\nlet b = \"all anew\";"),
            [(6, "anew")]
        );
    }
}
