//! The checks of the packages that need no release build.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::{BINARY, Build, MODULE, Options};
use crate::{
    paths,
    process::{self, exists},
    prometheus,
};

/// The exposure that `systemd-analyze security` may compute for the service, in tenths: below "OK"
/// begins at 5, and a service that needs TCP and executable memory gets 1.4.
const EXPOSURE_MAX: u32 = 20;

/// Checks the unit, the configuration of Prometheus, and the packages of a debug build with the files of the
/// container.
pub(crate) fn check() -> Result<()> {
    let unit = unit()?;
    prometheus_config()?;
    let options = Options {
        debug: true,
        target_dir: None,
    };
    super::run(&options)?;
    let build = Build::of(&options)?;
    container(&build.dist().join(build.name()))?;
    system_calls(&unit, &build)
}

/// Checks that the directory of the tarball has the files that the image copies and compose.yaml mounts.
fn container(directory: &Path) -> Result<()> {
    let container = directory.join("container");
    let read = |name: &str| {
        let path = container.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (image, compose) = (read("Containerfile")?, read("compose.yaml")?);
    let copied = image
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.split(' ').next());
    let mounted = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- .")?.split(':').next());
    let copied: Vec<_> = copied.map(|source| directory.join(source)).collect();
    let mounted: Vec<_> = mounted.map(|source| container.join(format!(".{source}"))).collect();
    ensure!(!copied.is_empty() && !mounted.is_empty(), "the container uses no file");
    for source in copied.iter().chain(&mounted) {
        ensure!(
            source.exists(),
            "the container needs {}, which does not exist",
            source.display()
        );
    }
    Ok(())
}

/// Runs the packaged nexum with the packaged module, with only the system calls of the unit.
#[cfg(target_os = "linux")]
fn system_calls(unit: &str, build: &Build) -> Result<()> {
    let directory = build.dist().join(build.name());
    let module = directory.join(format!("share/nexum/modules/{MODULE}/{MODULE}.wasm"));
    process::step("system calls of the service", || {
        super::sandbox::check(unit, &directory.join("bin").join(BINARY), &module)
    })
}

/// Other systems have no systemd.
#[cfg(not(target_os = "linux"))]
fn system_calls(_: &str, _: &Build) -> Result<()> {
    Ok(())
}

/// Checks the unit with systemd's own tools, and returns its text.
fn unit() -> Result<String> {
    ensure!(
        exists("systemd-analyze"),
        "there is no systemd-analyze to check the service; install systemd"
    );
    let unit = paths::root().join("packaging/systemd/nexum.service");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    security.arg(format!("--threshold={EXPOSURE_MAX}")).arg(&unit);
    process::output(&mut security)?;

    let text = fs::read_to_string(&unit).with_context(|| format!("cannot read {}", unit.display()))?;
    ensure!(
        !text.contains("\nProcSubset=pid"),
        "ProcSubset=pid hides /proc/sys, in which nexum reads the limit on memory maps and the name of the machine"
    );
    // systemd looks for the programs of the unit.
    let program = std::env::current_exe()?;
    let runnable = text.replace("/usr/bin/nexum", &program.display().to_string());
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("nexum.service");
    fs::write(&copy, runnable)?;
    let mut verify = Command::new("systemd-analyze");
    process::output(verify.args(["verify", "--man=no"]).arg(&copy))?;
    Ok(text)
}

/// Checks the configuration of Prometheus in the container's directory, with the alerts beside it as
/// compose.yaml mounts them.
fn prometheus_config() -> Result<()> {
    let [(_, promtool), _] = prometheus::ensure()?;
    let directory = tempfile::tempdir()?;
    for file in ["container/prometheus.yml", "monitoring/alerts.yml"] {
        let from = paths::root().join("packaging").join(file);
        let name = from.file_name().unwrap_or_default();
        fs::copy(&from, directory.path().join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let config = directory.path().join("prometheus.yml");
    process::output(Command::new(promtool).args(["check", "config"]).arg(config)).map(drop)
}
