//! For tests: pages of `docs/` that the program can make.

use std::path::Path;

/// The environment variable with which `insta` rewrites its snapshots. It rewrites these pages too.
const UPDATE: &str = "INSTA_UPDATE";

/// Asserts that a page of `docs/` has this text.
pub(crate) fn is_kept(page: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(page);
    if std::env::var_os(UPDATE).is_some_and(|update| update == "always") {
        let written = std::fs::write(&path, text);
        assert!(written.is_ok(), "cannot write {}: {written:?}", path.display());
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    // The whole texts are too long to read.
    let differs = kept.lines().zip(text.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == text,
        "{} differs from the program, first at {differs:?}: run the test with {UPDATE}=always",
        path.display()
    );
}
