//! Makes a compiler for guests from Debian's packages.
//!
//! Debian has a current `rustc-web` (for building browsers) and its library sources. They are unpacked under a prefix,
//! the linkers for wasm are taken from the active toolchain, and the standard library is built once for each target of
//! guests into the unpacked compiler's own sysroot.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nexum_config::causes::Causes;

use super::apt::{self, Apt};
use super::{BARE, Compiler, WASI, has_std, without_linkers};
use crate::progress::step;
use crate::{Error, Progress, process};

/// The version of [`make`]'s output. Increase it with each change of the output, so that older
/// output is rebuilt.
pub(super) const RECIPE: &str = "debian 3";

/// The packages whose name has no version; two more have their version in their name.
const PACKAGES: [&str; 5] = [COMPILER, CLIPPY, "libstd-rust-web-dev", SOURCE, "wasi-libc"];
const COMPILER: &str = "rustc-web";
const CLIPPY: &str = "rust-web-clippy";
const SOURCE: &str = "rust-web-src";

/// The linker that makes components, beside `rust-lld`.
const LINKER: &str = "wasm-component-ld";

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

/// Whether the package lists of the machine have the compiler.
pub(super) fn can_make(progress: &dyn Progress) -> bool {
    Apt::system(progress).is_ok_and(|apt| apt.has(COMPILER, AT_LEAST).unwrap_or(false))
}

/// Whether the active toolchain has the linkers for wasm, which are rustup's and in no package of Debian.
pub(super) fn has_linkers(active: &Compiler) -> bool {
    active.linkers().join(LINKER).exists()
}

/// Makes the toolchain in an absent directory. It must not be moved afterwards.
pub(super) fn make(prefix: &Path, active: &Compiler, progress: &dyn Progress) -> Result<(), Error> {
    let linkers = active.linkers();
    if !has_linkers(active) {
        return Err(Error::Unavailable {
            subject: format!("the active Rust toolchain has no {LINKER} in {}", linkers.display()),
            hint: format!("no package of Debian has it: {}", without_linkers(BARE)),
        });
    }
    let debs = prefix.join("debs");
    fs::create_dir_all(&debs).map_err(Error::file("make", &debs))?;
    let packages = step(progress, "fetch Debian's rustc-web and wasi-libc", || {
        fetch(&debs, progress)
    })?;
    step(progress, "unpack them", || unpack(&debs, &packages, prefix, progress))?;
    remove(&debs)?;

    let bin = prefix.join("usr/lib/rustlib").join(&active.host).join("bin");
    if bin.exists() {
        remove(&bin)?;
    }
    symlink(&linkers, &bin).map_err(Error::file("link", &bin))?;
    write_wrappers(prefix)?;
    step(progress, "build the standard library for guests", || {
        build_std(prefix, progress)
    })?;
    ["usr/src", "usr/lib/rustlib/src"]
        .iter()
        .try_for_each(|source| remove(&prefix.join(source)))
}

fn remove(directory: &Path) -> Result<(), Error> {
    fs::remove_dir_all(directory).map_err(Error::file("delete", directory))
}

/// Fetches the packages and returns their names.
fn fetch(debs: &Path, progress: &dyn Progress) -> Result<Vec<String>, Error> {
    let fetch_with = |apt: &Apt<'_>| -> Result<Vec<String>, Error> {
        if !apt.has(COMPILER, AT_LEAST)? {
            return Err(Error::Unavailable {
                subject: format!("no {COMPILER} {AT_LEAST} or later in the package lists"),
                hint: "with rustup, `rustup target add wasm32-unknown-unknown` adds the target to the active toolchain"
                    .to_owned(),
            });
        }
        let std = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
        let llvm = apt.dependency(&std, "libllvm")?;
        let mut packages: Vec<_> = PACKAGES.map(String::from).into();
        packages.extend([std, llvm]);
        apt.download(&packages.iter().map(String::as_str).collect::<Vec<_>>(), debs)?;
        Ok(packages)
    };
    match fetch_with(&Apt::system(progress)?) {
        Err(stale @ (Error::Failed { .. } | Error::Unavailable { .. })) => {
            progress.note(&format!(
                "the machine's package lists are not enough ({}); fetching new ones",
                Causes(&stale)
            ));
            fetch_with(&Apt::refreshed(&debs.join("apt"), progress)?)
        }
        fetched => fetched,
    }
}

