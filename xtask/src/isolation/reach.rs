//! Files that no crate contains, because no `mod` item names them. The compiler does not see them, so
//! their tests would never run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::paths;

/// The directories of crates, below the root of the workspace.
const PARENTS: [&str; 2] = ["crates", "modules"];

/// The directories of crates that stand alone.
const ALONE: [&str; 1] = ["xtask"];

/// The directories of a crate that hold its modules.
const PARTS: [&str; 2] = ["src", "tests"];

/// Directories whose files are data: templates, and programs that must not compile.
const DATA: [&str; 2] = ["template", "ui"];

/// Finds the files below `src` and `tests` of every crate that the crate does not contain, one line each.
pub(super) fn check() -> Result<Vec<String>> {
    let root = paths::root();
    let mut crates: Vec<PathBuf> = ALONE.iter().map(|name| root.join(name)).collect();
    for parent in PARENTS {
        let entries = fs::read_dir(root.join(parent)).with_context(|| format!("cannot list {parent}"))?;
        for entry in entries {
            crates.push(entry?.path());
        }
    }
    let mut lost = Vec::new();
    for directory in crates {
        let unreached =
            unreached(&directory).with_context(|| format!("cannot read the files of {}", directory.display()))?;
        lost.extend(unreached.iter().map(|file| {
            let file = file.strip_prefix(root).unwrap_or(file).display();
            format!("{file}: no `mod` names this file, so nothing compiles it")
        }));
    }
    lost.sort();
    Ok(lost)
}

/// The files of a crate that none of its roots leads to.
fn unreached(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = BTreeSet::new();
    for part in PARTS {
        list(&directory.join(part), &mut files)?;
    }
    let (mut next, mut reached) = (Vec::new(), BTreeSet::new());
    next.extend(files.iter().filter(|file| is_root(directory, file)).cloned());
    while let Some(file) = next.pop() {
        if !reached.insert(file.clone()) {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let parsed = syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        let own = match is_root(directory, &file) || file.ends_with("mod.rs") {
            true => file.with_file_name(""),
            false => file.with_extension(""),
        };
        let mut named = Vec::new();
        name(&parsed.items, &own, &file, &mut named);
        next.extend(named.into_iter().filter(|file| files.contains(file)));
    }
    Ok(files.difference(&reached).cloned().collect())
}

/// Whether cargo compiles a file without a `mod`.
fn is_root(directory: &Path, file: &Path) -> bool {
    let parent = file.parent().unwrap_or(directory);
    let is_named = |name: &str| file.file_name().is_some_and(|file| file == name);
    let (src, tests) = (directory.join("src"), directory.join("tests"));
    (parent == src && (is_named("lib.rs") || is_named("main.rs")))
        || parent == src.join("bin")
        || parent == tests
        || (parent.parent() == Some(&tests) && is_named("main.rs"))
}

/// Adds the files of Rust below a directory, which may be missing.
fn list(directory: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_data = path
            .file_name()
            .is_some_and(|name| DATA.iter().any(|data| name == *data));
        if path.is_dir() && !is_data {
            list(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    Ok(())
}

/// Adds the files that these items may name. `own` is the directory of the items' module.
fn name(items: &[syn::Item], own: &Path, file: &Path, named: &mut Vec<PathBuf>) {
    let modules = items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) => Some(module),
        _ => None,
    });
    for module in modules {
        let inner = own.join(module.ident.to_string());
        match (&module.content, path_of(module)) {
            (Some((_, items)), _) => name(items, &inner, file, named),
            (None, Some(path)) => named.push(file.with_file_name(path)),
            (None, None) => named.extend([inner.with_extension("rs"), inner.join("mod.rs")]),
        }
    }
}

/// The value of `#[path = "…"]`.
fn path_of(module: &syn::ItemMod) -> Option<String> {
    let attribute = module
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Expr::Lit(value) = &attribute.meta.require_name_value().ok()?.value else {
        return None;
    };
    match &value.lit {
        syn::Lit::Str(path) => Some(path.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_file_that_no_module_names() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        write("src/lib.rs", "mod one;\n#[cfg(test)]\nmod inner { mod deep; }\n");
        write("src/one.rs", "#[path = \"elsewhere.rs\"]\nmod two;\n");
        write("src/elsewhere.rs", "");
        write("src/inner/deep.rs", "");
        write("src/lost.rs", "mod also;\n");
        write("src/lost/also.rs", "");
        write("src/template/data.rs", "");
        write("tests/it/main.rs", "mod support;\n");
        write("tests/it/support/mod.rs", "");
        write("tests/it/forgotten.rs", "");
        write("tests/alone.rs", "");
        let unreached = unreached(directory.path()).expect("a crate");
        let names: Vec<_> = unreached
            .iter()
            .map(|file| {
                file.strip_prefix(directory.path())
                    .expect("a file of the crate")
                    .to_owned()
            })
            .collect();
        assert_eq!(
            names,
            ["src/lost/also.rs", "src/lost.rs", "tests/it/forgotten.rs"].map(PathBuf::from)
        );
    }
}
