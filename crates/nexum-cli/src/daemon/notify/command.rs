//! The delivery of a message to a program.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nexum_config::harmless::harmless;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command as Program};
use tokio::time::timeout;

use super::super::outgoing::Failed;
use crate::process::without_service;

/// The most bytes of a program's stderr that an error shows: a few lines.
const STDERR_BYTES_MAX: u64 = 1_024;

/// The longest wait for the rest of stderr after the program's end. The output of the program is in the
/// pipe already.
const PIPES_TIME_MAX: Duration = Duration::from_millis(500);

/// A program that reads a message on stdin, as JSON on one line.
pub(super) struct Command {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl Command {
    /// A program and its arguments.
    pub(super) fn new(words: Vec<String>, timeout: Duration) -> Self {
        let mut words = words.into_iter();
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            timeout,
        }
    }

    /// The program. An argument may be a secret.
    pub(super) fn label(&self) -> &str {
        &self.program
    }

    /// Runs the program without a shell. The exit code 0 is a success.
    pub(super) async fn deliver(&self, body: &str) -> Result<(), Failed> {
        let program = &self.program;
        let mut command = Program::new(program);
        without_service(command.as_std_mut());
        let spawned = command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // One that is killed is killed with its children, see [`Group`].
            .process_group(0)
            .spawn();
        let mut child = spawned.map_err(|error| Failed::new(format!("{program} cannot be started: {error}")))?;
        let ended = run(&mut child, body, self.timeout).await;
        let ended = ended.map_err(|error| Failed::new(format!("{program} cannot be read: {error}")))?;
        let Some((status, stderr)) = ended else {
            return Err(Failed::new(format!("{program} did not end within {:?}", self.timeout)));
        };
        if status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&stderr);
        let separator = if stderr.trim().is_empty() { "" } else { ": " };
        let stderr = harmless(stderr.trim()).into_owned();
        Err(Failed::new(format!(
            "{program} failed with {status}{separator}{stderr}"
        )))
    }
}

/// Gives a program its stdin, and waits for its end. Returns its status and the begin of its stderr,
/// or `None` if it does not end in time.
async fn run(child: &mut Child, body: &str, time_max: Duration) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let mut group = Group::of(child);
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut text = Vec::new();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program may end without reading.
            let _ = stdin.write_all(format!("{body}\n").as_bytes()).await;
        }
    };
    let read = async {
        if let Some(mut stderr) = stderr {
            // A failed read shortens the text. The status of the program counts.
            let _ = (&mut stderr).take(STDERR_BYTES_MAX).read_to_end(&mut text).await;
            // A closed pipe would kill a program that writes more.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
    };
    let status = {
        let mut pipes = pin!(async { tokio::join!(write, read) });
        let ended = timeout(time_max, async {
            tokio::select! {
                status = child.wait() => (status, false),
                _ = &mut pipes => (child.wait().await, true),
            }
        });
        let Ok((status, are_closed)) = ended.await else {
            return Ok(None);
        };
        group.has_ended();
        if !are_closed {
            // A process that the program leaves behind can hold the pipes for ever.
            let _ = timeout(PIPES_TIME_MAX, pipes).await;
        }
        status?
    };
    Ok(Some((status, text)))
}

/// The group of a program's processes. nexum kills it if the program has not ended when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Spares the processes that the program leaves behind.
    fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // The group may have ended.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}
