//! The daemon of a project: `nexum run`, as a child process whose log this process reads.
//!
//! A child, not a task of this process: the daemon ends and starts again with a new state while
//! `nexum dev` goes on, and a fault of one does not end the other.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::leash::leashed;
use crate::compiler::this_program;
use crate::configure::LEVEL_VARIABLES;
use crate::process;
use crate::report::Refusal;

/// How long the daemon may take to stop: twice the default deadline of an event.
const STOP_MAX: Duration = Duration::from_secs(20);

/// The running daemon. Dropping the value kills it.
#[derive(Debug)]
pub(in crate::author) struct Daemon {
    child: Child,
    log: tokio::io::Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    /// Starts the daemon of a configuration, with more options of `nexum run`. Call it on the main
    /// thread.
    ///
    /// # Errors
    ///
    /// If the process cannot start.
    pub(in crate::author) fn start(config: &Path, options: &[&str]) -> Result<Self, Refusal> {
        let mut run = nexum()?;
        run.args(["run", "--config"]).arg(config).args(options);
        // The log is read here, so its level is not the author's.
        for name in LEVEL_VARIABLES {
            run.env_remove(name);
        }
        let mut command = Command::from(leashed(&run));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let cannot = |error| Refusal::new(format!("cannot start `nexum run`: {error}"));
        let mut child = command.kill_on_drop(true).spawn().map_err(cannot)?;
        let stderr = child.stderr.take();
        let stderr = stderr.ok_or_else(|| Refusal::new("`nexum run` has no stderr"))?;
        Ok(Self {
            child,
            log: BufReader::new(stderr).lines(),
        })
    }

    /// The next line of the log. `None` after the end of the process. The future can be dropped
    /// without the loss of a line.
    pub(in crate::author) async fn line(&mut self) -> Option<String> {
        // After a fault of the pipe, the process has ended.
        self.log.next_line().await.ok().flatten()
    }

    /// Waits for the end of a process that ends by itself.
    ///
    /// # Errors
    ///
    /// If the system does not tell the status.
    pub(in crate::author) async fn ended(mut self) -> Result<ExitStatus, Refusal> {
        self.child.wait().await.map_err(|error| Refusal::of(&error))
    }

    /// Stops the daemon as an operator does, with SIGTERM. Kills it if it does not stop in time.
    pub(in crate::author) async fn stop(mut self) {
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        // The process may have ended.
        let _ = id.map(|id| kill_process(id, Signal::TERM));
        let stop = async {
            while self.line().await.is_some() {}
            self.child.wait().await
        };
        let _ = timeout(STOP_MAX, stop).await;
    }
}

/// A command line of this binary.
///
/// # Errors
///
/// If its path is unknown.
pub(in crate::author) fn nexum() -> Result<std::process::Command, Refusal> {
    let this = this_program().map_err(|error| Refusal::of(&error))?;
    let mut nexum = std::process::Command::new(this);
    process::without_service(&mut nexum);
    Ok(nexum)
}

/// Runs a command line of this binary for the daemon of a configuration. Returns whether it succeeds.
/// With `is_shown`, its output goes to this process's own, so a command that fails has printed its
/// error.
///
/// # Errors
///
/// If it cannot start.
pub(in crate::author) async fn ask(config: &Path, arguments: &[&str], is_shown: bool) -> Result<bool, Refusal> {
    let mut command = nexum()?;
    command.args(arguments).arg("--config").arg(config).stdin(Stdio::null());
    if !is_shown {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let status = Command::from(command).kill_on_drop(true).status().await;
    Ok(status.map_err(|error| Refusal::of(&error))?.success())
}
