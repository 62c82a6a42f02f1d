//! The native tests of a project.

use std::process::Command;

use crate::{Error, Language, Progress, Project, javascript, python};

/// The command that runs the native tests of a project, with the directory and the environment that it
/// needs. Writes the SDK of the language first, without which the tests do not load. Returns `None` for
/// a language without native tests.
///
/// The command of a project in Rust is `cargo test`.
///
/// # Errors
///
/// Fails if the machine lacks the interpreter of the language, or if the project lacks its source file.
pub fn test_command(project: &Project, progress: &dyn Progress) -> Result<Option<Command>, Error> {
    match project.language {
        Language::Rust => {
            let mut cargo = Command::new("cargo");
            cargo.arg("test").current_dir(&project.directory);
            Ok(Some(cargo))
        }
        Language::JavaScript => javascript::test_command(project).map(Some),
        Language::Python => python::test_command(project, progress).map(Some),
        Language::C => Ok(None),
    }
}
