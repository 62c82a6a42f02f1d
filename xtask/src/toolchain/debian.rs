//! Makes a compiler for guests from Debian's packages.
//!
//! Debian keeps a current `rustc-web` (for building browsers) and its library sources. They are unpacked under a prefix,
//! the linkers for wasm are taken from the active toolchain, and the standard library is built once for each target of
//! guests into the unpacked compiler's own sysroot.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Active, BARE, WASI, apt, apt::Apt, has_std};
use crate::{cache::builds, process};

/// The version of [`make`]'s output. Increase it with each change of the output, so that older
/// output is rebuilt.
pub(super) const RECIPE: &str = "debian 3";

/// The packages whose name has no version; two more have their version in their name.
const PACKAGES: [&str; 5] = [COMPILER, CLIPPY, "libstd-rust-web-dev", SOURCE, "wasi-libc"];
const COMPILER: &str = "rustc-web";
const CLIPPY: &str = "rust-web-clippy";
const SOURCE: &str = "rust-web-src";

/// The oldest compiler for guests: that of the whole tree.
const AT_LEAST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The compiler under a prefix.
pub(super) fn rustc(prefix: &Path) -> PathBuf {
    prefix.join("bin/rustc")
}

/// The subcommand of cargo that lints with this compiler.
pub(super) fn cargo_clippy(prefix: &Path) -> PathBuf {
    prefix.join("bin/cargo-clippy")
}

/// Makes the toolchain in an absent directory. It must not be moved afterwards.
pub(super) fn make(prefix: &Path, active: &Active) -> Result<()> {
    let linkers = active.linkers();
    ensure!(
        linkers.join("wasm-component-ld").exists(),
        "no wasm-component-ld in {}; the active toolchain must be one of rustup's",
        linkers.display()
    );
    fs::create_dir_all(prefix)?;
    let debs = prefix.join("debs");
    fs::create_dir(&debs)?;
    let packages = process::step("  fetch Debian's rustc-web and wasi-libc", || fetch(&debs))?;
    process::step("  unpack them", || unpack(&debs, &packages, prefix))?;
    fs::remove_dir_all(&debs)?;

    let bin = prefix.join("usr/lib/rustlib").join(&active.host).join("bin");
    if bin.exists() {
        fs::remove_dir_all(&bin)?;
    }
    symlink(&linkers, &bin)?;
    write_wrappers(prefix)?;
    process::step("  build the standard library for guests", || build_std(prefix))?;
    for source in ["usr/src", "usr/lib/rustlib/src"] {
        fs::remove_dir_all(prefix.join(source))?;
    }
    Ok(())
}

/// Fetches the packages and returns their names.
fn fetch(debs: &Path) -> Result<Vec<String>> {
    let fetch_with = |apt: &Apt| -> Result<Vec<String>> {
        ensure!(
            apt.has(COMPILER, AT_LEAST)?,
            "no {COMPILER} {AT_LEAST} or later in the package lists"
        );
        let std = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
        let llvm = apt.dependency(&std, "libllvm")?;
        let mut packages: Vec<_> = PACKAGES.map(String::from).into();
        packages.extend([std, llvm]);
        apt.download(&packages.iter().map(String::as_str).collect::<Vec<_>>(), debs)?;
        Ok(packages)
    };
    fetch_with(&Apt::system()?).or_else(|stale| {
        println!("  the machine's package lists did not do ({stale:#}); fetching new ones");
        fetch_with(&Apt::refreshed(&debs.join("apt"))?)
    })
}

fn unpack(debs: &Path, packages: &[String], prefix: &Path) -> Result<()> {
    for package in packages {
        let only: &[&str] = match package.as_str() {
            // The rest of the sources is half a gigabyte of compiler.
            SOURCE => &["./usr/lib/rustlib/src/*", "./usr/src/rustc-*/library/*"],
            _ => &[],
        };
        apt::unpack(debs, package, prefix, only).with_context(|| format!("cannot unpack {package}"))?;
    }
    Ok(())
}

/// Writes a `rustc` and a `cargo-clippy` that find their own libraries. The second starts `usr/bin/clippy-driver`,
/// which gets the environment and so finds them, too.
fn write_wrappers(prefix: &Path) -> Result<()> {
    let libraries = fs::read_dir(prefix.join("usr/lib"))?
        .flatten()
        .map(|entry| entry.path());
    let driver = libraries
        .into_iter()
        .find(|path| is_multiarch(path))
        .context("no compiler libraries")?;
    let bin = prefix.join("bin");
    fs::create_dir_all(&bin)?;
    for program in ["rustc", "cargo-clippy"] {
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{}'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec '{}' \"$@\"\n",
            driver.display(),
            prefix.join("usr/bin").join(program).display()
        );
        fs::write(bin.join(program), script)?;
        fs::set_permissions(bin.join(program), PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

/// Whether a directory of `usr/lib` is the one with the compiler's shared libraries, which is named after the machine.
fn is_multiarch(path: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(path) else {
        return false;
    };
    entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("librustc_driver-")))
}

/// Builds the standard library for both targets and puts it where the compiler looks for it.
fn build_std(prefix: &Path) -> Result<()> {
    let scratch = prefix.join("std");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    fs::write(
        scratch.join("Cargo.toml"),
        "[package]\nname = \"scratch\"\nedition = \"2024\"\n\n[workspace]\n\n[profile.release]\ndebug = false\n",
    )?;
    let mut build = Command::new("cargo");
    build
        .args([
            "build",
            "--quiet",
            "--release",
            "-Zbuild-std=std,panic_abort,panic_unwind",
        ])
        .args(["--target", BARE, "--target", WASI])
        .current_dir(&scratch)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env_remove(builds::VARIABLE)
        .env("RUSTC", rustc(prefix))
        // `-Zbuild-std` needs a nightly compiler, or one in bootstrap mode.
        .env("RUSTC_BOOTSTRAP", "1")
        // Guests are built with link-time optimisation, which reaches into the standard library too.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    process::run(&mut build)?;

    let sysroot = prefix.join("usr");
    for target in [BARE, WASI] {
        let library = sysroot.join("lib/rustlib").join(target).join("lib");
        fs::create_dir_all(&library)?;
        copy_files(
            &scratch.join("target").join(target).join("release/deps"),
            &library,
            "rlib",
        )?;
        ensure!(
            has_std(&sysroot, target),
            "the standard library for {target} was not made"
        );
    }
    let libc = sysroot.join("lib/rustlib").join(WASI).join("lib/self-contained");
    fs::create_dir_all(&libc)?;
    for extension in ["a", "o"] {
        copy_files(&sysroot.join("lib/wasm32-wasi"), &libc, extension)?;
    }
    Ok(fs::remove_dir_all(scratch)?)
}

fn copy_files(from: &Path, to: &Path, extension: &str) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}
