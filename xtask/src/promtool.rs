//! Prometheus's own checker of metrics, which the tests hold what nexum exports against.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    paths, process,
    toolchain::apt::{self, Apt},
};

/// The environment variable in which tests find it.
pub(crate) const VARIABLE: &str = "NEXUM_PROMTOOL";

/// The package of Debian that has it.
const PACKAGE: &str = "prometheus";

/// The promtool to run: the one on PATH, else Debian's, fetched once and unpacked without being installed.
pub(crate) fn ensure() -> Result<PathBuf> {
    if process::exists("promtool") {
        return Ok("promtool".into());
    }
    let prefix = paths::tools().join("promtool");
    let binary = prefix.join("usr/bin/promtool");
    if binary.exists() {
        return Ok(binary);
    }
    process::step("promtool", || {
        let debs = prefix.join("debs");
        std::fs::create_dir_all(&debs)?;
        let fetched = Apt::system()?.download(&[PACKAGE], &debs);
        // The machine's lists may be older than what the archive still has.
        fetched.or_else(|_| Apt::refreshed(&paths::tools().join("apt"))?.download(&[PACKAGE], &debs))?;
        apt::unpack(&debs, PACKAGE, &prefix, &["./usr/bin/promtool"])?;
        Ok(std::fs::remove_dir_all(&debs)?)
    })
    .context("no promtool on PATH, and none from Debian; install Prometheus")?;
    Ok(binary)
}
