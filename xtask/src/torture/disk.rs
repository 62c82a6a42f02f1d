//! A small disk for the state, to fill up and to make room on.

use std::{
    env, fs,
    fs::File,
    io::{ErrorKind, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::process;

/// Set for the process that has its mounts to itself.
const OWN_MOUNTS: &str = "NEXUM_TORTURE_OWN_MOUNTS";

/// How much room is left on a small disk for what a round adds: so much that a store can copy what it has, and little enough to
/// be filled in a moment.
const ROOM_BYTES: u64 = 24 << 20;

/// What is written at a time to fill a disk, at first and at the end.
const COARSE: usize = 1 << 20;
const FINE: usize = 4 << 10;

/// The file that fills a disk.
const FILLER: &str = "filler";

/// Begins this process anew with mounts of its own, which are gone when it is, however that comes about. Returns in the one that
/// has them.
pub(super) fn own_mounts() -> Result<()> {
    if env::var_os(OWN_MOUNTS).is_some() {
        return Ok(());
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command
    };
    process::output(unshare().args(["mount", "-t", "tmpfs", "none", "/mnt"])).context(
        "a full disk needs a small one, and that a mount: run this as root, or where users may have namespaces; \
         or leave it out with --no-full-disk",
    )?;
    let mut again = unshare();
    again
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(OWN_MOUNTS, "1");
    Err(again.exec()).context("cannot start anew with mounts of its own")
}

/// A small disk in memory, in place of a directory, with what was in it. Gone when it is dropped.
#[derive(Debug)]
pub(super) struct SmallDisk {
    at: PathBuf,
    /// What was in the directory, and will be again.
    below: PathBuf,
    full: bool,
}

impl SmallDisk {
    /// Puts one over a directory.
    pub(super) fn over(at: &Path) -> Result<Self> {
        let below = at.with_extension("below");
        fs::create_dir_all(at)?;
        fs::rename(at, &below)?;
        fs::create_dir(at)?;
        let size = bytes_of(&below)? * 2 + ROOM_BYTES;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]);
        process::output(mount.arg(at))?;
        let disk = Self {
            at: at.to_owned(),
            below,
            full: false,
        };
        copy(&disk.below, at)?;
        Ok(disk)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Leaves no room.
    pub(super) fn fill(&mut self) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.at.join(FILLER))?;
        let zeros = vec![0; COARSE];
        for size in [COARSE, FINE] {
            loop {
                match filler.write_all(&zeros[..size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => bail!(error),
                }
            }
        }
        self.full = true;
        Ok(())
    }

    /// Makes room again.
    pub(super) fn free(&mut self) -> Result<()> {
        if self.full {
            fs::remove_file(self.at.join(FILLER))?;
            self.full = false;
        }
        Ok(())
    }

    /// Puts what is on it back where it was taken from.
    pub(super) fn put_back(mut self) -> Result<()> {
        self.free()?;
        fs::remove_dir_all(&self.below)?;
        fs::create_dir(&self.below)?;
        copy(&self.at, &self.below)?;
        self.unmount()?;
        fs::remove_dir(&self.at)?;
        fs::rename(&self.below, &self.at)?;
        std::mem::forget(self);
        Ok(())
    }

    fn unmount(&self) -> Result<()> {
        process::output(Command::new("umount").arg("--lazy").arg(&self.at)).map(drop)
    }
}

impl Drop for SmallDisk {
    /// After a failure: what is on it is what somebody will want to look at.
    fn drop(&mut self) {
        let kept = self.at.with_extension("small-disk");
        let _ = self.free();
        let _ = fs::create_dir(&kept);
        let _ = copy(&self.at, &kept);
        let _ = self.unmount();
    }
}

/// Copies what is in a directory.
fn copy(from: &Path, to: &Path) -> Result<()> {
    process::output(Command::new("cp").arg("-a").arg(from.join(".")).arg(to)).map(drop)
}

/// Bytes of all files in a directory.
pub(super) fn bytes_of(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            bytes_of(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
