//! Builds a module in Rust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use toml_edit::DocumentMut;

use crate::cache::Cache;
use crate::compiled::Compiled;
use crate::component::encode;
use crate::progress::step;
use crate::toolchain::{BARE, Toolchain, WASI};
use crate::{Error, Options, Progress, Project, process};

/// The release profile of a project that sets none: small components, because every host compiles
/// the modules that it runs.
const PROFILE: [(&str, &str); 5] = [
    ("OPT_LEVEL", "s"),
    ("LTO", "true"),
    ("CODEGEN_UNITS", "1"),
    ("PANIC", "abort"),
    ("STRIP", "debuginfo"),
];

/// The release profile of a quick build, which overrides the project's: without the optimisation
/// across crates at each link, and with the work of the build before. Dependencies are compiled once
/// for each profile.
const QUICK_PROFILE: [(&str, &str); 5] = [
    ("LTO", "off"),
    ("CODEGEN_UNITS", "16"),
    ("INCREMENTAL", "true"),
    ("PANIC", "abort"),
    ("STRIP", "debuginfo"),
];

/// Compiles the crate to a component.
pub(crate) fn compile(project: &Project, options: &Options, progress: &dyn Progress) -> Result<Compiled, Error> {
    let metadata = Metadata::of(project, progress)?;
    let package = metadata.package(project)?;
    package.check(project)?;
    let target = package.target(project)?;
    let toolchain = toolchain(project, target, options, progress)?;
    progress.note(&format!("compiler: {toolchain}"));
    let mut cargo = toolchain.cargo("build", &project.directory);
    cargo.args(["--release", "--lib", "--target", target]);
    cargo.args(["--package", &package.id, "--message-format=json-render-diagnostics"]);
    if options.is_quick {
        set_profile(&mut cargo, &QUICK_PROFILE);
    } else if !has_profile(&metadata.workspace_root.join("Cargo.toml"))? {
        set_profile(&mut cargo, &PROFILE);
    }
    let compiling = format!("compile {}", project.name);
    let messages = step(progress, &compiling, || process::stdout(&mut cargo, progress));
    let messages = messages.map_err(|error| match error {
        Error::Failed { status, .. } => Error::Compile {
            name: project.name.clone(),
            status,
        },
        error => error,
    })?;
    let built = artifact(&messages, &package.id).ok_or_else(|| Error::Output {
        command: process::line(&cargo),
        reason: "cargo names no .wasm file".to_owned(),
    })?;
    let module = fs::read(&built).map_err(Error::file("read", &built))?;
    Ok(Compiled {
        component: encode(&project.name, module)?,
        compiler: toolchain.to_string(),
        version: Some(package.version.clone()),
    })
}

fn toolchain(project: &Project, target: &str, options: &Options, progress: &dyn Progress) -> Result<Toolchain, Error> {
    let cache = Cache::of_user()?;
    match Toolchain::find(&cache, &project.directory, &[target], progress) {
        Err(Error::Toolchain { .. }) if options.make_toolchain => Toolchain::make(&cache, &project.directory, progress),
        found => found,
    }
}

/// Overrides settings of the release profile of a command of cargo.
fn set_profile(cargo: &mut Command, profile: &[(&str, &str)]) {
    for (key, value) in profile {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
}

/// Whether the manifest of a workspace sets the release profile, which cargo takes from there alone.
fn has_profile(manifest: &Path) -> Result<bool, Error> {
    let text = fs::read_to_string(manifest).map_err(Error::file("read", manifest))?;
    // Cargo has read the file before, so it is TOML.
    let document = text.parse::<DocumentMut>().unwrap_or_default();
    Ok(document
        .get("profile")
        .is_some_and(|profile| profile.get("release").is_some()))
}

/// The part of `cargo metadata` that a build needs.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    /// The table `[package.metadata]`, or null.
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Metadata {
    fn of(project: &Project, progress: &dyn Progress) -> Result<Self, Error> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(&project.directory);
        let output = process::output(&mut cargo, progress)?;
        serde_json::from_str(&output).map_err(|error| Error::Output {
            command: process::line(&cargo),
            reason: error.to_string(),
        })
    }

    /// The package in the directory of the project.
    fn package(&self, project: &Project) -> Result<&Package, Error> {
        let manifest = project.directory.join("Cargo.toml");
        let found = self.packages.iter().find(|package| {
            // Cargo may name the directory by another path.
            fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest)
        });
        found.ok_or_else(|| Error::Project {
            path: manifest,
            reason: "this is a workspace without a package of its own".to_owned(),
            hint: Some("add the path of the module's directory to the command".to_owned()),
        })
    }
}

