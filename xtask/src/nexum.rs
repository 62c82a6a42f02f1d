//! A nexum that is started, watched and killed.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    paths,
    process::{self, pause},
};

/// How often it is looked whether something has come that is waited for.
const POLL: Duration = Duration::from_millis(5);

/// How long nexum may take to stop in order: twice its own bound for the event in hand.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Builds nexum, with the selection that the tests have, and what shows its state, and returns where they lie.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args(["build", "--workspace", "--all-features"]);
    cargo.args(["--bin", "nexum", "--example", "kept"]);
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(paths::root()
        .join("target")
        .join(if release { "release" } else { "debug" }))
}

/// Somebody who reads nexum's log, line by line.
pub(crate) trait Listener: Default + Send + 'static {
    /// Takes note of a line. Of a process that is killed it may be half a line.
    fn note(&mut self, line: &str);

    /// Fails once something was said that never should be.
    fn check(&self) -> Result<()>;
}

/// A running nexum, which ends when this is dropped.
pub(crate) struct Nexum<L> {
    child: Child,
    seen: Arc<Mutex<L>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// It was killed.
    Killed,
    /// It had ended before that.
    ByItself(ExitStatus),
}

impl<L: Listener> Nexum<L> {
    /// Starts the program, whose log is added to a file.
    pub(crate) fn start(program: &Path, config: &Path, log: &Path, environment: &[(&str, &Path)]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["run", "--config"])
            .arg(config)
            .envs(environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::line(&command)))?;
        let seen = Arc::<Mutex<L>>::default();
        let stdout = child.stdout.take().context("nexum has no stdout")?;
        let stderr = child.stderr.take().context("nexum has no stderr")?;
        let readers = vec![follow(stdout, log.try_clone()?, &seen), follow(stderr, log, &seen)];
        Ok(Self { child, seen, readers })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What its log has said by now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, L> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until its log says something; returns whether it did before patience, or the process, came to an end.
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

    /// Kills it, as a crash does, and returns what it had said.
    pub(crate) fn kill(mut self) -> Result<(End, L)> {
        let end = match self.child.try_wait()? {
            Some(status) => End::ByItself(status),
            None => End::Killed,
        };
        self.child.kill()?;
        self.child.wait()?;
        Ok((end, self.finish()?))
    }

    /// Asks it to stop, as an operator does, waits until it has, and returns what it had said.
    pub(crate) fn stop(mut self) -> Result<L> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
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
        anyhow::ensure!(status.success(), "nexum was asked to stop, and ended with {status}");
        Ok(seen)
    }

    fn finish(&mut self) -> Result<L> {
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                bail!("nexum's output cannot be read");
            }
        }
        let seen = std::mem::take(&mut *self.seen());
        seen.check()?;
        Ok(seen)
    }
}

impl<L> Drop for Nexum<L> {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one of the outputs to its end.
fn follow<L: Listener>(output: impl Read + Send + 'static, mut log: File, seen: &Arc<Mutex<L>>) -> JoinHandle<()> {
    let seen = seen.clone();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).note(&line);
            // Without the log there is less to look at, and nothing else is worse for it.
            let _ = writeln!(log, "{line}");
        }
    })
}
