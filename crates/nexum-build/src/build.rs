//! The steps of a build, which every language shares.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nexum_config::names::{Digest, ModuleName};

use crate::component::Component;
use crate::{Error, Language, Progress, Project};
use crate::{c, javascript, manifest, output, python, rust};

/// The choices of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to make a compiler from Debian's packages if the machine has none for guests. It takes
    /// one or two minutes.
    pub make_toolchain: bool,
    /// Whether to build quickly, again and again, rather than a small component.
    pub is_quick: bool,
}

/// The result of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// The module's name.
    pub name: ModuleName,
    /// The component file.
    pub component: PathBuf,
    /// The complete manifest, beside the component.
    pub manifest: PathBuf,
    /// Size of the component, in bytes.
    pub bytes: usize,
    /// The SHA-256 of the component, which the manifest pins.
    pub digest: Digest,
    /// The interfaces that the component imports.
    pub imports: Vec<String>,
    /// The functions and interfaces that the component exports.
    pub exports: Vec<String>,
    /// The compiler, and where it comes from.
    pub compiler: String,
    /// Remarks for the author that are no errors: one line each.
    pub warnings: Vec<String>,
    /// Time from the start of the build.
    pub duration: Duration,
}

/// What the builder of a language makes.
pub(crate) struct Compiled {
    /// A component. It is not checked yet.
    pub(crate) component: Vec<u8>,
    /// The compiler, and where it comes from.
    pub(crate) compiler: String,
    /// The version in the language's own files, for a manifest without one.
    pub(crate) version: Option<String>,
}

/// Builds a project: compiles it, checks the component, and writes the component and its manifest
/// into the project's directory `build`. Does not touch a file that would not change. Blocks.
///
/// # Errors
///
/// Fails if there is no compiler, if the compiler fails, if the component is no module, or if the
/// manifest contradicts the code.
pub fn build(project: &Project, options: &Options, progress: &dyn Progress) -> Result<Built, Error> {
    let begin = Instant::now();
    let compiled = match project.language {
        Language::Rust => rust::compile(project, options, progress)?,
        Language::JavaScript => javascript::compile(project, options, progress)?,
        Language::Python => python::compile(project, options, progress)?,
        Language::C => c::compile(project, options, progress)?,
    };
    let component = Component::of(&project.name, compiled.component)?;
    let manifest = manifest::complete(project, compiled.version.as_deref(), &component)?;
    let directory = project.output();
    let paths = output::write(&directory, &project.name, &component.file.bytes, &manifest.text)?;
    Ok(Built {
        name: project.name.clone(),
        component: paths.component,
        manifest: paths.manifest,
        bytes: component.file.bytes.len(),
        digest: component.file.digest,
        imports: component.file.summary.imports,
        exports: component.file.summary.exports,
        compiler: compiled.compiler,
        warnings: manifest.warnings,
        duration: begin.elapsed(),
    })
}
