//! The child process in which this binary compiles components.

use std::io;
use std::path::PathBuf;

use nexum_core::engine::{ChildProgram, Compiler};

/// The command that compiles one component.
const COMMAND: &str = "compile";

/// This binary, also after an upgrade has replaced its file.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where this binary compiles components.
pub(crate) fn compiler() -> Compiler {
    this_program().map_or(Compiler::InProcess, |program| {
        Compiler::Child(ChildProgram {
            program,
            args: vec![COMMAND.into()],
        })
    })
}

/// The path of this binary, for a child process.
///
/// # Errors
///
/// If the system does not tell it.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    let this = PathBuf::from(THIS_PROGRAM);
    match this.exists() {
        true => Ok(this),
        false => std::env::current_exe(),
    }
}
