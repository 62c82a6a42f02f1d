//! Prometheus, which the tests hold what nexum exports against: its checker and its server.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    cache, process,
    toolchain::apt::{self, Apt},
};

/// Its programs, each behind the environment variable in which tests find it.
const PROGRAMS: [(&str, &str); 2] = [("NEXUM_PROMTOOL", "promtool"), ("NEXUM_PROMETHEUS", "prometheus")];

/// The package of Debian that has them.
const PACKAGE: &str = "prometheus";

/// The programs to run, for the environment of tests: those on PATH, else Debian's, fetched once and unpacked without being
/// installed.
pub(crate) fn ensure() -> Result<[(&'static str, PathBuf); PROGRAMS.len()]> {
    if PROGRAMS.iter().all(|(_, program)| process::exists(program)) {
        return Ok(PROGRAMS.map(|(variable, program)| (variable, program.into())));
    }
    let prefix = cache::once("prometheus", |prefix| {
        let debs = prefix.join("debs");
        std::fs::create_dir_all(&debs)?;
        let fetched = Apt::system()?.download(&[PACKAGE], &debs);
        // The machine's lists may be older than what the archive still has.
        fetched.or_else(|_| Apt::refreshed(&debs.join("apt"))?.download(&[PACKAGE], &debs))?;
        let files = PROGRAMS.map(|(_, program)| format!("./usr/bin/{program}"));
        apt::unpack(&debs, PACKAGE, prefix, &files.each_ref().map(String::as_str))?;
        Ok(std::fs::remove_dir_all(&debs)?)
    })
    .context("no Prometheus on PATH, and none from Debian; install it")?;
    Ok(PROGRAMS.map(|(variable, program)| (variable, prefix.join("usr/bin").join(program))))
}
