//! The build directories of `cargo xtask ci`, which several clones of the project reuse.
//!
//! Cargo compiles into the build directory that `CARGO_BUILD_BUILD_DIR` names, and puts finished programs into the clone's
//! own `target/`. One task at a time uses a directory.
//!
//! Cargo identifies a crate of the workspace by its path in the workspace, without the path of the clone, and detects a
//! change by the modification time of the source file. Cargo could therefore take the crates that another clone compiled for
//! this clone's. So a clone that takes over a directory deletes the workspaces' own crates and keeps the dependencies.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nexum_build::{
    cache::{by_use, remove},
    toolchain::{BARE, WASI},
};
use sha2::{Digest, Sha256};

use super::cache;
use crate::{paths, process};

/// The environment variable that names cargo's build directory. One that is set already overrides the cache.
pub(crate) const VARIABLE: &str = "CARGO_BUILD_BUILD_DIR";

/// The most tasks with a directory for one toolchain and lock file: a developer's and one of
/// continuous integration. A third task builds in its own clone.
const AT_ONCE_MAX: usize = 2;

/// The most directories, at some gigabytes each: two for concurrent tasks, and one for the previous
/// lock file.
const DIRECTORIES_MAX: usize = 3;

/// The file that identifies the clone whose crates a directory has. Its modification time is the time of the last use.
const OWNER: &str = "owner";

/// The file in a clone's `target/` that distinguishes the clone from an earlier one at its path: a
/// random number.
const CLONE_ID: &str = "clone-id";

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
        let parent = cache()?.root().join("builds");
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
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env(VARIABLE, &self.path);
        // Continuous integration compiles a clone once, so it never reads incremental data.
        if std::env::var_os("CI").is_some() {
            command.env("CARGO_INCREMENTAL", "0");
        }
    }

    /// Where the directory is, and whether an earlier run filled it.
    pub(crate) fn describe(&self) -> String {
        let state = if self.is_warm { "warm" } else { "cold" };
        format!("build directory {}: {state} at the start", self.path.display())
    }

    fn hand_over_to(&self, clone: &Path) -> Result<()> {
        let owner = self.path.join(OWNER);
        let identity = identity(clone)?;
        if self.is_warm && fs::read_to_string(&owner)? != identity {
            self.clean()?;
        }
        fs::create_dir_all(&self.path)?;
        fs::write(&owner, identity).with_context(|| format!("cannot write {}", owner.display()))
    }

    /// Deletes the compiled crates of the workspaces themselves, in each profile that a step
    /// builds.
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
            // Finished programs in the clone's own `target/` stay: this program is one of them.
            cargo.env(VARIABLE, &directory).env("CARGO_TARGET_DIR", &directory);
            process::run(&mut cargo)?;
        }
        Ok(())
    }
}

/// The path of a clone and its number, which is made if it is absent.
fn identity(clone: &Path) -> Result<String> {
    let target = clone.join("target");
    let file = target.join(CLONE_ID);
    if !file.exists() {
        fs::create_dir_all(&target)?;
        fs::write(&file, format!("{:016x}\n", rand::random::<u64>()))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(format!("{}\n{}", clone.display(), fs::read_to_string(&file)?))
}

/// The build directory of the guests' workspace, inside the host's. They are separate because cargo
/// deletes and locks a whole directory.
pub(crate) fn of_guests(host: &Path) -> PathBuf {
    host.join("guests")
}

/// Identifies the compiler and the locked dependencies, which decide what cargo can use again.
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

/// Deletes the least recently used directories beyond [`DIRECTORIES_MAX`], unless a task uses them.
fn prune(parent: &Path) -> Result<()> {
    for directory in by_use(parent, "", OWNER).into_iter().skip(DIRECTORIES_MAX) {
        if let Some(_lock) = try_lock(&directory)? {
            remove(&directory)?;
        }
    }
    Ok(())
}

/// Locks a directory, unless another task holds the lock. The lock file beside the directory stays: a task could have opened
/// a deleted one, and two tasks would hold the lock.
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
    fn tells_a_clone_from_others_and_from_an_earlier_one_at_its_path() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let [clone, copy] = ["clone", "copy"].map(|name| parent.path().join(name));
        let first = identity(&clone).expect("an identity");
        assert_eq!(identity(&clone).expect("an identity"), first);

        fs::create_dir_all(copy.join("target")).expect("directory");
        fs::copy(clone.join("target/clone-id"), copy.join("target/clone-id")).expect("a copy");
        assert_ne!(identity(&copy).expect("an identity"), first);

        fs::remove_dir_all(clone.join("target")).expect("can delete");
        assert_ne!(identity(&clone).expect("an identity"), first);
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
