//! The compiler that guests are built with.
//!
//! Where the active Rust toolchain has the targets of guests, it is that one. Where it has not, and the machine is a
//! Debian, [`debian`] makes one under `.tools/`, once, and installs nothing.

pub(crate) mod apt;
mod debian;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{paths, process};

/// The target of guests that see the host through `nexum:host` alone.
pub(crate) const BARE: &str = "wasm32-unknown-unknown";

/// The target of guests whose standard library imports WASI.
pub(crate) const WASI: &str = "wasm32-wasip2";

/// A compiler with both targets.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Nothing for the active one.
    rustc: Option<PathBuf>,
}

impl Toolchain {
    /// Makes `cargo` build guests, whatever this process was told about building for the host.
    pub(crate) fn apply<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        for variable in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
        ] {
            cargo.env_remove(variable);
        }
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        cargo
    }
}

/// The toolchain for guests, made first if need be. Takes no time once it is there.
pub(crate) fn ensure() -> Result<Toolchain> {
    let active = Active::query()?;
    if active.has_targets() {
        return Ok(Toolchain { rustc: None });
    }
    let prefix = paths::tools().join("guest-toolchain");
    fs::create_dir_all(&prefix).with_context(|| format!("cannot make {}", prefix.display()))?;

    // Two tasks at once must not make it twice into one place.
    let lock = File::create(prefix.with_extension("lock")).context("cannot make the toolchain's lock file")?;
    lock.lock().context("cannot lock the toolchain")?;

    let stamp = prefix.join("stamp");
    let recipe = format!("{}\n{}\n", debian::RECIPE, active.version);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(Toolchain {
            rustc: Some(debian::rustc(&prefix)),
        });
    }
    process::step("guest toolchain", || {
        fs::remove_dir_all(&prefix)?;
        debian::make(&prefix, &active)?;
        Ok(fs::write(&stamp, recipe)?)
    })
    .context(
        "the active Rust toolchain has no targets for guests, and none could be made from Debian's packages; \
         with rustup, `rustup target add wasm32-unknown-unknown wasm32-wasip2` adds them",
    )?;
    Ok(Toolchain {
        rustc: Some(debian::rustc(&prefix)),
    })
}

/// What the active `rustc` says of itself.
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
