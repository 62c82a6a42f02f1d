//! Prometheus: the tests check nexum's metrics with its checker and its server.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nexum_build::toolchain::apt::{self, Apt};

use crate::{
    cache,
    process::{self, Steps},
};

/// The programs. Tests find each through its environment variable.
const PROGRAMS: [(&str, &str); 2] = [("NEXUM_PROMTOOL", "promtool"), ("NEXUM_PROMETHEUS", "prometheus")];

/// The Debian package that contains the programs.
const PACKAGE: &str = "prometheus";

/// Returns the programs with their variables, for the environment of tests. If they are not on
/// PATH, downloads the Debian package once and unpacks it without installing it.
pub(crate) fn ensure() -> Result<[(&'static str, PathBuf); PROGRAMS.len()]> {
    if PROGRAMS.iter().all(|(_, program)| process::exists(program)) {
        return Ok(PROGRAMS.map(|(variable, program)| (variable, program.into())));
    }
    let prefix = cache::once("prometheus", |prefix| {
        let debs = prefix.join("debs");
        std::fs::create_dir_all(&debs)?;
        let fetched = Apt::system(&Steps)?.download(&[PACKAGE], &debs);
        // The machine's package lists may name versions that the archive no longer has.
        fetched.or_else(|_| Apt::refreshed(&debs.join("apt"), &Steps)?.download(&[PACKAGE], &debs))?;
        let files = PROGRAMS.map(|(_, program)| format!("./usr/bin/{program}"));
        apt::unpack(&debs, PACKAGE, prefix, &files.each_ref().map(String::as_str), &Steps)?;
        Ok(std::fs::remove_dir_all(&debs)?)
    })
    .context("Prometheus is not on PATH and not available from Debian; install it")?;
    Ok(PROGRAMS.map(|(variable, program)| (variable, prefix.join("usr/bin").join(program))))
}
