//! Debian packages, fetched and unpacked without being installed, by any user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Progress, process};

/// The machine's apt, with the machine's package lists or with separate ones.
pub struct Apt<'a> {
    options: Vec<String>,
    progress: &'a dyn Progress,
}

impl<'a> Apt<'a> {
    /// With the package lists of the machine, as old as they are.
    ///
    /// # Errors
    ///
    /// Fails if the machine is no Debian.
    pub fn system(progress: &'a dyn Progress) -> Result<Self, Error> {
        for program in ["apt-get", "apt-cache", "dpkg-deb", "tar"] {
            if !process::exists(program) {
                return Err(unavailable(format!("this machine has no `{program}`")));
            }
        }
        Ok(Self {
            // apt's own unprivileged user cannot write to the directory for downloads.
            options: vec!["APT::Sandbox::User=root".into()],
            progress,
        })
    }

    /// With new package lists in `state`. The machine's configuration still selects the archives
    /// and the trusted keys.
    ///
    /// # Errors
    ///
    /// Fails if the machine is no Debian, or if the archive cannot be reached.
    pub fn refreshed(state: &Path, progress: &'a dyn Progress) -> Result<Self, Error> {
        let mut apt = Self::system(progress)?;
        let (lists, cache) = (state.join("lists"), state.join("cache"));
        for directory in [lists.join("partial"), cache.join("archives/partial")] {
            fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        }
        for (key, path) in [
            ("Dir::State", state),
            ("Dir::State::lists", &lists),
            ("Dir::Cache", &cache),
        ] {
            apt.options.push(format!("{key}={}", path.display()));
        }
        apt.output(apt.command("apt-get").args(["--quiet=2", "update"]))?;
        Ok(apt)
    }

    /// The one dependency of `package` that is called `prefix` and a version.
    pub(super) fn dependency(&self, package: &str, prefix: &str) -> Result<String, Error> {
        let depends = self.output(self.command("apt-cache").args(["depends", package]))?;
        find_dependency(&depends, prefix).ok_or_else(|| unavailable(format!("{package} depends on no {prefix}*")))
    }

    /// Whether these lists have `package` in this version or a later one.
    pub(super) fn has(&self, package: &str, at_least: &str) -> Result<bool, Error> {
        let policy = self.output(self.command("apt-cache").args(["policy", package]))?;
        let Some(candidate) = find_candidate(&policy) else {
            return Ok(false);
        };
        let mut compare = Command::new("dpkg");
        compare.args(["--compare-versions", candidate, "ge", at_least]);
        match self.output(&mut compare) {
            Ok(_) => Ok(true),
            Err(Error::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches packages, as the archive's signature vouches for them, into `directory`.
    ///
    /// # Errors
    ///
    /// Fails if the lists do not have a package, or if the archive cannot be reached.
    pub fn download(&self, packages: &[&str], directory: &Path) -> Result<(), Error> {
        let mut download = self.command("apt-get");
        download.args(["--quiet=2", "download"]).args(packages);
        self.output(download.current_dir(directory)).map(drop)
    }

    /// Fetches `package` and those of its dependencies that the machine has not installed, into `directory`. Returns their
    /// names.
    ///
    /// # Errors
    ///
    /// Fails if the lists do not have a package, or if the archive cannot be reached.
    pub fn download_missing(&self, package: &str, directory: &Path) -> Result<Vec<String>, Error> {
        let mut install = self.command("apt-get");
        install.args([
            "--simulate",
            "--no-install-recommends",
            "--reinstall",
            "install",
            package,
        ]);
        let packages = find_installed(&self.output(&mut install)?);
        let names: Vec<_> = packages.iter().map(String::as_str).collect();
        self.download(&names, directory)?;
        Ok(packages)
    }

    fn output(&self, command: &mut Command) -> Result<String, Error> {
        process::output(command, self.progress)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // The output is parsed, so it must be in the one language that does not change.
        command.env("LC_ALL", "C");
        command.args(self.options.iter().flat_map(|option| ["-o", option]));
        command
    }
}

/// Unpacks a fetched package into `prefix`: the files that match one of the tar patterns, or all if
/// there are none.
///
/// # Errors
///
/// Fails if `directory` does not have the package, or if the package cannot be unpacked.
pub fn unpack(
    directory: &Path,
    package: &str,
    prefix: &Path,
    only: &[&str],
    progress: &dyn Progress,
) -> Result<(), Error> {
    let deb = find_deb(directory, package)?;
    let mut read = Command::new("dpkg-deb");
    read.arg("--fsys-tarfile").arg(&deb);
    extract(&mut read, prefix, only, progress)
}

/// Extracts the tar archive that the command `read` prints.
fn extract(read: &mut Command, prefix: &Path, only: &[&str], progress: &dyn Progress) -> Result<(), Error> {
    let program = read.get_program().to_string_lossy().into_owned();
    let start = |source| Error::Start {
        program: program.clone(),
        source,
    };
    let mut archive = read.stdout(Stdio::piped()).spawn().map_err(start)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract")
        .arg("--directory")
        .arg(prefix)
        .arg("--wildcards")
        .args(only);
    if let Some(bytes) = archive.stdout.take() {
        tar.stdin(bytes);
    }
    let unpacked = process::run_with_own_input(&mut tar, progress);
    drop(tar);
    let status = archive.wait().map_err(start)?;
    unpacked?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed {
            command: process::line(read),
            status,
            output: String::new(),
        }),
    }
}

fn find_deb(directory: &Path, package: &str) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(directory).map_err(Error::file("read", directory))?;
    let prefix = format!("{package}_");
    let mut found = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let found = found.next().map(|entry| entry.path());
    found.ok_or_else(|| unavailable(format!("{package} was not fetched")))
}

