//! A nexum that is started, watched and killed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::pause;
use crate::process;

/// How often it is looked whether something has come that is waited for.
const POLL: Duration = Duration::from_millis(5);

/// How long nexum may take to stop in order: twice its own bound for the event in hand.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// A running nexum, which ends when this is dropped.
pub(super) struct Nexum {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    readers: Vec<JoinHandle<()>>,
}

/// What its log says so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How many events were handled.
    pub(super) handled: u64,
    /// How many transactions could not be written.
    pub(super) failed_writes: u64,
    /// How many events of its newest block each module has handled of each chain, and which that is.
    newest: BTreeMap<(String, u64), (u64, u64)>,
    /// What must never be said.
    fault: Option<String>,
}

/// What nexum says of an event that is committed, of a transaction that failed, and of what must never be.
const HANDLED: &str = "\"event handled\"";
const FAILED_WRITE: &str = "the state store cannot be written";
const FAULTS: [&str; 4] = ["the module is dead", "panicked", "is damaged", "a fault of nexum"];

/// How a process ended.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// It was killed.
    Killed,
    /// It had ended before that.
    ByItself(ExitStatus),
}

impl Nexum {
    /// Starts the program, whose log is added to a file.
    pub(super) fn start(program: &Path, config: &Path, log: &Path, environment: &[(&str, &Path)]) -> Result<Self> {
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
        let seen = Arc::default();
        let stdout = child.stdout.take().context("nexum has no stdout")?;
        let stderr = child.stderr.take().context("nexum has no stderr")?;
        let readers = vec![follow(stdout, log.try_clone()?, &seen), follow(stderr, log, &seen)];
        Ok(Self { child, seen, readers })
    }

    /// What its log has said by now.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until its log says something; returns whether it did before patience, or the process, came to an end.
    pub(super) fn wait_until(&mut self, says: impl Fn(&Seen) -> bool, patience: Duration) -> Result<bool> {
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
    pub(super) fn kill(mut self) -> Result<(End, Seen)> {
        let end = match self.child.try_wait()? {
            Some(status) => End::ByItself(status),
            None => End::Killed,
        };
        self.child.kill()?;
        self.child.wait()?;
        Ok((end, self.finish()?))
    }

    /// Asks it to stop, as an operator does, waits until it has, and returns what it had said.
    pub(super) fn stop(mut self) -> Result<Seen> {
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

    fn finish(&mut self) -> Result<Seen> {
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

impl Drop for Nexum {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    /// Whether each of these modules has handled so many events of this block of a chain.
    pub(super) fn has_handled(&self, chain: u64, block: u64, modules: &[(&str, u64)]) -> bool {
        let done = |(module, events): &(&str, u64)| {
            self.newest
                .get(&((*module).to_owned(), chain))
                .is_some_and(|newest| newest.0 == block && newest.1 >= *events)
        };
        modules.iter().all(done)
    }

    /// Whether any module has come as far as this block of a chain.
    pub(super) fn has_reached(&self, chain: u64, block: u64) -> bool {
        let mut of_chain = self.newest.iter().filter(|((_, known), _)| *known == chain);
        of_chain.any(|(_, (newest, _))| *newest >= block)
    }

    fn check(&self) -> Result<()> {
        match &self.fault {
            Some(line) => bail!("nexum said what it never should: {line}"),
            None => Ok(()),
        }
    }

    fn note(&mut self, line: &str) {
        if line.contains(HANDLED) {
            self.note_handled(line);
        } else if line.contains(FAILED_WRITE) {
            self.failed_writes += 1;
        } else if FAULTS.iter().any(|fault| line.contains(fault)) {
            self.fault.get_or_insert_with(|| line.to_owned());
        }
    }

    /// A process that is killed may leave half a line.
    fn note_handled(&mut self, line: &str) {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        let fields = (
            record["module"].as_str(),
            record["chain"].as_u64(),
            record["block"].as_u64(),
        );
        if let (Some(module), Some(chain), Some(block)) = fields {
            self.handled += 1;
            let newest = self.newest.entry((module.to_owned(), chain)).or_insert((block, 0));
            *newest = if newest.0 == block {
                (block, newest.1 + 1)
            } else {
                (block, 1)
            };
        }
    }
}

/// Reads one of the outputs to its end.
fn follow(output: impl Read + Send + 'static, mut log: File, seen: &Arc<Mutex<Seen>>) -> JoinHandle<()> {
    let seen = seen.clone();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).note(&line);
            // Without the log there is less to look at, and nothing else is worse for it.
            let _ = writeln!(log, "{line}");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(module: &str, block: u64) -> String {
        format!(r#"{{"level":"DEBUG","message":"event handled","module":"{module}","chain":7,"block":{block}}}"#)
    }

    #[test]
    fn counts_the_events_of_each_modules_newest_block() {
        let mut seen = Seen::default();
        for line in [
            handled("a", 1),
            handled("a", 2),
            handled("a", 2),
            handled("b", 2),
            handled("a", 3),
        ] {
            seen.note(&line);
        }
        seen.note(&handled("b", 9)[..60]);
        assert_eq!(seen.handled, 5);
        assert!(seen.has_handled(7, 3, &[("a", 1)]) && seen.has_handled(7, 2, &[("b", 1)]));
        assert!(!seen.has_handled(7, 3, &[("a", 1), ("b", 1)]) && !seen.has_handled(8, 3, &[("a", 1)]));
        assert!(seen.has_reached(7, 3) && !seen.has_reached(7, 4) && !seen.has_reached(8, 3));
    }

    #[test]
    fn does_not_pass_over_a_dead_module() {
        let mut seen = Seen::default();
        seen.note(r#"{"level":"WARN","message":"slow"}"#);
        assert!(seen.check().is_ok());
        seen.note(r#"{"level":"ERROR","message":"the module is dead"}"#);
        assert!(seen.check().is_err());
    }
}
