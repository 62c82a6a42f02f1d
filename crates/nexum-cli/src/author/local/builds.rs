//! Builds of a project: with the steps of `nexum build`, or with a command of the author's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nexum_build::project::OUTPUT;
use nexum_build::{Options, Progress, Project};
use nexum_config::component;
use nexum_config::manifest::{MANIFEST_FILE, Manifest};
use nexum_config::names::Digest;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::reports::{Reports, refusals};
use super::site::Module;
use crate::report::{Refusal, Refusals};

/// A module that was built.
#[derive(Debug)]
pub(in crate::author) struct Built {
    pub(in crate::author) module: Module,
    pub(in crate::author) manifest: Manifest,
    /// The digests of the component and of the manifest, which tell whether a build has changed
    /// something.
    pub(in crate::author) digests: (Digest, Option<Digest>),
    pub(in crate::author) took: Duration,
}

/// How a project is built.
#[derive(Clone, Debug)]
pub(in crate::author) struct Build {
    directory: PathBuf,
    /// The shell command that builds the project in place of `nexum build`.
    command: Option<String>,
    /// The directory of a quick build, beside the files of `nexum build`. `None` builds a small component,
    /// as `nexum build` does.
    output: Option<PathBuf>,
}

impl Build {
    /// # Errors
    ///
    /// If the directory has no project, and there is no command.
    pub(in crate::author) fn of(
        directory: &Path,
        command: Option<&String>,
        output: Option<PathBuf>,
    ) -> Result<Self, Refusals> {
        let build = Self {
            directory: directory.to_owned(),
            command: command.cloned(),
            output,
        };
        match command {
            Some(_) => build.manifest_by_hand().map(drop)?,
            None => drop(Project::find(directory).map_err(refusals)?),
        }
        Ok(build)
    }

    /// Builds in another thread.
    pub(in crate::author) fn start(&self, reports: &Reports) -> JoinHandle<Result<Box<Built>, Refusals>> {
        let build = self.clone();
        reports.spawn(move |reports| build.run(reports).map(Box::new))
    }

    fn run(&self, progress: &dyn Progress) -> Result<Built, Refusals> {
        let begin = Instant::now();
        let module = match &self.command {
            Some(command) => self.run_command(command, progress)?,
            None => {
                let project = Project::find(&self.directory).map_err(refusals)?;
                let options = Options {
                    is_quick: self.output.is_some(),
                    output: self.output.clone(),
                    ..Options::default()
                };
                let built = nexum_build::build(&project, &options, progress).map_err(refusals)?;
                Module {
                    name: built.name,
                    component: built.component,
                    manifest: built.manifest,
                }
            }
        };
        let manifest = Manifest::load(&module.manifest.clone().into())?;
        let read = component::read(&module.component.clone().into());
        let bytes = read.map_err(|error| Refusal::of(&error).about(&module.component.display().to_string()))?;
        Ok(Built {
            digests: (Digest::of(&bytes), manifest.digest),
            module,
            manifest,
            took: begin.elapsed(),
        })
    }

    /// Runs the author's command, which writes the files that `nexum build` would write.
    fn run_command(&self, command: &str, progress: &dyn Progress) -> Result<Module, Refusals> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&self.directory);
        nexum_build::process::run(&mut shell, progress).map_err(refusals)?;
        let manifest = self.manifest_by_hand()?;
        let directory = std::path::absolute(self.directory.join(OUTPUT)).map_err(|error| Refusal::of(&error))?;
        let name = manifest.name.ok_or_else(|| {
            let refusal = Refusal::new(format!("{MANIFEST_FILE} has no name of the module"));
            refusal.with_hint("add `[module]` and `name = \"...\"`")
        })?;
        Ok(Module {
            component: directory.join(format!("{name}.wasm")),
            manifest: directory.join(MANIFEST_FILE),
            name,
        })
    }

    /// The manifest that the author writes.
    fn manifest_by_hand(&self) -> Result<Manifest, Refusals> {
        Ok(Manifest::load(&self.directory.join(MANIFEST_FILE).into())?)
    }
}
