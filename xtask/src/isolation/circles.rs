//! Circles of imports inside a crate: modules that cannot be read one after the other.
//!
//! A module and the modules inside it may refer to each other. Two modules of one parent, each with
//! everything inside it, may refer to each other in one direction only: then folders at every level
//! can be read from the bottom up. A name that a module re-exports counts for the file that defines
//! the name. Tests do not count.

mod graph;
mod names;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use crate::paths;

/// A module's path in its crate: empty for the root.
type Module = Vec<String>;

/// The text of every module of a crate that has a file.
type Sources = BTreeMap<Module, String>;

/// Finds the circles of every crate below `crates/`, one line each.
pub(super) fn check() -> Result<Vec<String>> {
    let mut found = Vec::new();
    let crates = fs::read_dir(paths::root().join("crates")).context("cannot list the crates")?;
    let mut crates: Vec<_> = crates.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    crates.sort();
    for directory in crates {
        let name = directory.file_name().unwrap_or_default().display();
        let mut sources = Sources::new();
        read(&directory.join("src"), &Module::new(), &mut sources)
            .with_context(|| format!("cannot read the files of {name}"))?;
        found.extend(circles(&sources).into_iter().map(|circle| format!("{name}: {circle}")));
    }
    Ok(found)
}

/// Adds the files of a directory, which is that of the module `parent`.
fn read(directory: &Path, parent: &Module, sources: &mut Sources) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut module = parent.clone();
        if !(parent.is_empty() && (stem == "lib" || stem == "main")) {
            module.push(stem);
        }
        if path.is_dir() {
            read(&path, &module, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(module, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// One line for each circle: its modules in order, with a name that each takes from the next.
fn circles(sources: &Sources) -> Vec<String> {
    let is_test = |module: &Module| module.iter().any(|part| part == "tests");
    let files: BTreeMap<Module, names::File> = sources
        .iter()
        .filter(|(module, _)| !is_test(module))
        .map(|(module, text)| (module.clone(), names::File::parse(text)))
        .collect();
    let mut graph = graph::Graph::default();
    for (module, file) in &files {
        for name in &file.names {
            if let Some(target) = names::resolve(&files, module, name) {
                graph.add(module, &target, &name.path.join("::"));
            }
        }
    }
    graph.circles()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let module = |path: &str| match path {
            "" => Module::new(),
            path => path.split("::").map(str::to_owned).collect(),
        };
        let sources = files.iter().map(|(path, text)| (module(path), (*text).to_owned()));
        circles(&sources.collect())
    }

    #[test]
    fn names_a_circle_of_folders_and_what_closes_it() {
        let files = [
            ("", "mod bus; mod state;"),
            ("bus", "pub mod log;"),
            ("bus::log", "use crate::state::Rows;"),
            ("state", "pub struct Rows; mod undo;"),
            ("state::undo", "fn f() { let _ = crate::bus::log::head(); }"),
        ];
        assert_eq!(
            found(&files),
            ["bus -> state -> bus (bus::log names crate::state::Rows; state::undo names crate::bus::log::head)"]
        );
    }

    #[test]
    fn finds_a_circle_of_files_through_super_and_groups() {
        let files = [
            ("", "mod a;"),
            ("a", "mod b; mod c; mod d;"),
            ("a::b", "use super::{c::{C, Other as Another}, d};"),
            ("a::c", "use super::super::a::d::D;"),
            ("a::d", "pub(super) fn f(_: super::b::B) {}"),
        ];
        assert_eq!(
            found(&files),
            [
                "a::b -> a::d -> a::b (a::b names super::d; a::d names super::b::B)",
                "a::c -> a::d -> a::b -> a::c (a::c names super::super::a::d::D; a::d names super::b::B; \
                 a::b names super::c::C)",
            ]
        );
    }

    #[test]
    fn a_module_and_those_inside_it_may_refer_to_each_other() {
        let files = [
            ("", "mod a; pub struct Root;"),
            ("a", "mod b; use b::B; pub struct A;"),
            ("a::b", "use super::A; use crate::Root; pub struct B;"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_is_re_exported_is_of_its_own_file() {
        let files = [
            ("", "mod a; mod user;"),
            ("a", "mod b; mod c; pub use b::B; pub(crate) use c::{C as D};"),
            ("a::b", "use super::D;"),
            ("a::c", "pub struct C;"),
            ("user", "use crate::a::B;"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
        let mut closed = files;
        closed[3].1 = "use crate::a::B; pub struct C;";
        assert_eq!(
            found(&closed),
            ["a::b -> a::c -> a::b (a::b names super::D; a::c names crate::a::B)"]
        );
    }

    #[test]
    fn comments_texts_and_tests_do_not_count() {
        let files = [
            ("", "mod a; mod b;"),
            ("a", "use crate::b::B;"),
            (
                "b",
                "//! [`A`](crate::a::A)\n/* crate::a /* crate::a */ */ const T: &str = \"crate::a\\\"::A\";\n\
                 const R: &str = r#\"crate::a\"#; const C: char = '\"';\n\
                 #[cfg(test)]\nmod tests { use super::*; use crate::a::A; fn f() { {} } }\n\
                 mod inline { use super::B; }",
            ),
            ("b::tests", "use super::*; use crate::a::A;"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
        let mut closed = files;
        closed[1].1 = "use crate::b::B; fn f<'a>() {}";
        closed[2].1 = "fn f<'a>(_: &'a crate::a::A) {}";
        assert_eq!(found(&closed).len(), 1);
    }
}
