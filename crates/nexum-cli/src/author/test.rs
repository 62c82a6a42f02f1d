//! `nexum test`: the native tests of a project, and its component in the runtime.

mod component;

use std::ffi::OsString;
use std::process::Command;

use nexum_build::{Error, Language, Project};

use super::local::reports::{Reports, refusals};
use crate::exit_code::{FAILED, STOPPED};
use crate::process::Termination;
use crate::report::{Refusal, Refusals};
use crate::{args, process};

/// Runs the tests.
///
/// # Errors
///
/// Errors that prevent the start of the tests.
pub(crate) fn test(args: &args::Test) -> Result<u8, Refusals> {
    process::block_on(run(args))?
}

/// Runs on the main thread, which starts all child processes ([`super::local::leash`]).
async fn run(args: &args::Test) -> Result<u8, Refusals> {
    let mut signals = Termination::new().map_err(|error| Refusal::of(&error))?;
    let reports = Reports::default();
    tokio::select! {
        biased;
        code = signals.received() => {
            reports.interrupt();
            Ok(code)
        }
        code = perform(args, &reports) => code,
    }
}

async fn perform(args: &args::Test, reports: &Reports) -> Result<u8, Refusals> {
    match args.component {
        true => component::test(args, reports).await,
        false => {
            let project = Project::find(&args.directory).map_err(refusals)?;
            let tests = native(&project, &args.args)?;
            native_tests(tests, reports).await
        }
    }
}

/// The command that runs the tests of a project in the author's own language.
///
/// # Errors
///
/// If nexum knows none for the language.
fn native(project: &Project, args: &[OsString]) -> Result<Command, Refusal> {
    let mut command = match project.language {
        Language::Rust => {
            let mut cargo = Command::new("cargo");
            cargo.arg("test");
            cargo
        }
        language => {
            let refusal = Refusal::new(format!("nexum knows no native tests for {language}"));
            return Err(refusal.with_hint("`nexum test --component` checks the component"));
        }
    };
    command.args(args).current_dir(&project.directory);
    Ok(command)
}

/// Runs native tests to their end. They print their own failures.
async fn native_tests(mut tests: Command, reports: &Reports) -> Result<u8, Refusals> {
    let ran = reports.blocking(move |progress| match nexum_build::process::run(&mut tests, progress) {
        Err(Error::Failed { .. }) => Ok(FAILED),
        ran => ran.map(|()| STOPPED),
    });
    Ok(ran.await?)
}
