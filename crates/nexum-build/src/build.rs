//! The steps of a build, which every language shares.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nexum_config::component::ComponentFile;
use nexum_config::document;
use nexum_config::manifest::MANIFEST_BYTES_MAX;
use nexum_config::names::{Digest, ModuleName};

use crate::{Error, Language, Options, Progress, Project};
use crate::{c, component, files, javascript, manifest, output, python, rust};

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
    /// Checks a component, completes its manifest, and writes both, with a copy of the module's
    /// read-only files. Does not touch a file that would not change.
    ///
    /// # Errors
    ///
    /// Fails if the component is no module, if the manifest contradicts the code, or if nexum would
    /// refuse the read-only files.
    pub fn finish(&self, component: Vec<u8>) -> Result<Finished, Error> {
        let file = component::check(self.name, component)?;
        let file = component::check(self.name, component::shorten(self.name, &file.bytes)?)?;
        let written = match document::read(&self.manifest.into(), MANIFEST_BYTES_MAX) {
            Err(error) if error.is_not_found() => Vec::new(),
            read => read?,
        };
        let complete = manifest::complete(&written, self.name, self.version, &file)?;
        let component = format!("{}.wasm", self.name);
        files::copy(self.manifest, complete.files.as_ref(), &component, self.directory)?;
        let paths = output::write(self.directory, self.name, &file.bytes, &complete.text)?;
        Ok(Finished {
            component: paths.component,
            manifest: paths.manifest,
            file,
            warnings: complete.warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nexum_config::manifest::{MANIFEST_FILE, Manifest};

    use super::*;

    #[test]
    fn the_files_of_a_module_are_beside_its_finished_manifest() {
        let project = tempfile::tempdir().expect("a directory");
        let manifest = project.path().join(MANIFEST_FILE);
        fs::write(&manifest, "[module]\nname = \"watch\"\nfiles = \"assets\"\n").expect("a manifest");
        fs::create_dir(project.path().join("assets")).expect("a directory");
        fs::write(project.path().join("assets/a.txt"), "a").expect("a file");
        let text = "(component
            (core module $m (func (export \"f\")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\")))
            (export \"init\" (func $f))
            (export \"evaluate\" (func $f)))";
        let module = Finish {
            name: &"watch".parse().expect("a name"),
            version: None,
            manifest: &manifest,
            directory: &project.path().join("build"),
        };
        let component = wat::parse_str(text).expect("a component");
        let finished = module.finish(component).expect("a module");
        let complete = Manifest::load(&finished.manifest.as_path().into()).expect("a manifest");
        let files = complete.files.expect("files").to_string();
        let copied = finished.manifest.with_file_name(files).join("a.txt");
        assert_eq!(fs::read_to_string(copied).expect("a file"), "a");
    }
}
