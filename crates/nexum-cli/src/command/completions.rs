//! `nexum completions`.

use clap_complete::Shell;

use crate::args;

/// Prints a completion script for the command line of a build with this version.
pub(crate) fn completions(shell: Shell, version: String) {
    clap_complete::generate(shell, &mut args::command_line(version), "nexum", &mut std::io::stdout());
}
