//! Child processes, whose errors name the command.

use std::env;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::progress::check;
use crate::{Error, Progress};

/// The pause between two looks at a running child. It is much shorter than any child runs.
const POLL: Duration = Duration::from_millis(5);

/// The time that an interrupted group of processes has to clean up, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The most lines of a failed program's output in an error: the end of it, where tools write the
/// reason.
const OUTPUT_LINES_MAX: usize = 40;

/// Runs a command until it exits. The command inherits stdout and stderr, and stdin if the caller
/// cannot interrupt it.
///
/// # Errors
///
/// Fails if the command cannot start or fails, or if the caller interrupts it.
pub fn run(command: &mut Command, progress: &dyn Progress) -> Result<(), Error> {
    if progress.interrupt().is_some() {
        // A background group must not read from the terminal.
        command.stdin(Stdio::null());
    }
    run_with_own_input(command, progress)
}

/// Runs a command until it exits. The command inherits stdout and stderr, and its stdin is what the
/// caller has set.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_with_own_input(command: &mut Command, progress: &dyn Progress) -> Result<(), Error> {
    let mut child = start(command, progress)?;
    let status = wait(&mut child, command, progress)?;
    succeeded(command, status, String::new)
}

/// Runs a command until it exits, and returns its stdout. The error of a failure has the end of its
/// stderr.
///
/// # Errors
///
/// As [`run`], and if the command does not print UTF-8.
pub fn output(command: &mut Command, progress: &dyn Progress) -> Result<String, Error> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = start(command, progress)?;
    let stderr = child.stderr.take().map(drain);
    let (status, stdout) = finish(child, command, progress)?;
    succeeded(command, status, || {
        stderr.map_or_else(String::new, |reader| end_of(&reader.join().unwrap_or_default()))
    })?;
    text(command, stdout)
}

/// Runs a command until it exits, and returns its stdout. The command inherits stderr, where it
/// writes messages for the author.
///
/// # Errors
///
/// As [`output`].
pub fn stdout(command: &mut Command, progress: &dyn Progress) -> Result<String, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = start(command, progress)?;
    let (status, stdout) = finish(child, command, progress)?;
    succeeded(command, status, String::new)?;
    text(command, stdout)
}

/// Gives a command a temporary directory of its own. Dropping the value removes the directory, with the files that
/// an interrupted command left there.
///
/// # Errors
///
/// Fails if the directory cannot be made.
pub(crate) fn temporary_directory(command: &mut Command) -> Result<TempDir, Error> {
    let directory = tempfile::tempdir().map_err(Error::file("make", &env::temp_dir()))?;
    command.env("TMPDIR", directory.path());
    Ok(directory)
}

/// Whether a program with this name can start.
pub fn exists(program: impl AsRef<OsStr>) -> bool {
    let probe = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !matches!(probe, Err(error) if error.kind() == ErrorKind::NotFound)
}

/// The command as a shell line, for messages.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn start(command: &mut Command, progress: &dyn Progress) -> Result<Child, Error> {
    check(progress)?;
    if progress.interrupt().is_some() {
        command.process_group(0);
    }
    without_own(command).spawn().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// Waits for a child with piped stdout. Returns its status and its output.
fn finish(mut child: Child, command: &Command, progress: &dyn Progress) -> Result<(ExitStatus, Vec<u8>), Error> {
    let stdout = child.stdout.take().map(drain);
    let status = wait(&mut child, command, progress)?;
    let stdout = stdout.map_or_else(Vec::new, |reader| reader.join().unwrap_or_default());
    Ok((status, stdout))
}

/// Reads a pipe to its end in a thread, so that a full pipe never blocks the child.
fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // After a fault of the pipe, the exit status of the child tells whether it succeeded.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, command: &Command, progress: &dyn Progress) -> Result<ExitStatus, Error> {
    let failed = |source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    };
    if progress.interrupt().is_none() {
        return child.wait().map_err(failed);
    }
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            // A signal to the child alone, or a child that fails because of the interrupt.
            check(progress)?;
            return Ok(status);
        }
        if let Err(interrupted) = check(progress) {
            end(child);
            return Err(interrupted);
        }
        thread::sleep(POLL);
    }
}

