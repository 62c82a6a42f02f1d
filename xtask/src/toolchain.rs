//! The compiler that guests are built with.
//!
//! An active Rust toolchain with the targets of guests is used as it is. Otherwise, on a Debian, [`debian`] makes one in the
//! user's cache, once for each active toolchain, and installs nothing.

pub(crate) mod apt;
mod debian;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    cache::{self, builds},
    paths, process,
};

/// The target of guests that see the host through `nexum:host` alone.
pub(crate) const BARE: &str = "wasm32-unknown-unknown";

/// The target of guests whose standard library imports WASI.
pub(crate) const WASI: &str = "wasm32-wasip2";

/// A compiler with both targets.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// The directory of the toolchain that was made; nothing for the active one.
    prefix: Option<PathBuf>,
}

/// The name of a toolchain's directory begins with this.
const PREFIX: &str = "guest-toolchain-";

/// The most stored toolchains, of half a gigabyte each: the current one and the previous one.
const TOOLCHAINS_MAX: usize = 2;

/// The file that marks a toolchain's directory as complete. Its modification time is the time of the last use.
const STAMP: &str = "stamp";

impl Toolchain {
    /// The command `cargo NAME` for the guests' workspace. Settings for the host, in the environment of this process, do not
    /// reach it.
    pub(crate) fn cargo(&self, name: &str) -> Command {
        let mut cargo = match &self.prefix {
            Some(prefix) if name == "clippy" => Command::new(debian::cargo_clippy(prefix)),
            _ => Command::new("cargo"),
        };
        cargo.arg(name);
        // The directory matters: the workspace's own configuration of cargo names the linker.
        cargo.current_dir(paths::modules());
        cargo.env("CARGO_TARGET_DIR", paths::modules().join("target"));
        if let Some(host) = std::env::var_os(builds::VARIABLE) {
            cargo.env(builds::VARIABLE, builds::of_guests(Path::new(&host)));
        }
        for variable in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
        ] {
            cargo.env_remove(variable);
        }
        if let Some(prefix) = &self.prefix {
            cargo.env("RUSTC", debian::rustc(prefix));
        }
        cargo
    }
}

/// The toolchain for guests. Makes it first if necessary.
pub(crate) fn ensure() -> Result<Toolchain> {
    let active = Active::query()?;
    if active.has_targets() {
        return Ok(Toolchain { prefix: None });
    }
    let recipe = format!("{}\n{}\n", debian::RECIPE, active.version);
    let key = Sha256::digest(&recipe);
    let key: String = key.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{PREFIX}{key}");
    let prefix = cache::tools()?.join(&name);
    let _lock = cache::lock(&name)?;
    if prefix.join(STAMP).exists() {
        fs::write(prefix.join(STAMP), recipe)?;
        return Ok(Toolchain { prefix: Some(prefix) });
    }
    process::step("guest toolchain", || {
        // The toolchain has its own path in it, so it cannot be made elsewhere and moved.
        cache::remove(&prefix)?;
        debian::make(&prefix, &active)?;
        fs::write(prefix.join(STAMP), recipe)?;
        let made = cache::by_use(&cache::tools()?, PREFIX, STAMP);
        made.iter().skip(TOOLCHAINS_MAX).try_for_each(|old| cache::remove(old))
    })
    .context(
        "the active Rust toolchain has no targets for guests, and none could be made from Debian's packages; \
         with rustup, `rustup target add wasm32-unknown-unknown wasm32-wasip2` adds them",
    )?;
    Ok(Toolchain { prefix: Some(prefix) })
}

/// The active `rustc`.
#[derive(Debug)]
struct Active {
    version: String,
    host: String,
    sysroot: PathBuf,
}

impl Active {
    fn query() -> Result<Self> {
        let version = process::output(Command::new("rustc").args(["--version", "--verbose"]))?;
        let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        Self::parse(&version, &sysroot).with_context(|| format!("cannot read what `rustc` says of itself:\n{version}"))
    }

    fn parse(version: &str, sysroot: &str) -> Option<Self> {
        let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
        let version = version.lines().next()?;
        Some(Self {
            version: version.into(),
            host: host.into(),
            sysroot: sysroot.trim_end().into(),
        })
    }

    fn has_targets(&self) -> bool {
        [BARE, WASI].iter().all(|target| has_std(&self.sysroot, target))
    }

    /// The linkers for wasm, which every toolchain of rustup's has, whatever its targets.
    fn linkers(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin")
    }
}

/// Whether a sysroot has the standard library for a target.
fn has_std(sysroot: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rustc_says_of_itself() {
        let version = "rustc 1.95.0 (abc 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n";
        let active = Active::parse(version, "/opt/rust\n").expect("complete");
        assert_eq!(active.version, "rustc 1.95.0 (abc 2026-01-01)");
        assert_eq!(
            active.linkers(),
            Path::new("/opt/rust/lib/rustlib/x86_64-unknown-linux-gnu/bin")
        );
        assert!(Active::parse("rustc 1.95.0\n", "/opt/rust\n").is_none());
    }

    #[test]
    fn finds_no_targets_in_an_empty_sysroot() {
        let sysroot = tempfile::tempdir().expect("temporary directory");
        assert!(!has_std(sysroot.path(), BARE));
    }
}
