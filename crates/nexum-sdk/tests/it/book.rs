//! The code of `docs/writing-modules.md` and `README.md`. Each snippet of the pages is an excerpt of a
//! file in `book/`, so that the compiler and the tests read it.

mod effects;
mod events;
mod reads;
mod settings;
mod state;
mod testing;

use std::path::Path;

/// The paths of the pages in the crate, with the least number of their snippets.
const PAGES: [(&str, usize); 2] = [("../../docs/writing-modules.md", 15), ("../../README.md", 1)];

/// The files with the code of the page.
const CODE: [&str; 6] = [
    include_str!("book/effects.rs"),
    include_str!("book/events.rs"),
    include_str!("book/reads.rs"),
    include_str!("book/settings.rs"),
    include_str!("book/state.rs"),
    include_str!("book/testing.rs"),
];

/// The lines of a text without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

/// The snippets in Rust of a page.
fn snippets(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n```rust\n").skip(1).map(|rest| {
        let (snippet, _) = rest.split_once("\n```").expect("the snippet ends");
        snippet
    })
}

#[test]
fn each_snippet_of_the_pages_is_compiled() {
    let code = CODE.map(lines);
    let is_compiled = |snippet: &str| {
        let snippet = lines(snippet);
        code.iter()
            .any(|code| code.windows(snippet.len()).any(|excerpt| excerpt == snippet))
    };
    for (page, least) in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = std::fs::read_to_string(path).expect("the page");
        let unknown: Vec<_> = snippets(&text).filter(|snippet| !is_compiled(snippet)).collect();
        assert!(unknown.is_empty(), "{page}: in no file of tests/it/book: {unknown:#?}");
        assert!(snippets(&text).count() >= least, "{page} has snippets");
    }
}