fn unavailable(subject: String) -> Error {
    Error::Unavailable {
        subject,
        hint: "with rustup, `rustup target add wasm32-unknown-unknown` adds the target to the active toolchain"
            .to_owned(),
    }
}

/// Reads the answer of `apt-cache depends`.
fn find_dependency(depends: &str, prefix: &str) -> Option<String> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let versioned = |name: &&str| {
        let version = name.strip_prefix(prefix);
        version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    names.into_iter().find(versioned).map(str::to_owned)
}

/// Reads the answer of `apt-get --simulate install`: the packages that it would install.
fn find_installed(answer: &str) -> Vec<String> {
    let lines = answer.lines().filter_map(|line| line.strip_prefix("Inst "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Reads the answer of `apt-cache policy`.
fn find_candidate(policy: &str) -> Option<&str> {
    let mut lines = policy.lines().map(str::trim);
    let candidate = lines.find_map(|line| line.strip_prefix("Candidate: "))?;
    (candidate != "(none)").then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Interruptible;

    #[test]
    fn extracts_for_a_caller_that_can_interrupt() {
        let (from, to) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("a directory"),
        );
        for name in ["kept.rlib", "left.txt"] {
            fs::write(from.path().join(name), name).expect("a file");
        }
        let mut read = Command::new("tar");
        read.args(["--create", "--directory"]).arg(from.path()).arg(".");
        extract(&mut read, to.path(), &["*.rlib"], &Interruptible::default()).expect("the archive is extracted");
        let extracted = fs::read_to_string(to.path().join("kept.rlib")).expect("the file");
        assert_eq!(extracted, "kept.rlib");
        assert!(!to.path().join("left.txt").exists());
    }

    #[test]
    fn finds_the_version_that_would_be_fetched() {
        let policy = |candidate| format!("web:\n  Installed: (none)\n  Candidate: {candidate}\n  Version table:\n");
        assert_eq!(find_candidate(&policy("1.96.0+dfsg1-1")), Some("1.96.0+dfsg1-1"));
        assert_eq!(find_candidate(&policy("(none)")), None);
        assert_eq!(find_candidate(""), None);
    }

    #[test]
    fn finds_the_packages_that_would_be_installed() {
        let answer = "Reading package lists...\nInst libogg0 (1.3.5-3 Debian:12.15/oldstable [amd64])\n\
                      Inst chromium [155] (156 Debian:12.15/oldstable [amd64])\nConf libogg0 (1.3.5-3)\n";
        assert_eq!(find_installed(answer), ["libogg0", "chromium"]);
    }

    #[test]
    fn finds_the_versioned_dependency() {
        let depends = "libstd-web-dev\n  Depends: libstd-web-common\n  Depends: libstd-web-1.96\n  Suggests: web-1.9\n";
        assert_eq!(
            find_dependency(depends, "libstd-web-").as_deref(),
            Some("libstd-web-1.96")
        );
        assert_eq!(find_dependency(depends, "libllvm"), None);
    }
}
