//! Anvil, the local Ethereum node: found on the machine, or fetched from npm.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nexum_config::names::Digest;

use crate::cache::Cache;
use crate::progress::check;
use crate::{Error, Progress, process, tools};

/// The environment variable with the path of anvil.
pub const VARIABLE: &str = "NEXUM_ANVIL";

/// The version to fetch if anvil is not installed.
const VERSION: &str = "1.7.1";

/// The program's name, for PATH and for messages.
const NAME: &str = "anvil";

/// A program of [`VERSION`] in npm.
struct Binary {
    /// The operating system and the processor, as Rust names them.
    machine: (&'static str, &'static str),
    /// The package in npm's scope of Foundry.
    package: &'static str,
    sha256: &'static str,
}

/// The programs of [`VERSION`], one for each machine.
const BINARIES: [Binary; 4] = [
    Binary {
        machine: ("linux", "x86_64"),
        package: "anvil-linux-amd64",
        sha256: "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b",
    },
    Binary {
        machine: ("linux", "aarch64"),
        package: "anvil-linux-arm64",
        sha256: "bebaff5c1b6ff6f55b6f2f5f415bb5543f19b948197b5e909195e81ef1727be1",
    },
    Binary {
        machine: ("macos", "x86_64"),
        package: "anvil-darwin-amd64",
        sha256: "50f019761f6054085e8d1c952ce4f4c53e8bebdfac90d4993c2e0ebd8915bda2",
    },
    Binary {
        machine: ("macos", "aarch64"),
        package: "anvil-darwin-arm64",
        sha256: "5c9f9aad323062b1c0421a63595741430acaea150da3611e38c45071e4cf4e28",
    },
];

/// The most lines before anvil's address. Its banner has about fifty.
const BANNER_LINES_MAX: usize = 1_000;

/// The pause between two looks whether the caller interrupts the start. A fork can wait for its node for
/// minutes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The most bytes of anvil's stderr in an error: its reason is a few lines.
const STDERR_BYTES_MAX: u64 = 4_096;

/// The path of anvil: [`installed`], else [`fetch`]ed into the user's cache. Blocks.
///
/// # Errors
///
/// As [`fetch`], and if the user has no cache directory.
pub fn find(progress: &dyn Progress) -> Result<PathBuf, Error> {
    installed().map_or_else(|| fetch(&Cache::of_user()?, progress), Ok)
}

/// The path of anvil on this machine: the value of [`VARIABLE`], or else the program on PATH.
pub fn installed() -> Option<PathBuf> {
    let on_path = || process::exists(NAME).then(|| NAME.into());
    named().or_else(on_path)
}

