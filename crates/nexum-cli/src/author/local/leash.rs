//! Child processes that do not outlive this process, whatever ends it.
//!
//! On Linux, the system kills such a child when its parent ends. A process can ask for that only for
//! itself, so a child starts as this binary with a hidden command, asks, and then becomes the
//! program. On other systems, a child outlives a parent that SIGKILL ends.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::args;
use crate::compiler::this_program;
use crate::report::{Refusal, Refusals};

/// The hidden command.
const COMMAND: &str = "leash";

/// The name of this binary in lists of processes, in place of a path below `/proc`.
const NAME: &str = "nexum";

/// The command that starts a program as a child which ends with this process. Start it on a thread
/// that lives as long as the process: Linux takes the end of that thread for the end of the parent.
///
/// The child has a process group of its own: Ctrl-C in a terminal is for the parent, which then ends
/// the child.
pub(in crate::author) fn leashed(command: &Command) -> Command {
    let mut leashed = match this_program() {
        Ok(this) => {
            let mut leash = Command::new(this);
            leash.arg0(NAME);
            leash.arg(COMMAND).arg(std::process::id().to_string());
            leash.arg(command.get_program());
            leash
        }
        Err(_) => Command::new(command.get_program()),
    };
    leashed.args(command.get_args()).process_group(0);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => leashed.env(name, value),
            None => leashed.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        leashed.current_dir(directory);
    }
    leashed
}

/// Becomes the program of a command line that [`leashed`] made.
///
/// # Errors
///
/// If the parent has ended, or the program cannot start.
pub(crate) fn leash(args: &args::Leash) -> Result<u8, Refusals> {
    system::end_with_parent(args.parent)?;
    let mut program = Command::new(&args.program);
    if this_program().is_ok_and(|this| this.as_os_str() == args.program) {
        program.arg0(NAME);
    }
    let error = program.args(&args.args).exec();
    Err(Refusal::new(format!("cannot start {}: {error}", args.program.to_string_lossy())).into())
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    use crate::report::Refusal;

    pub(in crate::author) fn end_with_parent(parent: u32) -> Result<(), Refusal> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| Refusal::of(&error))?;
        // The parent may have ended before the request.
        let is_child = getppid().is_some_and(|pid| u32::try_from(pid.as_raw_pid()) == Ok(parent));
        match is_child {
            true => Ok(()),
            false => Err(Refusal::new("the process that started this one has ended")),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use crate::report::Refusal;

    #[expect(clippy::unnecessary_wraps, reason = "the signature of the function for Linux")]
    pub(in crate::author) fn end_with_parent(_: u32) -> Result<(), Refusal> {
        Ok(())
    }
}
