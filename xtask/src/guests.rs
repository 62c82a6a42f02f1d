//! Builds the guests of `modules/`, and puts each beside its manifest, as an operator installs it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nexum_build::{Language, Options, Project, build::Finish, output::write_if_changed, toolchain::BARE};
use nexum_config::manifest::{COMPONENT_TOML, MANIFEST_FILE};
use toml_edit::DocumentMut;

use crate::{
    paths,
    process::{self, Steps},
    toolchain,
};

/// The guests to build.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection<'a> {
    /// Every guest in Rust and in the text format.
    Rust,
    /// Every guest, in any language.
    AllLanguages,
    /// The guests with these names.
    Named(&'a [String]),
}

impl<'a> Selection<'a> {
    /// The selection of a command line.
    pub(crate) fn of(names: &'a [String], all_languages: bool) -> Self {
        match (names, all_languages) {
            ([], true) => Self::AllLanguages,
            ([], false) => Self::Rust,
            (names, _) => Self::Named(names),
        }
    }
}

/// Builds the guests with these names, as [`build_selection`] does.
pub(crate) fn build(names: &[String]) -> Result<()> {
    build_selection(Selection::Named(names))
}

/// Builds guests into `target/modules/NAME/`: for a module `NAME.wasm` and a `nexum.toml` with its
/// digest, for a command `app.wasm`.
pub(crate) fn build_selection(selection: Selection<'_>) -> Result<()> {
    let guests = select(find_all(&paths::modules())?, selection)?;
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

/// The directories of guests. A directory beside them with a manifest is a guest itself: a module for
/// operators.
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
    /// A project as an author has it, in another language than Rust.
    Project { language: Language },
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
    for entry in fs::read_dir(modules)? {
        let directory = entry?.path();
        if directory.join(MANIFEST_FILE).exists() {
            guests.push(find(&directory, Kind::Module)?);
        }
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

fn find(directory: &Path, kind: Kind) -> Result<Guest> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ensure!(
        kind == Kind::Command
            || [MANIFEST_FILE, COMPONENT_TOML]
                .iter()
                .any(|file| directory.join(file).exists()),
        "{} has no {MANIFEST_FILE} and no {COMPONENT_TOML}",
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
        let language = Project::find(directory).map_err(process::explain)?.language;
        Source::Project { language }
    };
    Ok(Guest {
        name,
        directory: directory.to_owned(),
        kind,
        source,
    })
}

fn select(all: Vec<Guest>, selection: Selection<'_>) -> Result<Vec<Guest>> {
    if let Selection::Named(names) = selection {
        for name in names {
            ensure!(
                all.iter().any(|guest| guest.name == *name),
                "no guest is called {name}; known are {}",
                list(&all)
            );
        }
    }
    let is_selected = |guest: &Guest| match selection {
        Selection::Rust => !matches!(guest.source, Source::Project { .. }),
        Selection::AllLanguages => true,
        Selection::Named(names) => names.contains(&guest.name),
    };
    Ok(all.into_iter().filter(is_selected).collect())
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
    native("clippy", &guests, &["--tests", "--", "--deny=warnings"])
}

/// Runs a command of cargo natively, on the guests that have tests in `src/tests.rs`.
fn native(command: &str, guests: &[Guest], arguments: &[&str]) -> Result<()> {
    let is_tested = |guest: &&Guest| guest.directory.join("src/tests.rs").exists();
    let packages: Vec<_> = guests
        .iter()
        .filter(is_tested)
        .flat_map(|guest| ["--package", guest.name.as_str()])
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    // Not in the directory of the guests, whose configuration names another target.
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args([command, "--locked", "--manifest-path"]);
    cargo.arg(paths::modules().join("Cargo.toml"));
    process::run(cargo.args(packages).args(arguments))
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
    let directory = paths::built_modules().join(&guest.name);
    fs::create_dir_all(&directory)?;
    let component = match &guest.source {
        Source::Project { .. } => return publish_project(guest, &directory),
        Source::Text => wat::parse_file(guest.directory.join("component.wat"))?,
        Source::Crate { target } => {
            let file = format!("{}.wasm", guest.name.replace('-', "_"));
            let built = paths::modules().join("target").join(target).join("release").join(file);
            fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?
        }
    };
    match guest.kind {
        Kind::Command => Ok(write_if_changed(&directory.join("app.wasm"), &component)?),
        Kind::Module => {
            let manifest = guest.directory.join(COMPONENT_TOML);
            if manifest.exists() {
                write_if_changed(&directory.join(format!("{}.wasm", guest.name)), &component)?;
                return Ok(write_if_changed(&directory.join(COMPONENT_TOML), &fs::read(manifest)?)?);
            }
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

/// Builds a project as `nexum build` does, and copies the files that an operator installs.
fn publish_project(guest: &Guest, directory: &Path) -> Result<()> {
    let project = Project::find(&guest.directory).map_err(process::explain)?;
    let built = nexum_build::build(&project, &Options::default(), &Steps).map_err(process::explain)?;
    for path in [built.component, built.manifest] {
        let name = path.file_name().context("a built file has a name")?;
        write_if_changed(&directory.join(name), &fs::read(&path)?)?;
    }
    Ok(())
}

/// Runs the native tests of the guests that have some.
pub(crate) fn test_natively() -> Result<()> {
    let guests = find_all(&paths::modules())?;
    native("test", &guests, &[])?;
    for guest in guests {
        if let Source::Project { .. } = guest.source {
            let project = Project::find(&guest.directory).map_err(process::explain)?;
            let command = nexum_build::test_command(&project, &Steps).map_err(process::explain)?;
            command.map_or(Ok(()), |mut command| process::run(&mut command))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_directory_as_a_guest() {
        let guests = find_all(&paths::modules()).expect("the guests of this work tree");
        let languages: Vec<_> = guests.iter().filter_map(language).collect();
        assert_eq!(
            languages,
            [
                ("gas-watch-c", Language::C),
                ("gas-watch-js", Language::JavaScript),
                ("gas-watch-python", Language::Python),
            ]
        );
        let guests = select(guests, Selection::Rust).expect("guests");
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
                "sdk-alloy",
                "table-bomb",
                "triggers",
                "wasi-effects",
                "wasi-fetcher",
                "wasi-functions",
                "wasi-importer"
            ]
        );
        assert!(select(guests, Selection::Named(&["absent".into()])).is_err());
    }

    fn language(guest: &Guest) -> Option<(&str, Language)> {
        match guest.source {
            Source::Project { language } => Some((&guest.name, language)),
            _ => None,
        }
    }

    fn crate_for(target: &str) -> Source {
        Source::Crate { target: target.into() }
    }
}
