//! The files in the pages for authors.

use std::path::Path;

use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_config::manifest::Manifest;

/// The snippets in TOML of a page of `docs/`.
fn snippets(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let page = std::fs::read_to_string(path).unwrap();
    let snippets = page.split("\n```toml\n").skip(1);
    snippets
        .map(|rest| rest.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// The first line of a snippet names its file.
#[test]
fn the_snippets_for_authors_are_valid_files() {
    for page in ["getting-started.md", "writing-modules.md"] {
        let snippets = snippets(page);
        assert!(!snippets.is_empty(), "{page}");
        snippets.iter().for_each(|snippet| check(snippet));
    }
}

fn check(snippet: &str) {
    match snippet.lines().next() {
        Some("# nexum.toml") => {
            Manifest::parse(Path::new("nexum.toml"), snippet.as_bytes()).expect(snippet);
        }
        Some("# engine.toml") => {
            let closed = Environment::closed();
            Config::parse(Path::new("engine.toml"), snippet.as_bytes(), &closed).expect(snippet);
        }
        _ => panic!("the snippet names no file: {snippet}"),
    }
}
