//! The manual pages.

use std::collections::BTreeSet;

use crate::Dir;
use crate::help::{help, subcommands};

/// The names of the pages for a command and all commands below it.
fn pages(dir: &Dir, path: &[String]) -> Vec<String> {
    let own = std::iter::once("nexum".to_owned()).chain(path.iter().cloned());
    let own = format!("{}.1", own.collect::<Vec<_>>().join("-"));
    let below = subcommands(&help(dir, path, 80));
    let below = below
        .iter()
        .flat_map(|name| pages(dir, &[path, std::slice::from_ref(name)].concat()));
    std::iter::once(own).chain(below).collect()
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = Dir::new();
    let ran = dir.nexum(&["man", "new/man1"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    let written: BTreeSet<String> = std::fs::read_dir(dir.path().join("new/man1"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let wanted: BTreeSet<String> = pages(&dir, &[]).into_iter().collect();
    assert!(wanted.contains("nexum-module-load.1"), "{wanted:?}");
    assert_eq!(written, wanted);
    for name in &written {
        let page = std::fs::read_to_string(dir.path().join("new/man1").join(name)).expect("a page");
        let (title, _) = name.split_once(".1").expect("a section");
        let head = format!(
            ".TH {title} 1  \"nexum {}\" \"nexum manual\"",
            env!("CARGO_PKG_VERSION")
        );
        assert!(page.contains(&head), "{name}: {page}");
    }
    let run = std::fs::read_to_string(dir.path().join("new/man1/nexum-run.1")).expect("a page");
    let example = "\n.nf\nExamples:\n  nexum run                            run the modules of ./engine.toml\n";
    assert!(run.contains(example), "{run}");
    let page = dir.nexum(&["man"]);
    let own = std::fs::read_to_string(dir.path().join("new/man1/nexum.1")).expect("a page");
    assert_eq!((page.code, page.stdout), (Some(0), own));
}

#[test]
fn a_directory_for_manual_pages_that_is_a_file_is_refused() {
    let dir = Dir::new();
    dir.write("file", "");
    let ran = dir.nexum(&["man", "file"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("error: file: "), "{}", ran.stderr);
}