/// The value of [`VARIABLE`].
fn named() -> Option<PathBuf> {
    let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// Checks that the program in [`VARIABLE`] exists, if the variable is set.
///
/// # Errors
///
/// Fails if it does not exist.
pub fn check_named() -> Result<(), Error> {
    match named() {
        Some(path) if !process::exists(&path) => Err(unavailable(format!(
            "there is no program {}, which {VARIABLE} names",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// The path of anvil in the cache, in the version that this crate pins. Fetches it from npm if it is
/// absent. Blocks.
///
/// # Errors
///
/// Fails if npm cannot fetch anvil, if npm has none for this machine, or if its digest is not the
/// pinned one.
pub fn fetch(cache: &Cache, progress: &dyn Progress) -> Result<PathBuf, Error> {
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    let Some(binary) = BINARIES.iter().find(|binary| binary.machine == machine) else {
        return Err(unavailable("npm has no anvil for this machine".to_owned()));
    };
    let package = format!("@foundry-rs/{}", binary.package);
    let program = Path::new("node_modules").join(&package).join("bin").join(NAME);
    let prefix = cache.once(&format!("{NAME}-{VERSION}"), progress, |prefix| {
        tools::install_from_npm(&format!("{package}@{VERSION}"), prefix, progress)?;
        let path = prefix.join(&program);
        let content = std::fs::read(&path).map_err(Error::file("read", &path))?;
        let (found, expected) = (Digest::of(&content).to_string(), format!("sha256:{}", binary.sha256));
        match found == expected {
            true => Ok(()),
            false => Err(unavailable(format!(
                "{package}@{VERSION} of npm has the digest {found}, but nexum expects {expected}"
            ))),
        }
    })?;
    Ok(prefix.join(program))
}

fn unavailable(subject: String) -> Error {
    Error::Unavailable {
        subject,
        hint: format!("install Foundry, so that anvil is on PATH, or set {VARIABLE} to the path of anvil"),
    }
}

/// The options of a local chain.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on the loopback interface. `None` takes a free one.
    pub port: Option<u16>,
    /// The EIP-155 id of the chain. `None` leaves it to anvil.
    pub chain_id: Option<u64>,
    /// The URL of a node whose chain the local chain continues.
    pub fork_url: Option<String>,
    /// Mines a block every so many seconds. `None` mines one for each transaction.
    pub block_time_s: Option<NonZeroU64>,
    /// More arguments.
    pub more: Vec<String>,
}

impl Options {
    /// The command that runs this anvil.
    pub fn command(&self, anvil: &Path) -> Command {
        let mut command = Command::new(anvil);
        command.args(["--host", "127.0.0.1", "--port", &self.port.unwrap_or(0).to_string()]);
        if let Some(id) = self.chain_id {
            command.args(["--chain-id", &id.to_string()]);
        }
        if let Some(url) = &self.fork_url {
            command.args(["--fork-url", url]);
        }
        if let Some(seconds) = self.block_time_s {
            command.args(["--block-time", &seconds.to_string()]);
        }
        command.args(&self.more);
        command
    }
}

/// An anvil that does not listen yet. Dropping the value kills it.
#[derive(Debug)]
pub struct Starting {
    process: Running,
    /// The address, when anvil has printed it. Disconnected if anvil ends first.
    address: mpsc::Receiver<SocketAddr>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Starting {
    /// Starts the command of [`Options::command`], or one that becomes its process.
    ///
    /// # Errors
    ///
    /// Fails if the command cannot be started.
    pub fn spawn(mut command: Command) -> Result<Self, Error> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let cannot = |source| Error::Start {
            program: NAME.to_owned(),
            source,
        };
        let mut child = command.spawn().map_err(cannot)?;
        let pipes = (child.stdout.take(), child.stderr.take());
        let process = Running(child);
        let (Some(stdout), Some(mut stderr)) = pipes else {
            return Err(cannot(ErrorKind::BrokenPipe.into()));
        };
        let (sender, address) = mpsc::channel();
        thread::spawn(move || read_stdout(stdout, sender));
        Ok(Self {
            process,
            address,
            stderr: thread::spawn(move || {
                let mut bytes = Vec::new();
                // The first bytes have the reason of a failure. The others are read so that a full
                // pipe never blocks anvil.
                let _ = (&mut stderr).take(STDERR_BYTES_MAX).read_to_end(&mut bytes);
                let _ = io::copy(&mut stderr, &mut io::sink());
                bytes
            }),
        })
    }

    /// Waits until anvil listens. Blocks.
    ///
    /// # Errors
    ///
    /// Fails if anvil ends first, or if the caller interrupts the wait. The error has anvil's stderr, in
    /// which each URL is cut after its host.
    pub fn wait(self, progress: &dyn Progress) -> Result<Anvil, Error> {
        let Self {
            mut process,
            address,
            stderr,
        } = self;
        loop {
            match address.recv_timeout(LOOK_EVERY) {
                Ok(address) => return Ok(Anvil { process, address }),
                Err(RecvTimeoutError::Timeout) => check(progress)?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = process.end().map_err(|source| Error::Start {
            program: NAME.to_owned(),
            source,
        })?;
        Err(Error::Failed {
            // Without the arguments: the URL of a fork can have a key.
            command: NAME.to_owned(),
            status,
            output: hosts_only(String::from_utf8_lossy(&stderr.join().unwrap_or_default()).trim()),
        })
    }
}

/// Sends the address that anvil prints. Then reads the remaining output, so that a full pipe never
/// blocks anvil.
fn read_stdout(stdout: impl Read, address: mpsc::Sender<SocketAddr>) {
    let mut lines = BufReader::new(stdout).lines();
    let banner = lines.by_ref().take(BANNER_LINES_MAX).map_while(Result::ok);
    if let Some(found) = banner.into_iter().find_map(|line| read_address(&line)) {
        // A caller that waits no longer needs no address.
        let _ = address.send(found);
    }
    drop(address);
    lines.for_each(drop);
}

/// A process that ends with this value.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn end(&mut self) -> io::Result<ExitStatus> {
        // The process may have exited already.
        let _ = self.0.kill();
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// A running anvil. Dropping the value kills it.
#[derive(Debug)]
pub struct Anvil {
    process: Running,
    address: SocketAddr,
}

impl Anvil {
    /// Starts anvil with these options, and waits until it listens. Fetches it first if it is not
    /// installed. Blocks.
    ///
    /// # Errors
    ///
    /// As [`find`] and [`Starting::wait`].
    pub fn start(options: &Options, progress: &dyn Progress) -> Result<Self, Error> {
        Starting::spawn(options.command(&find(progress)?))?.wait(progress)
    }

    /// The JSON-RPC endpoint over HTTP.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The JSON-RPC endpoint over WebSocket.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The exit status, if anvil has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().ok().flatten()
    }
}

fn read_address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("Listening on ")?.trim().parse().ok()
}

/// The text, with only scheme, host and port of each URL: a path, a query or a user name can be a key.
fn hosts_only(text: &str) -> String {
    const SEPARATOR: &str = "://";
    let mut parts = text.split(SEPARATOR);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_outside = |c: char| c.is_whitespace() || matches!(c, '"' | '`' | '<' | '>' | ')');
        let (url, rest) = part.split_at(part.find(is_outside).unwrap_or(part.len()));
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.extend([SEPARATOR, host, rest]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use rustix::process::{Pid, test_kill_process};

    use super::*;
    use crate::Silent;
    use crate::progress::Interruptible;

    #[test]
    fn reads_where_anvil_listens() {
        let address = "127.0.0.1:45939".parse().expect("an address");
        assert_eq!(read_address("Listening on 127.0.0.1:45939"), Some(address));
        assert_eq!(read_address("Block Number: 1"), None);
    }

    #[test]
    fn options_are_arguments() {
        let options = Options {
            port: Some(8545),
            chain_id: Some(31337),
            fork_url: Some("http://node/".to_owned()),
            block_time_s: NonZeroU64::new(2),
            more: vec!["--steps-tracing".to_owned()],
        };
        assert_eq!(
            process::line(&options.command(Path::new("anvil"))),
            "anvil --host 127.0.0.1 --port 8545 --chain-id 31337 --fork-url http://node/ --block-time 2 --steps-tracing"
        );
        let free = Options::default().command(Path::new("anvil"));
        assert_eq!(process::line(&free), "anvil --host 127.0.0.1 --port 0");
    }

    #[test]
    fn an_anvil_that_ends_before_it_listens_says_why() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo banner; echo 'address already in use' >&2; exit 1"]);
        let error = Starting::spawn(shell)
            .expect("a shell")
            .wait(&Silent)
            .expect_err("a failure");
        let text = error.to_string();
        assert!(
            text.starts_with("`anvil` failed: ") && text.ends_with("\naddress already in use"),
            "{text}"
        );
    }

    #[test]
    fn an_interrupt_ends_an_anvil_that_does_not_listen() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo banner; exec sleep 1000"]);
        let starting = Starting::spawn(shell).expect("a shell");
        let id = i32::try_from(starting.process.0.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("an id");
        test_kill_process(id).expect("it runs");
        let caller = Interruptible::default();
        caller.0.store(true, Ordering::Relaxed);
        let waited = starting.wait(&caller);
        assert!(matches!(waited, Err(Error::Interrupted)), "{waited:?}");
        test_kill_process(id).expect_err("it has ended");
    }

    #[test]
    fn a_failure_has_no_key_of_a_fork() {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "echo 'no answer from url (https://user:pass@node.example:81/v2/key?a=b)' >&2; exit 1",
        ]);
        let error = Starting::spawn(shell)
            .expect("a shell")
            .wait(&Silent)
            .expect_err("a failure");
        let text = error.to_string();
        assert!(
            text.ends_with("\nno answer from url (https://node.example:81)"),
            "{text}"
        );
    }

    #[test]
    fn a_url_in_a_text_is_cut_after_its_host() {
        for (text, expected) in [
            ("no URL", "no URL"),
            (
                "\"wss://node/key\" and http://[::1]:80/key\nend",
                "\"wss://node\" and http://[::1]:80\nend",
            ),
            ("https://node?key", "https://node"),
        ] {
            assert_eq!(hosts_only(text), expected);
        }
    }
}
