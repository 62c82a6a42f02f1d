//! The child process in which this binary compiles components.

use std::path::PathBuf;

use nexum_core::engine::{ChildProgram, Compiler};

/// The command that compiles one component.
const COMMAND: &str = "compile";

/// This binary, also after an upgrade has replaced its file.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where this binary compiles components.
pub(crate) fn compiler() -> Compiler {
    let this = PathBuf::from(THIS_PROGRAM);
    let program = match this.exists() {
        true => Ok(this),
        false => std::env::current_exe(),
    };
    program.map_or(Compiler::InProcess, |program| {
        Compiler::Child(ChildProgram {
            program,
            args: vec![COMMAND.into()],
        })
    })
}
