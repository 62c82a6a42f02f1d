//! The directory with all files for an operator, which becomes the tarball and the context of the
//! container image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{BINARY, Build, MODULE, archive, deb, docs};
use crate::{paths, process};

/// The completion scripts: the shell, the file's name, and its directory in the tarball.
const COMPLETIONS: [(&str, &str, &str); 3] = [
    ("bash", "nexum.bash", "share/bash-completion/completions/nexum"),
    ("fish", "nexum.fish", "share/fish/vendor_completions.d/nexum.fish"),
    ("zsh", "_nexum", "share/zsh/site-functions/_nexum"),
];

/// Files and directories of the work tree, and their paths in the tarball.
const SOURCES: [(&str, &str); 4] = [
    ("packaging/container", "container"),
    ("packaging/engine.toml", "engine.toml"),
    ("packaging/monitoring", "share/doc/nexum/monitoring"),
    ("packaging/systemd", "systemd"),
];

/// Runs the binary to write its manual pages and completion scripts. Writes the change log of the Debian
/// package and the documentation, and copies the module.
pub(super) fn generate(build: &Build) -> Result<()> {
    let directory = build.generated();
    renew(&directory)?;
    let nexum = build.products().join(BINARY);
    let pages = tempfile::tempdir()?;
    process::output(Command::new(&nexum).arg("man").arg(pages.path()))?;
    for page in fs::read_dir(pages.path())? {
        let page = page?;
        let name = format!("{}.gz", page.file_name().to_string_lossy());
        write(
            &directory.join("man").join(name),
            &archive::gzip(&fs::read(page.path())?)?,
        )?;
    }
    let changelog = archive::gzip(deb::changelog(build)?.as_bytes())?;
    write(&directory.join("changelog.Debian.gz"), &changelog)?;
    for (shell, name, _) in COMPLETIONS {
        let script = process::output(Command::new(&nexum).args(["completions", shell]))?;
        write(&directory.join("completions").join(name), script.as_bytes())?;
    }
    docs::fill(&directory.join("doc"))?;
    copy(
        &paths::built_modules().join(MODULE),
        &directory.join("modules").join(MODULE),
    )
}

/// Fills the directory of the tarball, and returns its path.
pub(super) fn fill(build: &Build) -> Result<PathBuf> {
    let directory = build.dist().join(build.name());
    // Packages of another version would get into the list of digests of this one.
    renew(&build.dist())?;
    copy(&build.products().join(BINARY), &directory.join("bin").join(BINARY))?;
    copy(&build.generated().join("man"), &directory.join("share/man/man1"))?;
    copy(&build.generated().join("doc"), &directory.join("share/doc/nexum"))?;
    copy(
        &build.generated().join("modules"),
        &directory.join("share/nexum/modules"),
    )?;
    for (_, name, to) in COMPLETIONS {
        copy(&build.generated().join("completions").join(name), &directory.join(to))?;
    }
    for (from, to) in SOURCES {
        copy(&paths::root().join(from), &directory.join(to))?;
    }
    Ok(directory)
}

/// Makes an empty directory, in place of one that exists.
fn renew(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Copies a file, or a directory with its content.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &bytes)?;
    Ok(fs::set_permissions(to, fs::metadata(from)?.permissions())?)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
