//! `cargo xtask dist`: the packages that operators install.

mod archive;
mod checks;
mod deb;
mod docs;
#[cfg(target_os = "linux")]
mod sandbox;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    guests, paths,
    process::{self, step},
};

pub(crate) use checks::check;

/// The variable with the time of every file in the packages, in seconds since the Unix epoch:
/// <https://reproducible-builds.org/specs/source-date-epoch/>.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The package of the binary, and its name.
const PACKAGE: &str = "nexum-cli";
const BINARY: &str = "nexum";

/// The module in the packages, for a first run.
const MODULE: &str = "block-logger";

/// The list of digests, in the form that `sha256sum --check` reads.
const SUMS: &str = "SHA256SUMS";

/// The options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Package a debug build, to try the packages. It compiles faster and is larger
    #[arg(long)]
    debug: bool,
    /// The directory for build products; the packages go to its `dist/` [default: target]
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

/// A build of the binary that becomes packages.
#[derive(Debug)]
struct Build {
    /// Cargo's directory of build products.
    target_dir: PathBuf,
    /// Cargo's profile, and its directory below `target_dir`.
    profile: &'static str,
    profile_dir: &'static str,
    version: String,
    /// The target, such as `x86_64-unknown-linux-gnu`.
    target: String,
    /// The time of every file, in seconds since the Unix epoch.
    epoch: u64,
}

/// Builds the binary, and makes the packages.
pub(crate) fn run(options: &Options) -> Result<()> {
    let build = Build::of(options)?;
    build.compile()?;
    let made = build.package()?;
    print!("{}", sizes(&made)?);
    println!("in {}", build.dist().display());
    Ok(())
}

impl Build {
    fn of(options: &Options) -> Result<Self> {
        let (profile, profile_dir) = if options.debug {
            ("dev", "debug")
        } else {
            ("release", "release")
        };
        let target_dir = options.target_dir.clone().unwrap_or_else(|| "target".into());
        let rustc = process::output(Command::new("rustc").arg("-vV"))?;
        let target = rustc.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self {
            target_dir: paths::root().join(target_dir),
            profile,
            profile_dir,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.context("rustc names no host")?.to_owned(),
            epoch: epoch()?,
        })
    }

    /// The directory of the packages.
    fn dist(&self) -> PathBuf {
        self.target_dir.join("dist")
    }

    /// Cargo's output of this profile.
    fn products(&self) -> PathBuf {
        self.target_dir.join(self.profile_dir)
    }

    /// The files that nexum itself makes, where the metadata of cargo-deb expects them.
    fn generated(&self) -> PathBuf {
        self.products().join("dist")
    }

    /// The directory in the tarball, which names the version and the target.
    fn name(&self) -> String {
        format!("{BINARY}-{}-{}", self.version, self.target)
    }

    /// Compiles nexum with its default features, and the module.
    fn compile(&self) -> Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--locked", "--package", PACKAGE, "--bin", BINARY]);
        cargo
            .args(["--profile", self.profile])
            .env("CARGO_TARGET_DIR", &self.target_dir);
        process::run(cargo.current_dir(paths::root()))?;
        guests::build(&[MODULE.to_owned()])
    }

    /// Makes the packages, and returns their paths. Needs the products of [`Build::compile`].
    fn package(&self) -> Result<Vec<PathBuf>> {
        step("manual pages and completions", || tree::generate(self))?;
        let directory = step("directory", || tree::fill(self))?;
        let tarball = step("tarball", || archive::make(&directory, &self.name(), self.epoch))?;
        let deb = step("Debian package", || deb::make(self))?;
        let mut made = vec![tarball, deb];
        made.push(sums(&self.dist(), &made)?);
        Ok(made)
    }
}

/// The time for the files: that of the environment, or of the last commit.
fn epoch() -> Result<u64> {
    let written = match std::env::var(EPOCH) {
        Ok(written) => written,
        Err(_) => {
            let mut git = Command::new("git");
            git.args(["log", "-1", "--format=%ct"]).current_dir(paths::root());
            process::output(&mut git).with_context(|| format!("set {EPOCH}: git knows no time of the source"))?
        }
    };
    let written = written.trim();
    written
        .parse()
        .with_context(|| format!("{EPOCH}: expected seconds since 1970, found {written:?}"))
}

/// Writes the digests of the files into [`SUMS`].
fn sums(directory: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    let path = directory.join(SUMS);
    let lines: Vec<String> = files.iter().map(|file| sum(file)).collect::<Result<_>>()?;
    fs::write(&path, lines.concat()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn sum(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{digest}  {name}\n"))
}

/// A line for each file, with its size.
fn sizes(files: &[PathBuf]) -> Result<String> {
    let line = |file: &PathBuf| {
        let bytes = fs::metadata(file)?.len();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{name:<56} {:>9.1} kB\n", bytes as f64 / 1_000.0))
    };
    files.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_the_form_that_sha256sum_reads() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.tar.gz");
        fs::write(&file, "abc").expect("a file");
        let path = sums(directory.path(), &[file]).expect("sums");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.tar.gz\n";
        assert_eq!(fs::read_to_string(path).expect("a file"), expected);
    }
}