fn unpack(debs: &Path, packages: &[String], prefix: &Path, progress: &dyn Progress) -> Result<(), Error> {
    packages.iter().try_for_each(|package| {
        let only: &[&str] = match package.as_str() {
            // The rest of the sources is half a gigabyte of compiler.
            SOURCE => &["./usr/lib/rustlib/src/*", "./usr/src/rustc-*/library/*"],
            _ => &[],
        };
        apt::unpack(debs, package, prefix, only, progress)
    })
}

/// Writes a `rustc` and a `cargo-clippy` that find their own libraries. The second starts `usr/bin/clippy-driver`,
/// which gets the environment and so finds them, too.
fn write_wrappers(prefix: &Path) -> Result<(), Error> {
    let lib = prefix.join("usr/lib");
    let libraries = fs::read_dir(&lib).map_err(Error::file("read", &lib))?;
    let mut libraries = libraries.flatten().map(|entry| entry.path());
    let driver = libraries.find(|path| is_multiarch(path)).ok_or(Error::Unavailable {
        subject: format!("the package {COMPILER} has no compiler libraries"),
        hint: "report the version of the package".to_owned(),
    })?;
    let bin = prefix.join("bin");
    fs::create_dir_all(&bin).map_err(Error::file("make", &bin))?;
    for program in ["rustc", "cargo-clippy"] {
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{}'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec '{}' \"$@\"\n",
            driver.display(),
            prefix.join("usr/bin").join(program).display()
        );
        let wrapper = bin.join(program);
        fs::write(&wrapper, script).map_err(Error::file("write", &wrapper))?;
        let executable = PermissionsExt::from_mode(0o755);
        fs::set_permissions(&wrapper, executable).map_err(Error::file("make executable", &wrapper))?;
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
fn build_std(prefix: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let scratch = prefix.join("std");
    let write = |name: &str, text: &str| {
        let path = scratch.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))
    };
    fs::create_dir_all(scratch.join("src")).map_err(Error::file("make", &scratch))?;
    write("src/lib.rs", "")?;
    write(
        "Cargo.toml",
        "[package]\nname = \"scratch\"\nedition = \"2024\"\n\n[workspace]\n\n[profile.release]\ndebug = false\n",
    )?;
    process::run(&mut compile_std(prefix, &scratch), progress)?;

    let sysroot = prefix.join("usr");
    for target in [BARE, WASI] {
        let library = sysroot.join("lib/rustlib").join(target).join("lib");
        let built = scratch.join("target").join(target).join("release/deps");
        copy_files(&built, &library, "rlib")?;
        if !has_std(&sysroot, target) {
            return Err(Error::Output {
                command: "cargo build".to_owned(),
                reason: format!("it made no standard library for {target}"),
            });
        }
    }
    let libc = sysroot.join("lib/rustlib").join(WASI).join("lib/self-contained");
    for extension in ["a", "o"] {
        copy_files(&sysroot.join("lib/wasm32-wasi"), &libc, extension)?;
    }
    remove(&scratch)
}

fn compile_std(prefix: &Path, scratch: &Path) -> Command {
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--quiet",
        "--release",
        "-Zbuild-std=std,panic_abort,panic_unwind",
    ]);
    build
        .args(["--target", BARE, "--target", WASI])
        .current_dir(scratch)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env_remove("CARGO_BUILD_BUILD_DIR")
        .env("RUSTC", rustc(prefix))
        // `-Zbuild-std` needs a nightly compiler, or one in bootstrap mode.
        .env("RUSTC_BOOTSTRAP", "1")
        // Guests are built with link-time optimisation, which reaches into the standard library too.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    build
}

fn copy_files(from: &Path, to: &Path, extension: &str) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::file("make", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|found| found == extension) {
            let place = to.join(path.file_name().unwrap_or_default());
            fs::copy(&path, &place).map_err(Error::file("write", &place))?;
        }
    }
    Ok(())
}
