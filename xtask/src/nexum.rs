//! The nexum process that a task starts, watches and kills.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    paths,
    process::{self, pause},
};

/// The interval between checks of a condition that a task waits for.
const POLL: Duration = Duration::from_millis(5);

/// The age up to which a process may not handle signals yet.
const EARLY: Duration = Duration::from_secs(15);

/// The time that nexum may take to stop: twice the default deadline of an event.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The example that prints a module's state.
const KEPT: &str = "kept";

/// Builds nexum with the features of the tests, and the example that prints its state. Returns the
/// directory of the programs.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    build_with(KEPT, release)
}

/// Builds nexum with the features of the tests, and an example. Returns the directory of the programs.
pub(crate) fn build_with(example: &str, release: bool) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args(["build", "--workspace", "--all-features"]);
    cargo.args(["--bin", "nexum", "--example", example]);
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(paths::root()
        .join("target")
        .join(if release { "release" } else { "debug" }))
}

/// A reader of nexum's log lines.
pub(crate) trait Listener: Default + Send + 'static {
    /// Reads a line. The last line of a killed process can be incomplete.
    fn note(&mut self, line: &str);

    /// Fails after a log line that reports a broken guarantee.
    fn check(&self) -> Result<()>;
}

/// A running nexum process. Dropping the value kills it.
pub(crate) struct Nexum<L> {
    child: Child,
    started: Instant,
    seen: Arc<Mutex<L>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// The task killed it.
    Killed,
    /// It exited before the task killed it.
    ByItself(ExitStatus),
}

impl<L: Listener> Nexum<L> {
    /// Starts `nexum run`. Its output is appended to the file `log`.
    pub(crate) fn start(program: &Path, config: &Path, log: &Path, environment: &[(&str, &Path)]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["run", "--config"])
            .arg(config)
            .envs(environment.iter().copied());
        Self::of(&mut command, log)
    }

    /// Starts a command of nexum that runs until it is stopped.
    pub(crate) fn of(command: &mut Command, log: &Path) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::line(command)))?;
        let seen = Arc::<Mutex<L>>::default();
        let stdout = child.stdout.take().context("nexum has no stdout")?;
        let stderr = child.stderr.take().context("nexum has no stderr")?;
        let readers = vec![follow(stdout, log.try_clone()?, &seen), follow(stderr, log, &seen)];
        let started = Instant::now();
        Ok(Self {
            child,
            started,
            seen,
            readers,
        })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The status of a process that has exited by itself.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// The listener, with every line up to now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, L> {
        self.seen.lock()
    }

    /// Waits until the log satisfies `says`. Returns false after `patience` or after the process
    /// exits.
    pub(crate) fn wait_until(&mut self, says: impl Fn(&L) -> bool, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            {
                let seen = self.seen();
                seen.check()?;
                if says(&seen) {
                    return Ok(true);
                }
            }
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            pause(POLL)?;
        }
        Ok(false)
    }

    /// Kills the process, as a crash does, and returns the listener.
    pub(crate) fn kill(mut self) -> Result<(End, L)> {
        let end = match self.child.try_wait()? {
            Some(status) => End::ByItself(status),
            None => End::Killed,
        };
        self.child.kill()?;
        self.child.wait()?;
        Ok((end, self.finish()?))
    }

    /// Stops the process with SIGTERM, as an operator does, waits until it exits, and returns the
    /// listener.
    pub(crate) fn stop(mut self) -> Result<L> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("nexum did not stop within {} s", STOP_PATIENCE.as_secs());
            }
            pause(POLL)?;
        };
        let seen = self.finish()?;
        // The signal itself ends a process that has just started, or still waits for its database.
        let is_early = self.started.elapsed() < EARLY && status.signal() == Some(Signal::TERM.as_raw());
        anyhow::ensure!(status.success() || is_early, "nexum exited with {status} after SIGTERM");
        Ok(seen)
    }

    fn finish(&mut self) -> Result<L> {
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                bail!("cannot read nexum's output");
            }
        }
        let seen = std::mem::take(&mut *self.seen());
        seen.check()?;
        Ok(seen)
    }
}

impl<L> Drop for Nexum<L> {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one output stream until its end.
fn follow<L: Listener>(output: impl Read + Send + 'static, mut log: File, seen: &Arc<Mutex<L>>) -> JoinHandle<()> {
    let seen = seen.clone();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            seen.lock().note(&line);
            // The copy in the file is only for people, so the task continues without it.
            let _ = writeln!(log, "{line}");
        }
    })
}
