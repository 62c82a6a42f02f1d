//! Chromium, and the packages of npm with which tests open the operator's page in it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nexum_build::{
    toolchain::apt::{self, Apt},
    tools::install_locked_from_npm,
};

use crate::{
    cache,
    process::{Steps, explain},
};

/// The variables with which the tests find the browser, and the directory of the packages.
const CHROMIUM: &str = "NEXUM_CHROMIUM";
const PACKAGES: &str = "NEXUM_BROWSER_PACKAGES";

/// The programs on PATH that are the browser.
const PROGRAMS: [&str; 3] = ["chromium", "google-chrome", "google-chrome-stable"];

/// The Debian package, and the name of its launcher in the cache.
const PACKAGE: &str = "chromium";

/// Starts the browser with the libraries that its packages have brought. A machine without fonts gets those of
/// the packages.
const LAUNCHER: &str = "#!/bin/sh
here=$(dirname \"$(readlink -f \"$0\")\")
LD_LIBRARY_PATH=$(find \"$here/usr/lib\" -name '*.so*' -printf '%h\\n' | sort -u | tr '\\n' ':')
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE=\"$here/fonts.conf\"
exec \"$here/usr/lib/chromium/chromium\" \"$@\"
";

const FONTS: &str = "<?xml version=\"1.0\"?>
<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix=\"relative\">usr/share/fonts</dir>
  <cachedir prefix=\"xdg\">fontconfig</cachedir>
</fontconfig>
";

/// The packages that drive the browser and check what is accessible, and the lock file that pins each by version and
/// digest.
const MANIFEST: &str = include_str!("browser/package.json");
const LOCK: &str = include_str!("browser/package-lock.json");

/// Returns the browser and the packages with their variables, for the environment of tests. Fetches them first if they
/// are absent.
pub(crate) fn ensure() -> Result<[(&'static str, PathBuf); 2]> {
    Ok([(CHROMIUM, chromium()?), (PACKAGES, packages()?)])
}

/// The browser: the one on PATH, or else Debian's, unpacked without being installed.
fn chromium() -> Result<PathBuf> {
    if let Some(program) = on_path() {
        return Ok(program);
    }
    let unpacked = cache::once(PACKAGE, |prefix| {
        let debs = prefix.join("debs");
        fs::create_dir_all(&debs)?;
        let fetched = Apt::system(&Steps).and_then(|apt| apt.download_missing(PACKAGE, &debs));
        // The machine's package lists may name versions that the archive no longer has.
        let fetched = fetched.or_else(|_| Apt::refreshed(&debs.join("apt"), &Steps)?.download_missing(PACKAGE, &debs));
        for package in fetched.map_err(explain)? {
            apt::unpack(&debs, &package, prefix, &[], &Steps).map_err(explain)?;
        }
        fs::remove_dir_all(&debs)?;
        fs::write(prefix.join("fonts.conf"), FONTS)?;
        let launcher = prefix.join(PACKAGE);
        fs::write(&launcher, LAUNCHER)?;
        Ok(fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755))?)
    })
    .context("Chromium is not on PATH and not available from Debian; install it")?;
    Ok(unpacked.join(PACKAGE))
}

fn on_path() -> Option<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let mut programs =
        std::env::split_paths(&directories).flat_map(|directory| PROGRAMS.map(|name| directory.join(name)));
    programs.find(|program| program.is_file())
}

fn packages() -> Result<PathBuf> {
    cache::once(&cache::named("browser-packages", &[LOCK.into()]), |directory: &Path| {
        install_locked_from_npm(MANIFEST, LOCK, directory, &Steps).map_err(explain)
    })
}
