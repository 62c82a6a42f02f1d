//! Checks commands as `nexum exec` does, without running them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use nexum_exec::Command;

use crate::command::command_files::Finding;
use crate::process::{self, Termination};
use crate::report::{Refusal, Refusals};

/// The result of a check of commands.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) commands: Vec<Finding>,
    pub(super) errors: Refusals,
}

/// Checks and compiles each command with the default limits of `nexum exec`. Returns the exit code
/// if a signal ends the check.
///
/// # Errors
///
/// If the check cannot start.
pub(super) fn check(commands: &[PathBuf]) -> Result<ControlFlow<u8, Checked>, Refusals> {
    if commands.is_empty() {
        return Ok(ControlFlow::Continue(Checked::default()));
    }
    process::block_on(async {
        let mut termination = Termination::new().map_err(|error| Refusal::of(&error))?;
        tokio::select! {
            checked = check_each(commands) => Ok(ControlFlow::Continue(checked)),
            code = termination.received() => Ok(ControlFlow::Break(code)),
        }
    })?
}

async fn check_each(commands: &[PathBuf]) -> Checked {
    let mut checked = Checked::default();
    for path in commands {
        match Command::new(path).check().await {
            Ok(file) => checked.commands.push(Finding::of(path, &file)),
            Err(errors) => checked
                .errors
                .extend(errors.iter().map(Refusal::with_hint_of).collect()),
        }
    }
    checked
}
