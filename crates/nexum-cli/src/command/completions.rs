//! `nexum completions`.

use std::io::Write as _;

use clap_complete::Shell;

use crate::args;
use crate::report::print::end_on_failed_write;

/// Prints a completion script for the command line of a build with this version.
pub(crate) fn completions(shell: Shell, version: String) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command_line(version), "nexum", &mut script);
    if let Err(error) = std::io::stdout().write_all(&script) {
        end_on_failed_write(&error);
    }
}
