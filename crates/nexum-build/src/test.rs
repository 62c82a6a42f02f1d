//! The native tests of a project.

use std::process::Command;

use crate::{Error, Language, Progress, Project, c, javascript, python};

/// The command that runs the native tests of a project, with the directory and the environment that it
/// needs. Writes the SDK of the language first, without which the tests do not load, and compiles the test of
/// a project in C. Returns `None` for a project in C without a test.
///
/// The command of a project in Rust is `cargo test`.
///
/// # Errors
///
/// Fails if the machine lacks the interpreter or compiler of the language, if the project lacks its source
/// file, or if the test of a project in C does not compile.
pub fn test_command(project: &Project, progress: &dyn Progress) -> Result<Option<Command>, Error> {
    match project.language {
        Language::Rust => {
            let mut cargo = Command::new("cargo");
            cargo.arg("test").current_dir(&project.directory);
            Ok(Some(cargo))
        }
        Language::JavaScript => javascript::test_command(project).map(Some),
        Language::Python => python::test_command(project, progress).map(Some),
        Language::C => c::test_command(project, progress),
    }
}

#[cfg(test)]
mod tests;