/// Ends a child and the processes that it started: asks them first, and kills those that stay.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = |signal| group.map(|group| kill_process_group(group, signal));
    signal(Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(POLL);
    }
    // Processes of the group can outlive their leader.
    signal(Signal::KILL);
    let _ = child.wait();
}

fn succeeded(command: &Command, status: ExitStatus, output: impl FnOnce() -> String) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        command: line(command),
        status,
        output: output(),
    })
}

fn text(command: &Command, stdout: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(stdout).map_err(|_| Error::Output {
        command: line(command),
        reason: "it is not UTF-8".to_owned(),
    })
}

fn end_of(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES_MAX)..].join("\n")
}

/// Removes the variables that are for this program alone.
///
/// - `cargo run` describes this program's package. Build scripts of dependencies read variables of these
///   names: cargo would compile some dependencies again for each directory that this program was built
///   in.
/// - systemd addresses this program. A child with its socket could report in this program's name.
fn without_own(command: &mut Command) -> &mut Command {
    let names = env::vars_os().map(|(name, _)| name);
    let own = names.filter(|name| is_own(&name.to_string_lossy()));
    own.fold(command, |command, name| command.env_remove(name))
}

fn is_own(variable: &str) -> bool {
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    of_package.iter().any(|prefix| variable.starts_with(prefix)) || OF_SYSTEMD.contains(&variable)
}

/// The variables with which systemd addresses a service.
const OF_SYSTEMD: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
];

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::Silent;
    use crate::progress::Interruptible;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_child_does_not_see_the_variables_of_this_program() {
        // Cargo sets the variable for tests, too.
        assert_eq!(env::var("CARGO_PKG_NAME").as_deref(), Ok("nexum-build"));
        let variables = output(&mut Command::new("env"), &Silent).expect("the variables of a child");
        assert!(variables.contains("PATH="), "{variables}");
        let names: Vec<_> = variables.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(!names.iter().any(|name| is_own(name)), "{variables}");
        assert!(is_own("NOTIFY_SOCKET") && is_own("CARGO_PKG_NAME") && !is_own("LISTEN_ADDRESS"));
    }

    #[test]
    fn an_error_has_the_command_and_its_stderr() {
        let error = output(&mut shell("echo first >&2; echo reason >&2; exit 3"), &Silent).expect_err("a failure");
        assert_eq!(
            error.to_string(),
            "`sh -c echo first >&2; echo reason >&2; exit 3` failed: exit status: 3\nfirst\nreason"
        );
    }

    #[test]
    fn an_error_has_the_end_of_a_long_output() {
        let lines: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(end_of(lines.join("\n").as_bytes()), lines[60..].join("\n"));
    }

    #[test]
    fn files_of_a_killed_command_are_removed() {
        let mut command = shell("mkdir \"$TMPDIR/made\" && echo large > \"$TMPDIR/made/file\"; kill -KILL $$");
        let directory = temporary_directory(&mut command).expect("a directory");
        output(&mut command, &Silent).expect_err("a failure");
        let path = directory.path().to_owned();
        assert!(path.join("made/file").exists());
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn an_interrupt_ends_a_child_and_its_children() {
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = directory.path().join("alive");
        output(Command::new("mkfifo").arg(&fifo), &Silent).expect("a pipe");
        let caller = Interruptible::default();
        // The child and a process below it keep the pipe open as long as they live.
        let script = format!(
            "exec 3>'{}'; (trap '' TERM; sleep 1000) & echo ready >&3; wait",
            fifo.display()
        );
        let mut ended = Err(Error::Interrupted);
        thread::scope(|scope| {
            let child = scope.spawn(|| run(&mut shell(&script), &caller));
            let mut pipe = std::fs::File::open(&fifo).expect("the pipe");
            let mut ready = [0; 6];
            pipe.read_exact(&mut ready).expect("the child writes");
            caller.0.store(true, Ordering::Relaxed);
            let mut rest = Vec::new();
            pipe.read_to_end(&mut rest)
                .expect("the end of the pipe, when no process has it");
            ended = child.join().expect("no panic");
        });
        assert!(matches!(ended, Err(Error::Interrupted)), "{ended:?}");
        // After the interrupt, nothing starts.
        assert!(matches!(output(&mut shell("true"), &caller), Err(Error::Interrupted)));
    }
}