impl Package {
    /// Fails if cargo would build nothing that a component can be made of.
    fn check(&self, project: &Project) -> Result<(), Error> {
        let is_cdylib = |target: &Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        if self.targets.iter().any(is_cdylib) {
            return Ok(());
        }
        Err(Error::Project {
            path: project.directory.join("Cargo.toml"),
            reason: "the crate is no `cdylib`, so cargo makes no WebAssembly file of it".to_owned(),
            hint: Some("add `crate-type = [\"cdylib\"]` to the table `[lib]`, and have a `src/lib.rs`".to_owned()),
        })
    }

    /// The target to compile for: `target` of the table `[package.metadata.guest]`, or else [`BARE`].
    fn target(&self, project: &Project) -> Result<&'static str, Error> {
        let written = &self.metadata["guest"]["target"];
        let known = [BARE, WASI].into_iter().find(|target| written == target);
        match known {
            Some(target) => Ok(target),
            None if written.is_null() => Ok(BARE),
            None => Err(Error::Project {
                path: project.directory.join("Cargo.toml"),
                reason: format!("`target` in [package.metadata.guest] is {written}"),
                hint: Some(format!("write \"{BARE}\" or \"{WASI}\"")),
            }),
        }
    }
}

/// The `.wasm` file of a package in the messages of `cargo build`.
fn artifact(messages: &str, package_id: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        package_id: String,
        filenames: Vec<PathBuf>,
    }

    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let of_package = artifacts.filter(|artifact| artifact.package_id == package_id);
    let files = of_package.flat_map(|artifact| artifact.filenames);
    files
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_file_of_the_package() {
        let messages = "{\"reason\":\"compiler-artifact\",\"package_id\":\"a\",\"filenames\":[\"/t/liba.rlib\"]}\n\
                        {\"reason\":\"compiler-artifact\",\"package_id\":\"b\",\"filenames\":[\"/t/libb.rlib\",\"/t/b.wasm\"]}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(artifact(messages, "b"), Some("/t/b.wasm".into()));
        assert_eq!(artifact(messages, "a"), None);
    }

    /// The target of a crate with this text below its name.
    fn target(text: &str) -> Result<&'static str, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let manifest = format!("[package]\nname = \"a\"\n{text}\n[lib]\ncrate-type = [\"cdylib\"]\n");
        fs::write(directory.path().join("Cargo.toml"), manifest).expect("a file");
        fs::create_dir(directory.path().join("src")).expect("a directory");
        fs::write(directory.path().join("src/lib.rs"), "").expect("a file");
        let project = Project::find(directory.path()).expect("a project");
        let metadata = Metadata::of(&project, &crate::Silent).expect("the metadata");
        let package = metadata.package(&project).expect("a package");
        package.target(&project).map_err(|error| error.to_string())
    }

    #[test]
    fn compiles_for_the_target_of_the_package() {
        assert_eq!(target(""), Ok(BARE));
        assert_eq!(target("[package.metadata.guest]\ntarget = \"wasm32-wasip2\""), Ok(WASI));
        let error = target("[package.metadata.guest]\ntarget = \"riscv32\"").expect_err("a refusal");
        assert!(
            error.ends_with("Cargo.toml: `target` in [package.metadata.guest] is \"riscv32\""),
            "{error}"
        );
    }

    #[test]
    fn sees_a_release_profile_of_the_author() {
        let directory = tempfile::tempdir().expect("a directory");
        let manifest = directory.path().join("Cargo.toml");
        for (text, expected) in [
            ("[package]\nname = \"a\"\n", false),
            ("[profile.dev]\nopt-level = 1\n", false),
            ("[profile.release]\nopt-level = 3\n", true),
        ] {
            fs::write(&manifest, text).expect("a file");
            assert_eq!(has_profile(&manifest).expect("a manifest"), expected, "{text}");
        }
    }
}
