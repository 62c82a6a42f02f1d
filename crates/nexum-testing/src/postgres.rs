//! A real PostgreSQL server, on a Unix socket, and on loopback if a test needs a network.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::tls::Authority;

/// The environment variable with the directory of the server's programs. Without it, `PATH` is searched.
const VARIABLE: &str = "NEXUM_POSTGRES";

/// The user of the server where the tests are those of root, as which PostgreSQL refuses to run.
const SERVER_UID: u32 = 65_534;

/// The user of the database, and its password.
const USER: &str = "nexum";
const PASSWORD: &str = "a password that must not be seen";

/// The files of the certificate and its key, in the directory of the data.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";

/// A server in a directory of its own. It syncs each commit. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    network: Network,
    schemas: AtomicU32,
}

/// A program that receives the server's log of changes, as a standby does. Dropping it stops it.
#[derive(Debug)]
pub struct Standby(Child);

/// Where the server listens beside its Unix socket.
#[derive(Clone, Copy, Debug)]
enum Network {
    Nowhere,
    /// On a port of loopback.
    Loopback {
        port: u16,
        has_tls: bool,
    },
}

impl Postgres {
    /// Starts a server on a Unix socket.
    ///
    /// # Panics
    ///
    /// If the programs are missing or fail.
    pub fn start() -> Self {
        let server = Self::initialise(Network::Nowhere);
        server.restart();
        server
    }

    /// Starts a server that also listens on loopback. With an authority and a host name, it offers TLS
    /// with a certificate for this name.
    ///
    /// # Panics
    ///
    /// If the programs are missing or fail, or no port is free.
    pub fn start_on_loopback(certificate: Option<(&Authority, &str)>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let port = free.local_addr().expect("a bound socket").port();
        drop(free);
        let has_tls = certificate.is_some();
        let server = Self::initialise(Network::Loopback { port, has_tls });
        if let Some((authority, name)) = certificate {
            let files = [CERTIFICATE, KEY].map(|name| server.data().join(name));
            let [certificate_file, key_file] = &files;
            authority.write_for(name, certificate_file, key_file);
            files.iter().for_each(|file| give_to_server(file));
        }
        server.restart();
        server
    }

    /// Starts a server on a Unix socket that has all changes of this one, and that this one knows under this name. It
    /// accepts writes after [`promote`](Self::promote).
    ///
    /// # Panics
    ///
    /// If the programs are missing or fail.
    pub fn replica(&self, name: &str) -> Self {
        let replica = Self::in_new_directory(Network::Nowhere);
        let server = format!("{}?application_name={name}", self.url());
        let mut copy = program("pg_basebackup");
        copy.args([
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--dbname",
            &server,
        ]);
        copy.arg("--pgdata").arg(replica.data()).env("PGPASSWORD", PASSWORD);
        check("pg_basebackup", &copy.output().expect("pg_basebackup"));
        replica.restart();
        replica
    }

    /// Makes a [`replica`](Self::replica) a server of its own, which accepts writes.
    ///
    /// # Panics
    ///
    /// If it is no replica, or fails.
    pub fn promote(&self) {
        let promoted = self.control(["promote", "--wait"].map(str::as_ref).into_iter());
        check("pg_ctl", &promoted);
    }

    /// A directory for a server, with the password file of its clients.
    fn in_new_directory(network: Network) -> Self {
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
            network,
            schemas: AtomicU32::new(0),
        };
        let password = server.password_file();
        fs::write(&password, format!("{PASSWORD}\n")).expect("a password file");
        private(&password);
        server
    }

    /// Makes the files of a server.
    fn initialise(network: Network) -> Self {
        let server = Self::in_new_directory(network);
        let password = server.password_file();
        let of_server = server.path("initial");
        fs::copy(&password, &of_server).expect("a password file");
        give_to_server(&of_server);
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
        server
    }

    /// Starts the server again after its end.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        let mut options = format!(
            "-c unix_socket_directories={} -c max_connections=60 -c shared_buffers=16MB",
            self.directory.path().display()
        );
        options += &match self.network {
            Network::Nowhere => " -c listen_addresses=".to_owned(),
            Network::Loopback { port, has_tls } => {
                let ssl = if has_tls { "on" } else { "off" };
                format!(
                    " -c listen_addresses=127.0.0.1 -c port={port} -c ssl={ssl} -c ssl_cert_file={CERTIFICATE} \
                     -c ssl_key_file={KEY}"
                )
            }
        };
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

    /// Changes a setting of the server, which starts again with it.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub fn configure(&self, setting: &str, value: &str) {
        let file = self.data().join("postgresql.conf");
        let mut settings = fs::read_to_string(&file).expect("the settings");
        settings += &format!("{setting} = '{value}'\n");
        fs::write(&file, settings).expect("the settings");
        self.crash();
        self.restart();
    }

    /// Starts a program that receives the log of changes, under this name.
    ///
    /// # Panics
    ///
    /// If the program is missing.
    pub fn standby(&self, name: &str) -> Standby {
        let directory = self.path(name);
        fs::create_dir_all(&directory).expect("a directory");
        if is_root() {
            chown(&directory, Some(SERVER_UID), Some(SERVER_UID)).expect("a new owner");
        }
        let server = format!("{}?application_name={name}", self.url());
        let mut receive = program("pg_receivewal");
        receive.args(["--synchronous", "--dbname", &server, "--directory"]);
        receive.arg(&directory).env("PGPASSWORD", PASSWORD);
        receive.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Standby(receive.spawn().expect("pg_receivewal"))
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

    /// The address of the database on this server or on another one, without the password. Both are on Unix sockets
    /// alone.
    pub fn url_with(&self, other: &Self) -> String {
        format!("postgres://{USER}@{},{}/postgres", self.socket(), other.socket())
    }

    /// The directory of the Unix socket, as a part of an address.
    fn socket(&self) -> String {
        self.directory.path().display().to_string().replace('/', "%2F")
    }

    /// The address of the database, without the password.
    pub fn url(&self) -> String {
        let socket = self.socket();
        let port = match self.network {
            Network::Nowhere => String::new(),
            Network::Loopback { port, .. } => format!(":{port}"),
        };
        format!("postgres://{USER}@{socket}{port}/postgres")
    }

    /// The address of the database at a host name of loopback, without the password.
    ///
    /// # Panics
    ///
    /// If the server does not listen on loopback.
    pub fn url_on_loopback(&self, host: &str) -> String {
        let Network::Loopback { port, .. } = self.network else {
            panic!("the server listens on its Unix socket only");
        };
        format!("postgres://{USER}@{host}:{port}/postgres")
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

impl Drop for Standby {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
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

/// Only the server can read the file.
fn give_to_server(path: &Path) {
    private(path);
    if is_root() {
        chown(path, Some(SERVER_UID), Some(SERVER_UID)).expect("a new owner");
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("rights");
}

fn check(program: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {said}", output.status);
}
