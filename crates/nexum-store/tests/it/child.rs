//! A test in two processes: the test starts itself as a child process, which works in a directory
//! until it ends or is killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The variable with the directory, for the child process.
const DIRECTORY: &str = "NEXUM_STORE_TEST_DIRECTORY";

/// The start of a line that is not from the test harness.
const MARK: &str = "child: ";

/// The directory, in the child process.
pub(crate) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Prints a line for the test, which the harness does not capture.
pub(crate) fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

/// The child process.
pub(crate) struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts the test of this name as a child process. Its files may have at most `file_bytes_max`
    /// bytes: writes beyond fail.
    pub(crate) fn start(test: &str, directory: &Path, file_bytes_max: Option<u64>) -> Self {
        let program = std::env::current_exe().unwrap();
        let arguments = [OsStr::new("--exact"), OsStr::new(test), OsStr::new("--nocapture")];
        let mut command = match file_bytes_max {
            None => Command::new(program),
            Some(bytes) => {
                // A write must fail without a signal that ends the process. Only a shell can set
                // this up.
                let script = format!(
                    "trap '' XFSZ; ulimit -S -f {}; exec \"$@\"",
                    bytes.div_ceil(ULIMIT_BYTES)
                );
                let mut shell = Command::new("sh");
                shell.args(["-c", &script, "sh"]).arg(program);
                shell
            }
        };
        let command = command.args(arguments).env(DIRECTORY, directory).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        Self {
            child,
            lines: BufReader::new(out).lines(),
        }
    }

    /// The child's next line. None after its end.
    pub(crate) fn hear(&mut self) -> Option<String> {
        // The harness prints the test's name without a line break.
        self.lines
            .find_map(|line| Some(line.unwrap().split_once(MARK)?.1.to_owned()))
    }

    /// Kills the child.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Stops the child, as a machine that is suspended does.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the child go on.
    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// The unit of `ulimit -f` in a POSIX shell.
const ULIMIT_BYTES: u64 = 512;
