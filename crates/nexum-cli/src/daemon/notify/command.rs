//! The delivery of a message to a program.

use std::process::Stdio;
use std::time::Duration;

use nexum_config::harmless::harmless;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command as Program};

use super::delivery::Failed;
use crate::process::without_service;

/// The most bytes of a program's stderr that an error shows: a few lines.
const STDERR_BYTES_MAX: u64 = 1_024;

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
            // All that it starts ends with it.
            .process_group(0)
            .spawn();
        let mut child = spawned.map_err(|error| Failed::new(format!("{program} cannot be started: {error}")))?;
        let group = child.id();
        let ended = tokio::time::timeout(self.timeout, run(&mut child, body)).await;
        if ended.is_err() {
            kill(group);
        }
        let (status, stderr) = match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => return Err(Failed::new(format!("{program} cannot be read: {error}"))),
            Err(_) => return Err(Failed::new(format!("{program} did not end within {:?}", self.timeout))),
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

/// Gives a program its stdin, and waits for its end. Returns its status and the begin of its stderr.
async fn run(child: &mut Child, body: &str) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program may end without reading.
            let _ = stdin.write_all(format!("{body}\n").as_bytes()).await;
        }
    };
    let read = async {
        let mut text = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(STDERR_BYTES_MAX).read_to_end(&mut text).await?;
        }
        Ok::<_, std::io::Error>(text)
    };
    let ((), text, status) = tokio::join!(write, read, child.wait());
    Ok((status?, text?))
}

/// Ends a group of processes.
fn kill(group: Option<u32>) {
    let id = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // The group may have ended.
        let _ = kill_process_group(id, Signal::KILL);
    }
}
