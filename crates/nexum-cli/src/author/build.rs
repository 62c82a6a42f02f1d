//! `nexum build`: builds the module in a directory.

use nexum_build::{Built, Error, Options, Project};
use nexum_config::harmless::harmless;
use serde::Serialize;

use super::progress::Steps;
use crate::args::{Build, Format};
use crate::exit_code::{FAILED, INTERRUPTED, STOPPED};
use crate::report::print::{errln, fact, facts, json_on_stdout};
use crate::report::{Refusal, Refusals};

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    component: String,
    manifest: String,
    bytes: usize,
    digest: String,
    imports: &'a [String],
    exports: &'a [String],
    compiler: &'a str,
    warnings: &'a [String],
    seconds: f64,
}

/// Builds a module, and prints its files, its size, its imports and its exports. Warnings and the steps
/// go to stderr. Returns the exit code.
///
/// # Errors
///
/// If the directory is no project, has no compiler, or has a manifest that contradicts the code.
pub(crate) fn build(args: &Build) -> Result<u8, Refusals> {
    let progress = Steps::until_interrupted()?;
    let options = Options {
        make_toolchain: args.make_toolchain,
    };
    let built = Project::find(&args.directory).and_then(|project| nexum_build::build(&project, &options, &progress));
    match built {
        Ok(built) => {
            report(&built, args.format)?;
            Ok(STOPPED)
        }
        Err(error) => failed(error),
    }
}

/// The exit code of a build that a program or a signal ended. Other errors are refusals.
fn failed(error: Error) -> Result<u8, Refusals> {
    let code = match error {
        Error::Interrupted => INTERRUPTED,
        Error::Compile { .. } | Error::Failed { .. } => FAILED,
        Error::Manifest(errors) => return Err(errors.into()),
        error => return Err(Refusal::with_hint_of(&error).into()),
    };
    Refusals::from(Refusal::with_hint_of(&error)).print();
    Ok(code)
}

fn report(built: &Built, format: Format) -> Result<(), Refusal> {
    for warning in &built.warnings {
        errln!("warning: {}", harmless(warning));
    }
    let report = Report {
        name: built.name.as_str(),
        component: built.component.display().to_string(),
        manifest: built.manifest.display().to_string(),
        bytes: built.bytes,
        digest: built.digest.to_string(),
        imports: &built.imports,
        exports: &built.exports,
        compiler: &built.compiler,
        warnings: &built.warnings,
        seconds: built.duration.as_secs_f64(),
    };
    match format {
        Format::Json => json_on_stdout(&report),
        Format::Text => {
            print(&report);
            Ok(())
        }
    }
}

fn print(report: &Report<'_>) {
    fact("module", report.name);
    fact("component", &report.component);
    fact("manifest", &report.manifest);
    fact("size", &format!("{} bytes", report.bytes));
    fact("digest", &report.digest);
    facts("imports", report.imports);
    facts("exports", report.exports);
    fact("compiler", report.compiler);
    fact("time", &format!("{:.1} s", report.seconds));
}
