//! What cargo compiled for `cargo xtask ci`, kept from one clone of the project to the next.
//!
//! Cargo compiles into the build directory that `CARGO_BUILD_BUILD_DIR` names, and puts finished programs into the clone's
//! own `target/`. One task at a time uses a directory. Cargo names what it compiles after the path in the workspace, not
//! after the workspace's own path, and recognises a change by the time of the source file. So another clone's crates could
//! pass for this clone's: a clone that takes over a directory keeps the dependencies and deletes the workspaces' crates.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{by_use, remove, root};
use crate::{
    paths, process,
    toolchain::{BARE, WASI},
};

/// The environment variable that names cargo's build directory. One that is set already overrides the cache.
pub(crate) const VARIABLE: &str = "CARGO_BUILD_BUILD_DIR";

/// How many tasks at once have a directory each, for the same toolchain and lock files: a developer's and that of
/// continuous integration. A third one builds in its own clone.
const AT_ONCE_MAX: usize = 2;

/// How many directories are kept, at some gigabytes each: those of two tasks at once, and one for the lock file before.
const DIRECTORIES_MAX: usize = 3;

/// The file in a directory that names the clone whose crates it has. Its time is that of the last use.
const OWNER: &str = "owner";

/// A build directory that no other task uses as long as this exists.
#[derive(Debug)]
pub(crate) struct BuildDirectory {
    path: PathBuf,
    is_warm: bool,
    _lock: File,
}

impl BuildDirectory {
    /// Takes the directory for the active toolchain and the lock files. Returns nothing when other tasks use all of them.
    pub(crate) fn take() -> Result<Option<Self>> {
        let parent = root().join("builds");
        fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let key = key()?;
        for number in 1..=AT_ONCE_MAX {
            let path = parent.join(format!("{key}-{number}"));
            let Some(lock) = try_lock(&path)? else { continue };
            let directory = Self {
                is_warm: path.join(OWNER).exists(),
                path,
                _lock: lock,
            };
            directory.hand_over_to(paths::root())?;
            prune(&parent)?;
            return Ok(Some(directory));
        }
        Ok(None)
    }

    /// Makes cargo, in this command and in all that it starts, compile into this directory.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.path)
    }

    /// Where it is, and whether dependencies were in it when it was taken.
    pub(crate) fn describe(&self) -> String {
        let state = if self.is_warm { "warm" } else { "cold" };
        format!("{state} build directory {}", self.path.display())
    }

    fn hand_over_to(&self, clone: &Path) -> Result<()> {
        let owner = self.path.join(OWNER);
        let clone = clone.as_os_str().as_encoded_bytes();
        if self.is_warm && fs::read(&owner)? != clone {
            self.clean()?;
        }
        fs::create_dir_all(&self.path)?;
        fs::write(&owner, clone).with_context(|| format!("cannot write {}", owner.display()))
    }

    /// Deletes what was compiled of the workspaces' own crates, in each profile that a step builds.
    fn clean(&self) -> Result<()> {
        let guests = ["--target", BARE, "--target", WASI];
        let selections: [(&Path, PathBuf, Vec<&str>); 3] = [
            (paths::root(), self.path.clone(), Vec::new()),
            (&paths::modules(), of_guests(&self.path), guests.to_vec()),
            (
                &paths::modules(),
                of_guests(&self.path),
                [&["--release"], &guests[..]].concat(),
            ),
        ];
        for (workspace, directory, selection) in selections {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(workspace);
            cargo
                .args(["clean", "--quiet", "--locked", "--workspace"])
                .args(selection);
            // Both: the programs in the clone's own `target/` stay, of which this one is one.
            cargo.env(VARIABLE, &directory).env("CARGO_TARGET_DIR", &directory);
            process::run(&mut cargo)?;
        }
        Ok(())
    }
}

/// The build directory of the guests' workspace, in that of the host's: its crates could have the names of the host's.
pub(crate) fn of_guests(host: &Path) -> PathBuf {
    host.join("guests")
}

/// What the compiled dependencies are good for: a compiler and the lock files.
fn key() -> Result<String> {
    let compiler = process::output(Command::new("rustc").args(["--version", "--verbose"]))?;
    let mut hash = Sha256::new_with_prefix(compiler);
    for workspace in [paths::root(), &paths::modules()] {
        let lock_file = workspace.join("Cargo.lock");
        hash.update(fs::read(&lock_file).with_context(|| format!("cannot read {}", lock_file.display()))?);
    }
    Ok(hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Deletes the directories that were used least recently, but for those in use.
fn prune(parent: &Path) -> Result<()> {
    for directory in by_use(parent, "", OWNER).into_iter().skip(DIRECTORIES_MAX) {
        if let Some(_lock) = try_lock(&directory)? {
            remove(&directory)?;
        }
    }
    Ok(())
}

/// Locks a directory, unless another task has. The lock is a file beside it, which stays: who deletes a lock file takes
/// away the lock of the next one who opens it.
fn try_lock(directory: &Path) -> Result<Option<File>> {
    let path = directory.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn use_one(parent: &Path, name: &str, age_s: u64) -> PathBuf {
        let directory = parent.join(name);
        fs::create_dir(&directory).expect("directory");
        let owner = File::create(directory.join(OWNER)).expect("owner");
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age_s);
        owner.set_modified(time).expect("time");
        directory
    }

    #[test]
    fn deletes_the_directories_beyond_the_bound_unless_they_are_in_use() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let kept: Vec<_> = (0..DIRECTORIES_MAX)
            .map(|number| use_one(parent.path(), &format!("new-{number}"), 0))
            .collect();
        let in_use = use_one(parent.path(), "in-use", 10);
        let deleted = use_one(parent.path(), "unused", 20);
        let lock = try_lock(&in_use).expect("a lock file").expect("the first to lock it");

        prune(parent.path()).expect("can delete");
        assert!(kept.iter().all(|directory| directory.exists()));
        assert!(in_use.exists() && !deleted.exists());

        drop(lock);
        prune(parent.path()).expect("can delete");
        assert!(!in_use.exists());
    }

    #[test]
    fn locks_a_directory_once() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let directory = parent.path().join("one");
        let first = try_lock(&directory).expect("a lock file");
        assert!(first.is_some());
        assert!(try_lock(&directory).expect("a lock file").is_none());
        drop(first);
        assert!(try_lock(&directory).expect("a lock file").is_some());
    }
}
