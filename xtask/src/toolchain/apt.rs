//! Debian packages, fetched and unpacked without being installed, by any user.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// The machine's apt, with the machine's package lists or with separate ones.
#[derive(Debug)]
pub(crate) struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// With the package lists of the machine, as old as they are.
    pub(crate) fn system() -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg-deb", "tar"] {
            ensure!(process::exists(program), "this machine has no `{program}`");
        }
        // apt's own unprivileged user cannot write to the directory for downloads.
        Ok(Self {
            options: vec!["APT::Sandbox::User=root".into()],
        })
    }

    /// With new package lists in `state`. The machine's configuration still selects the archives
    /// and the trusted keys.
    pub(crate) fn refreshed(state: &Path) -> Result<Self> {
        let mut apt = Self::system()?;
        let (lists, cache) = (state.join("lists"), state.join("cache"));
        fs::create_dir_all(lists.join("partial"))?;
        fs::create_dir_all(cache.join("archives/partial"))?;
        for (key, path) in [
            ("Dir::State", state),
            ("Dir::State::lists", &lists),
            ("Dir::Cache", &cache),
        ] {
            apt.options.push(format!("{key}={}", path.display()));
        }
        process::output(apt.command("apt-get").args(["--quiet=2", "update"]))?;
        Ok(apt)
    }

    /// The one dependency of `package` that is called `prefix` and a version.
    pub(crate) fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let depends = process::output(self.command("apt-cache").args(["depends", package]))?;
        find_dependency(&depends, prefix).with_context(|| format!("{package} depends on no {prefix}*"))
    }

    /// Whether these lists have `package` in this version or a later one.
    pub(crate) fn has(&self, package: &str, at_least: &str) -> Result<bool> {
        let policy = process::output(self.command("apt-cache").args(["policy", package]))?;
        let Some(candidate) = find_candidate(&policy) else {
            return Ok(false);
        };
        let mut compare = Command::new("dpkg");
        compare.args(["--compare-versions", candidate, "ge", at_least]);
        Ok(compare.status()?.success())
    }

    /// Fetches packages, as the archive's signature vouches for them, into `directory`.
    pub(crate) fn download(&self, packages: &[&str], directory: &Path) -> Result<()> {
        let mut download = self.command("apt-get");
        process::output(
            download
                .args(["--quiet=2", "download"])
                .args(packages)
                .current_dir(directory),
        )?;
        Ok(())
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
pub(crate) fn unpack(directory: &Path, package: &str, prefix: &Path, only: &[&str]) -> Result<()> {
    let deb = find_deb(directory, package)?;
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(&deb)
        .stdout(Stdio::piped())
        .spawn()?;
    let bytes = archive.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.arg("--extract")
        .arg("--directory")
        .arg(prefix)
        .arg("--wildcards")
        .args(only)
        .stdin(bytes);
    process::run(&mut tar)?;
    ensure!(archive.wait()?.success(), "cannot read {}", deb.display());
    Ok(())
}

fn find_deb(directory: &Path, package: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{package}_")) {
            return Ok(entry.path());
        }
    }
    bail!("{package} was not fetched")
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

/// Reads the answer of `apt-cache policy`.
fn find_candidate(policy: &str) -> Option<&str> {
    let mut lines = policy.lines().map(str::trim);
    let candidate = lines.find_map(|line| line.strip_prefix("Candidate: "))?;
    (candidate != "(none)").then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_that_would_be_fetched() {
        let policy = |candidate| format!("web:\n  Installed: (none)\n  Candidate: {candidate}\n  Version table:\n");
        assert_eq!(find_candidate(&policy("1.96.0+dfsg1-1")), Some("1.96.0+dfsg1-1"));
        assert_eq!(find_candidate(&policy("(none)")), None);
        assert_eq!(find_candidate(""), None);
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
