//! A test in two processes: the test starts itself again, and the other one works in a directory until it ends or is killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Tells the other process where to work.
const DIRECTORY: &str = "NEXUM_STORE_TEST_DIRECTORY";

/// What a line begins with that is not the test harness's own.
const MARK: &str = "child: ";

/// Where to work, in the other process.
pub(crate) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Says something to the test, past what the harness catches.
pub(crate) fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

/// The other process.
pub(crate) struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts the test of this name again. Its files may have `file_bytes_max` at most, and writes beyond that fail.
    pub(crate) fn start(test: &str, directory: &Path, file_bytes_max: Option<u64>) -> Self {
        let program = std::env::current_exe().unwrap();
        let arguments = [OsStr::new("--exact"), OsStr::new(test), OsStr::new("--nocapture")];
        let mut command = match file_bytes_max {
            None => Command::new(program),
            Some(bytes) => {
                // A write that fails, and no signal that ends the process: it is the shell that can say so.
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

    /// The next thing that it says; none once it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        // The harness writes the test's name without an end of line.
        self.lines
            .find_map(|line| Some(line.unwrap().split_once(MARK)?.1.to_owned()))
    }

    /// Ends it, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// The unit of `ulimit -f` in a POSIX shell.
const ULIMIT_BYTES: u64 = 512;
