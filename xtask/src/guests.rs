//! Builds the guests of `modules/`, and puts each beside its manifest, as an operator installs it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use nexum_build::{build::Finish, output::write_if_changed, toolchain::BARE};
use nexum_config::manifest::MANIFEST_FILE;
use toml_edit::DocumentMut;

use crate::{paths, process, toolchain};

/// Builds the guests with these names, or all of them, into `target/modules/NAME/`: for a module
/// `NAME.wasm` and its complete `nexum.toml`, for a command `app.wasm`.
pub(crate) fn build(names: &[String]) -> Result<()> {
    let guests = select(find_all(&paths::modules())?, names)?;
    compile(&guests)?;
    for guest in &guests {
        publish(guest).with_context(|| format!("cannot publish the guest {}", guest.name))?;
    }
    println!("guests: {} in {}", guests.len(), paths::built_modules().display());
    Ok(())
}

/// A directory with a manifest and something to build.
#[derive(Debug)]
struct Guest {
    name: String,
    directory: PathBuf,
    kind: Kind,
    source: Source,
}

/// The purpose of a guest, which follows from its directory.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// `nexum run`, with a manifest.
    Module,
    /// `nexum exec`.
    Command,
}

/// The directories of guests.
const DIRECTORIES: [(&str, Kind); 3] = [
    ("examples", Kind::Module),
    ("fixtures", Kind::Module),
    ("commands", Kind::Command),
];

#[derive(Debug, PartialEq)]
enum Source {
    /// A crate, built for this target.
    Crate { target: String },
    /// A component in the text format.
    Text,
}

/// Every guest of the workspace. Fails on a directory that is not a guest, so that a wrong name
/// hides none.
fn find_all(modules: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (name, kind) in DIRECTORIES {
        let directory = modules.join(name);
        for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
            guests.push(find(&entry?.path(), kind)?);
        }
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

fn find(directory: &Path, kind: Kind) -> Result<Guest> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ensure!(
        kind == Kind::Command || directory.join(MANIFEST_FILE).exists(),
        "{} has no {MANIFEST_FILE}",
        directory.display()
    );
    let manifest = directory.join("Cargo.toml");
    let source = if manifest.exists() {
        let manifest = fs::read_to_string(manifest)?.parse::<DocumentMut>()?;
        let metadata = manifest["package"]
            .get("metadata")
            .and_then(|metadata| metadata.get("guest"));
        let target = metadata
            .and_then(|guest| guest.get("target"))
            .and_then(|target| target.as_str());
        Source::Crate {
            target: target.unwrap_or(BARE).to_owned(),
        }
    } else if directory.join("component.wat").exists() {
        Source::Text
    } else {
        bail!("{} has neither a Cargo.toml nor a component.wat", directory.display());
    };
    Ok(Guest {
        name,
        directory: directory.to_owned(),
        kind,
        source,
    })
}

fn select(all: Vec<Guest>, names: &[String]) -> Result<Vec<Guest>> {
    for name in names {
        ensure!(
            all.iter().any(|guest| guest.name == *name),
            "no guest is called {name}; known are {}",
            list(&all)
        );
    }
    Ok(all
        .into_iter()
        .filter(|guest| names.is_empty() || names.contains(&guest.name))
        .collect())
}

fn list(guests: &[Guest]) -> String {
    guests
        .iter()
        .map(|guest| guest.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Lints every crate among the guests, for the target that it is built for.
pub(crate) fn clippy() -> Result<()> {
    let guests = find_all(&paths::modules())?;
    let toolchain = toolchain::ensure()?;
    for (target, names) in by_target(&guests) {
        let mut cargo = toolchain::cargo(&toolchain, "clippy");
        cargo.args(["--locked", "--keep-going", "--target", target]);
        cargo.args(names.iter().flat_map(|name| ["--package", name]));
        process::run(cargo.args(["--", "--deny=warnings"]))?;
    }
    Ok(())
}

/// The crates among the guests, by target.
fn by_target(guests: &[Guest]) -> BTreeMap<&str, Vec<&str>> {
    let mut by_target: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for guest in guests {
        if let Source::Crate { target } = &guest.source {
            by_target.entry(target).or_default().push(&guest.name);
        }
    }
    by_target
}

/// Builds the crates among the guests, in one go for each target.
fn compile(guests: &[Guest]) -> Result<()> {
    let by_target = by_target(guests);
    if by_target.is_empty() {
        return Ok(());
    }
    let toolchain = toolchain::ensure()?;
    for (target, names) in by_target {
        let mut cargo = toolchain::cargo(&toolchain, "build");
        cargo.args(["--release", "--locked", "--quiet", "--target", target]);
        cargo.args(names.iter().flat_map(|name| ["--package", name]));
        process::run(&mut cargo)?;
    }
    Ok(())
}

/// Writes a built guest to the directory in which tests and operators look for it.
fn publish(guest: &Guest) -> Result<()> {
    let component = match &guest.source {
        Source::Text => wat::parse_file(guest.directory.join("component.wat"))?,
        Source::Crate { target } => {
            let file = format!("{}.wasm", guest.name.replace('-', "_"));
            let built = paths::modules().join("target").join(target).join("release").join(file);
            fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?
        }
    };
    let directory = paths::built_modules().join(&guest.name);
    match guest.kind {
        Kind::Command => {
            fs::create_dir_all(&directory)?;
            Ok(write_if_changed(&directory.join("app.wasm"), &component)?)
        }
        Kind::Module => {
            let module = Finish {
                name: &guest.name.parse()?,
                version: None,
                manifest: &guest.directory.join(MANIFEST_FILE),
                directory: &directory,
            };
            let finished = module.finish(component).map_err(process::explain)?;
            for warning in finished.warnings {
                println!("{}: {warning}", guest.name);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_directory_as_a_guest() {
        let guests = find_all(&paths::modules()).expect("the guests of this work tree");
        let wasi: Vec<_> = guests
            .iter()
            .filter(|guest| guest.source != crate_for(BARE))
            .map(|g| &g.name)
            .collect();
        assert_eq!(
            wasi,
            [
                "all-wasi",
                "errand",
                "files-reader",
                "memory-bomb-many",
                "query-echo",
                "table-bomb",
                "wasi-fetcher",
                "wasi-importer"
            ]
        );
        assert!(select(guests, &["absent".into()]).is_err());
    }

    fn crate_for(target: &str) -> Source {
        Source::Crate { target: target.into() }
    }
}
