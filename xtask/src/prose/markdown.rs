//! The prose of a Markdown page.

use super::{BREAK, GAP};

/// The page with its line breaks, without code blocks, code spans and the targets of links.
pub(super) fn prose(page: &str) -> String {
    let mut prose = String::with_capacity(page.len());
    let mut fence = None;
    let mut in_span = false;
    for line in page.lines() {
        let text = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| text.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let starts_block = text.is_empty() || text.starts_with(['#', '|', '-', '*', '>']) || is_numbered(text);
                if starts_block {
                    prose.push(BREAK);
                    in_span = false;
                }
                push(&mut prose, line, &mut in_span);
            }
        }
        if marker.is_some() {
            prose.push(BREAK);
        }
        prose.push('\n');
    }
    prose
}

/// Whether the text begins as an item of a numbered list does.
fn is_numbered(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with(". ")
}

/// Adds a line. A code span may continue on the next line, and `in_span` says whether it does.
fn push(prose: &mut String, line: &str, in_span: &mut bool) {
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '`' => {
                *in_span = !*in_span;
                prose.push(GAP);
            }
            _ if *in_span => {}
            // Marks of emphasis do not separate words.
            '*' => {}
            '|' => prose.push(BREAK),
            ']' if rest.peek() == Some(&'(') => {
                rest.by_ref().find(|c| *c == ')');
            }
            c => prose.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::find;

    fn found(page: &str) -> Vec<(usize, &'static str)> {
        let found = find(&prose(page)).into_iter();
        found.map(|(line, (phrase, _))| (line, phrase)).collect()
    }

    #[test]
    fn leaves_code_and_the_targets_of_links_out() {
        let page =
            "`nobody` and [a page](anew.md), a `span\nwhoever` here\n\n```sh\n# anew\n```\n\n  ~~~\n```\nanew\n  ~~~\n";
        assert_eq!(found(page), []);
    }

    #[test]
    fn finds_words_in_headings_lists_tables_and_link_texts() {
        let page = "# What runs\n\n- Who\n- [anew](a.md)\n\n| a | What b | what |\n|---|---|\n\n2. Those\n\n**no**body is *told*\n";
        assert_eq!(
            found(page),
            [
                (1, "what"),
                (3, "who"),
                (4, "anew"),
                (6, "what"),
                (9, "those"),
                (11, "nobody"),
                (11, "is told")
            ]
        );
    }

    #[test]
    fn a_code_span_that_is_not_closed_ends_with_its_paragraph() {
        assert_eq!(found("a ` b\n\nanew\n"), [(3, "anew")]);
    }
}
