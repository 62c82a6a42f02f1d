//! The steps of a build, which every language shares.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nexum_config::component::ComponentFile;
use nexum_config::document;
use nexum_config::manifest::MANIFEST_BYTES_MAX;
use nexum_config::names::{Digest, ModuleName};

use crate::{Error, Language, Options, Progress, Project};
use crate::{c, component, javascript, manifest, output, python, rust};

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

/// Builds a project: compiles it, checks the component, and writes the component and its manifest
/// into the directory of the options. Does not touch a file that would not change. Blocks.
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
    let output = project.output();
    let about = Finish {
        name: &project.name,
        version: compiled.version.as_deref(),
        manifest: &project.manifest(),
        directory: options.output.as_deref().unwrap_or(&output),
    };
    let finished = about.finish(compiled.component)?;
    Ok(Built {
        name: project.name.clone(),
        component: finished.component,
        manifest: finished.manifest,
        bytes: finished.file.bytes.len(),
        digest: finished.file.digest,
        imports: finished.file.summary.imports,
        exports: finished.file.summary.exports,
        compiler: compiled.compiler,
        warnings: finished.warnings,
        duration: begin.elapsed(),
    })
}

/// The last steps of a build, for a component that some compiler has made.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// The module's name.
    pub name: &'a ModuleName,
    /// The module's version, for a manifest without one.
    pub version: Option<&'a str>,
    /// The manifest that the author writes. The file may be absent.
    pub manifest: &'a Path,
    /// The directory of the results, which is created.
    pub directory: &'a Path,
}

/// The files of a finished build.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The component file.
    pub component: PathBuf,
    /// The complete manifest, beside the component.
    pub manifest: PathBuf,
    /// The component.
    pub file: ComponentFile,
    /// Remarks for the author that are no errors: one line each.
    pub warnings: Vec<String>,
}

impl Finish<'_> {
    /// Checks a component, completes its manifest, and writes both. Does not touch a file that would not
    /// change.
    ///
    /// # Errors
    ///
    /// Fails if the component is no module, or if the manifest contradicts the code.
    pub fn finish(&self, component: Vec<u8>) -> Result<Finished, Error> {
        let file = component::check(self.name, component)?;
        let written = match document::read(&self.manifest.into(), MANIFEST_BYTES_MAX) {
            Err(error) if error.is_not_found() => Vec::new(),
            read => read?,
        };
        let complete = manifest::complete(&written, self.name, self.version, &file)?;
        let paths = output::write(self.directory, self.name, &file.bytes, &complete.text)?;
        Ok(Finished {
            component: paths.component,
            manifest: paths.manifest,
            file,
            warnings: complete.warnings,
        })
    }
}
