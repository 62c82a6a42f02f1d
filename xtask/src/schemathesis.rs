//! Schemathesis: a test sends random requests to the daemon, from the description of its API.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{cache, process};

/// The environment variable with which the test finds the directory of Python's packages.
pub(crate) const VARIABLE: &str = "NEXUM_SCHEMATHESIS";

/// The packages, each pinned by its version and the digests of its files.
const REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");

/// The version of the program, which names the installation.
const VERSION: &str = "4.32.5";

/// The directory with the packages, installed first if it is absent.
pub(crate) fn ensure() -> Result<PathBuf> {
    cache::once(&format!("schemathesis-{VERSION}"), |prefix| {
        let requirements = prefix.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes"]);
        pip.arg("--target").arg(prefix).arg("--requirement").arg(&requirements);
        process::run(&mut pip)
    })
    .context("schemathesis cannot be installed; check that `python3 -m pip` reaches its registry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_each_package_by_its_digests() {
        assert!(REQUIREMENTS.contains(&format!("schemathesis=={VERSION} ")));
        let lines = REQUIREMENTS
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            let is_package = line.contains("==") && line.ends_with(" \\");
            assert!(is_package || line.trim_start().starts_with("--hash=sha256:"), "{line}");
        }
    }
}
