//! A real PostgreSQL server, on a Unix socket.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// The environment variable with the directory of the server's programs. Without it, `PATH` is searched.
const VARIABLE: &str = "NEXUM_POSTGRES";

/// The user of the server where the tests are those of root, as which PostgreSQL refuses to run.
const SERVER_UID: u32 = 65_534;

/// The user of the database, and its password.
const USER: &str = "nexum";
const PASSWORD: &str = "a password that must not be seen";

/// A server in a directory of its own. It syncs each commit. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    schemas: AtomicU32,
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// If the programs are missing or fail.
    pub fn start() -> Self {
        // A Unix socket has a short path.
        let directory = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .expect("a directory");
        if is_root() {
            chown(directory.path(), Some(SERVER_UID), Some(SERVER_UID)).expect("a new owner");
        }
        let server = Self {
            directory,
            schemas: AtomicU32::new(0),
        };
        let password = server.password_file();
        fs::write(&password, format!("{PASSWORD}\n")).expect("a password file");
        private(&password);
        let of_server = server.path("initial");
        fs::copy(&password, &of_server).expect("a password file");
        if is_root() {
            chown(&of_server, Some(SERVER_UID), Some(SERVER_UID)).expect("a new owner");
        }
        let initialised = program("initdb")
            .arg("--pgdata")
            .arg(server.data())
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--username",
                USER,
            ])
            .arg("--pwfile")
            .arg(&of_server)
            .output();
        check(
            "initdb",
            &initialised.expect("initdb; `cargo xtask test` finds it, or set NEXUM_POSTGRES"),
        );
        server.restart();
        server
    }

    /// Starts the server again after its end.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c max_connections=60 -c shared_buffers=16MB",
            self.directory.path().display()
        );
        let log = self.path("log");
        let control = ["start", "--wait", "--options", &options, "--log"];
        let started = self.control(control.map(str::as_ref).into_iter().chain([log.as_os_str()]));
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(started.status.success(), "the server does not start: {said}");
    }

    /// Stops the server at once, as a crash does: it recovers at the next start.
    ///
    /// # Panics
    ///
    /// If it does not stop.
    pub fn crash(&self) {
        let stopped = self.control(["stop", "--mode=immediate"].map(str::as_ref).into_iter());
        check("pg_ctl", &stopped);
    }

    /// The process id of the server.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pid(&self) -> i32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        file.lines()
            .next()
            .and_then(|pid| pid.parse().ok())
            .expect("a process id")
    }

    /// The address of the database, without the password.
    pub fn url(&self) -> String {
        let socket = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{socket}/postgres")
    }

    /// The password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The file with the password.
    pub fn password_file(&self) -> PathBuf {
        self.path("password")
    }

    /// The name of a schema that no other caller gets.
    pub fn new_schema(&self) -> String {
        format!("s{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    fn control<'a>(&self, arguments: impl Iterator<Item = &'a std::ffi::OsStr>) -> Output {
        let mut control = program("pg_ctl");
        control.arg("--pgdata").arg(self.data()).arg("--silent").args(arguments);
        // The server inherits the streams, so that a pipe would not end.
        control.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        control
            .output()
            .expect("pg_ctl; `cargo xtask test` finds it, or set NEXUM_POSTGRES")
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stop = ["stop", "--mode=immediate", "--timeout=10"].map(str::as_ref);
        drop(self.control(stop.into_iter()));
    }
}

/// A program of the server, as a user that is not root.
fn program(name: &str) -> Command {
    let path = match std::env::var_os(VARIABLE) {
        Some(directory) => Path::new(&directory).join(name),
        None => name.into(),
    };
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={SERVER_UID}"), format!("--regid={SERVER_UID}")]);
    command.arg("--clear-groups").arg(path);
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("rights");
}

fn check(program: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {said}", output.status);
}
