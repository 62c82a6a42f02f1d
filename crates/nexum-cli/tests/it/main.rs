//! The output and the exit codes of the binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(feature = "identity")]
mod accounts;
#[cfg(feature = "store")]
mod api;
#[cfg(all(feature = "author", feature = "chain"))]
mod building;
#[cfg(all(feature = "chain", feature = "store", target_os = "linux"))]
mod bundle;
#[cfg(all(feature = "chain", feature = "http"))]
mod check;
#[cfg(all(feature = "chain", feature = "store", feature = "store-postgres"))]
mod cluster;
#[cfg(all(feature = "store", target_os = "linux"))]
mod compiling;
#[cfg(feature = "chain")]
mod completions;
#[cfg(all(feature = "author", feature = "chain", feature = "store", target_os = "linux"))]
mod component_tests;
#[cfg(all(feature = "chain", feature = "cow", feature = "store"))]
mod conditional_orders;
#[cfg(all(feature = "chain", feature = "cow", feature = "http", feature = "store"))]
mod config_show;
#[cfg(all(feature = "chain", feature = "store"))]
mod configuration;
#[cfg(feature = "runtime")]
mod control;
#[cfg(feature = "runtime")]
mod cow;
#[cfg(all(feature = "author", feature = "chain", feature = "store", target_os = "linux"))]
mod developing;
#[cfg(all(feature = "chain", feature = "store", target_os = "linux"))]
mod doctor;
#[cfg(all(feature = "chain", feature = "store"))]
mod durable;
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
mod effects;
#[cfg(all(feature = "chain", feature = "store"))]
mod ethflow;
#[cfg(feature = "runtime")]
mod exec;
#[cfg(all(feature = "chain", feature = "store"))]
mod explain;
#[cfg(feature = "runtime")]
mod files;
#[cfg(all(feature = "chain", feature = "store", target_os = "linux"))]
mod full_disk;
#[cfg(all(feature = "chain", feature = "store"))]
mod functions;
mod help;
#[cfg(feature = "runtime")]
mod http;
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
mod languages;
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
mod limits;
#[cfg(all(feature = "chain", feature = "store"))]
mod logs;
mod man;
#[cfg(feature = "store")]
mod metrics;
#[cfg(all(feature = "chain", feature = "store"))]
mod migrating;
#[cfg(all(feature = "author", feature = "chain", feature = "cow", feature = "store"))]
mod new;
#[cfg(all(
    feature = "author",
    feature = "chain",
    feature = "cow",
    feature = "http",
    feature = "store"
))]
mod new_languages;
#[cfg(all(feature = "chain", feature = "store"))]
mod notify;
#[cfg(all(feature = "chain", feature = "store"))]
mod outage;
#[cfg(feature = "chain")]
mod outputs;
#[cfg(all(feature = "chain", feature = "store"))]
mod page;
#[cfg(all(
    feature = "author",
    feature = "chain",
    feature = "cow",
    feature = "store",
    feature = "store-postgres"
))]
mod pages;
#[cfg(all(feature = "chain", feature = "store"))]
mod parts;
#[cfg(all(feature = "store", target_os = "linux"))]
mod processes;
#[cfg(feature = "store")]
mod queries;
#[cfg(feature = "runtime")]
mod refusals;
#[cfg(all(feature = "chain", feature = "store"))]
mod refused_entries;
#[cfg(all(feature = "chain", feature = "store"))]
mod reload;
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
mod replay;
#[cfg(feature = "runtime")]
mod reports;
#[cfg(feature = "runtime")]
mod running;
#[cfg(feature = "store")]
mod secrets;
#[cfg(feature = "runtime")]
mod state;
#[cfg(feature = "store")]
mod state_format;
#[cfg(all(feature = "chain", feature = "store"))]
mod status;
#[cfg(all(feature = "chain", feature = "store"))]
mod systemd;
#[cfg(all(feature = "chain", feature = "store", feature = "top"))]
mod top;
#[cfg(all(feature = "store", feature = "tx"))]
mod transactions;
#[cfg(all(feature = "chain", feature = "http", feature = "store"))]
mod triggers;
#[cfg(not(feature = "runtime"))]
mod without_runtime;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[cfg(feature = "runtime")]
use nexum_testing::guests;

/// A directory for one test to run in.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        // nexum warns of secrets that other users can read.
        let private = std::fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().permissions(private).tempdir();
        Self(made.expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Copies a guest here, without its manifest.
    #[cfg(feature = "runtime")]
    fn guest(&self, name: &str) -> PathBuf {
        self.write(
            &format!("{name}.wasm"),
            std::fs::read(guests::component(name)).expect("a guest"),
        )
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexum"));
        command.current_dir(self.path()).args(args);
        for name in ["NEXUM_CONFIG", "NEXUM_LOG", "NOTIFY_SOCKET", "RUST_LOG"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs to the end. The output omits the directory's name.
    fn nexum(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().expect("the binary"), self.path())
    }
}

/// The outcome of a run of the binary.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn new(output: Output, dir: &Path) -> Self {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&dir.display().to_string(), "<dir>")
        };
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
