//! A server that a task starts, stops and asks.

use std::{
    fs,
    os::unix::fs::chown,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::process;

/// The user of the server where the task is root's, as which PostgreSQL refuses to run.
const SERVER_UID: u32 = 65_534;

/// The user of the database. The directory of the socket keeps others out.
const USER: &str = "nexum";

/// The name of the socket in the server's directory: the server's default port names it.
const SOCKET: &str = ".s.PGSQL.5432";

/// Separates the columns of an answer.
const SEPARATOR: char = '\t';

/// A server in a directory of its own, on a Unix socket. It syncs each commit. Dropping it stops it.
pub(crate) struct Server {
    programs: PathBuf,
    directory: TempDir,
}

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stop {
    /// It ends its connections and writes everything, as an operator stops it.
    Fast,
    /// It ends at once, as a crash does. The next start recovers.
    Immediate,
}

impl Server {
    /// Makes an empty database and starts the server.
    pub(crate) fn start() -> Result<Self> {
        // The path of a Unix socket has to be short.
        let directory = tempfile::Builder::new().prefix("nexum-pg").tempdir_in("/tmp")?;
        if geteuid().is_root() {
            chown(directory.path(), Some(SERVER_UID), Some(SERVER_UID))?;
        }
        let server = Self {
            programs: super::ensure()?,
            directory,
        };
        let mut initdb = server.program("initdb");
        initdb.arg("--pgdata").arg(server.data());
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        process::output(initdb.args(["--username", USER]))?;
        server.restart()?;
        Ok(server)
    }

    /// Starts the server again. Returns when it accepts writes.
    pub(crate) fn restart(&self) -> Result<()> {
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c max_connections=100",
            self.directory.path().display()
        );
        let mut start = self.control();
        start.args(["start", "--wait", "--options", &options, "--log"]);
        let log = self.directory.path().join("log");
        // The server inherits the streams, so that a pipe would not end.
        let status = start.arg(&log).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        ensure!(status.success(), "PostgreSQL does not start: {}", said());
        Ok(())
    }

    /// Stops the server.
    pub(crate) fn stop(&self, stop: Stop) -> Result<()> {
        let mode = match stop {
            Stop::Fast => "--mode=fast",
            Stop::Immediate => "--mode=immediate",
        };
        process::output(self.control().args(["stop", "--wait", mode])).map(drop)
    }

    /// The server's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// Runs statements, and returns the rows of the last one. A null is an empty text.
    pub(crate) fn query(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let text = self.text(sql)?;
        let row = |line: &str| line.split(SEPARATOR).map(str::to_owned).collect();
        Ok(text.lines().map(row).collect())
    }

    /// Runs statements, and returns the lines of the last one's rows.
    pub(crate) fn text(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        psql.arg(format!("--field-separator={SEPARATOR}"));
        psql.arg("--host").arg(self.directory.path());
        psql.args(["--username", USER, "--dbname=postgres", "--command", sql]);
        process::output(&mut psql)
    }

    fn control(&self) -> Command {
        let mut control = self.program("pg_ctl");
        control.arg("--pgdata").arg(self.data()).arg("--silent");
        control.stdin(Stdio::null());
        control
    }

    /// A program of the server, as a user that is not root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        if !geteuid().is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={SERVER_UID}"), format!("--regid={SERVER_UID}")]);
        command.arg("--clear-groups").arg(path).current_dir("/");
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = self.control();
        stop.args(["stop", "--mode=immediate", "--timeout=10"]);
        // The server may have stopped already.
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The URL of a server's database behind a port of this machine.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/postgres")
}
