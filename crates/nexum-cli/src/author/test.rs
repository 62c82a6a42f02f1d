//! `nexum test`: the native tests of a project, and its component in the runtime.

mod component;

use std::ffi::OsString;
use std::process::Command;

use nexum_build::{Error, Language, Project};

use super::local::reports::{Reports, refusals};
use super::local::sample::Emissions;
use crate::exit_code::{FAILED, STOPPED};
use crate::process::Termination;
use crate::report::print::outln;
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
    let mut signals = Termination::with_hangup().map_err(|error| Refusal::of(&error))?;
    let reports = Reports::default();
    let mut emissions = Emissions::default();
    let code = tokio::select! {
        biased;
        code = signals.received() => {
            reports.interrupt().await;
            Ok(code)
        }
        code = perform(args, &reports, &mut emissions) => code,
    };
    emissions.finish().await;
    code
}

async fn perform(args: &args::Test, reports: &Reports, emissions: &mut Emissions) -> Result<u8, Refusals> {
    match args.component {
        true => component::test(args, reports, emissions).await,
        false => {
            let project = Project::find(&args.directory).map_err(refusals)?;
            match native(project, &args.args, reports).await? {
                Some(tests) => native_tests(tests, reports).await,
                None => Ok(STOPPED),
            }
        }
    }
}

/// The command that runs the native tests of a project, with [`arguments`]. `None` for a project
/// without native tests, after a line that says so.
///
/// # Errors
///
/// As [`nexum_build::test_command`].
async fn native(project: Project, args: &[OsString], reports: &Reports) -> Result<Option<Command>, Refusal> {
    let (name, language) = (project.name.clone(), project.language);
    let command = reports.blocking(move |progress| nexum_build::test_command(&project, progress));
    let Some(mut command) = command.await? else {
        outln!("{name} has no native tests: a module in C has them in the directory test");
        return Ok(None);
    };
    command.args(arguments(language, args));
    Ok(Some(command))
}

/// The arguments of the command that runs the tests. In Rust, they are for the test programs. With a
/// `--` among them, those before it are for cargo.
fn arguments(language: Language, args: &[OsString]) -> Vec<OsString> {
    let separator = OsString::from("--");
    let needs_one = language == Language::Rust && !args.is_empty() && !args.contains(&separator);
    needs_one
        .then_some(separator)
        .into_iter()
        .chain(args.iter().cloned())
        .collect()
}

/// Runs native tests to their end. They print their own failures.
async fn native_tests(mut tests: Command, reports: &Reports) -> Result<u8, Refusals> {
    let ran = reports.blocking(move |progress| match nexum_build::process::run(&mut tests, progress) {
        Err(Error::Failed { .. }) => Ok(FAILED),
        ran => ran.map(|()| STOPPED),
    });
    Ok(ran.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_those_of_the_test_programs() {
        let given = |language, args: &[&str]| {
            let args: Vec<_> = args.iter().map(OsString::from).collect();
            arguments(language, &args)
        };
        assert_eq!(given(Language::Rust, &[]), [""; 0]);
        assert_eq!(given(Language::Rust, &["--nocapture"]), ["--", "--nocapture"]);
        let of_cargo = ["--test", "component", "--", "--nocapture"];
        assert_eq!(given(Language::Rust, &of_cargo), of_cargo);
        assert_eq!(given(Language::Python, &["-v"]), ["-v"]);
    }
}
