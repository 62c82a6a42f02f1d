//! The code of `docs/writing-modules.md`. Each snippet of the page is an excerpt of a file in `book/`,
//! so that the compiler and the tests read it.

mod effects;
mod events;
mod reads;
mod settings;
mod state;
mod testing;

use std::path::Path;

/// The path of the page in the crate.
const PAGE: &str = "../../docs/writing-modules.md";

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
fn each_snippet_of_the_page_is_compiled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(path).expect("the page");
    let code = CODE.map(lines);
    let is_compiled = |snippet: &str| {
        let snippet = lines(snippet);
        code.iter()
            .any(|code| code.windows(snippet.len()).any(|excerpt| excerpt == snippet))
    };
    let unknown: Vec<_> = snippets(&page).filter(|snippet| !is_compiled(snippet)).collect();
    assert!(unknown.is_empty(), "in no file of tests/it/book: {unknown:#?}");
    assert!(snippets(&page).count() >= 10, "the page has snippets");
}
