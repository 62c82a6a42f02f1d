//! A small disk for the state, which the task can fill and free.

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

/// Marks the process that has its own mount namespace.
const OWN_MOUNTS: &str = "NEXUM_TORTURE_OWN_MOUNTS";

/// The free space of a new small disk beside twice the state. It is enough for a store to copy its
/// data, and small enough to fill within a moment.
const ROOM_BYTES: u64 = 24 << 20;

/// The sizes of writes that fill a disk, first the coarse ones, then the fine ones.
const COARSE: usize = 1 << 20;
const FINE: usize = 4 << 10;

/// The file that fills a disk.
const FILLER: &str = "filler";

/// Restarts this process in its own mount namespace, whose mounts end with the process. Returns in
/// the restarted process.
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
        "cannot mount a small disk for the full disk rounds; run as root or allow user namespaces, \
         or leave it out with --no-full-disk",
    )?;
    let mut again = unshare();
    again
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(OWN_MOUNTS, "1");
    Err(again.exec()).context("cannot restart in a mount namespace")
}

/// A small disk in memory that replaces a directory and contains a copy of its files. The mount
/// ends when the value is dropped.
#[derive(Debug)]
pub(super) struct SmallDisk {
    at: PathBuf,
    /// The original directory.
    below: PathBuf,
    full: bool,
}

impl SmallDisk {
    /// Mounts a small disk over a directory.
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

    /// Fills the disk.
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

    /// Frees the space that [`Self::fill`] used.
    pub(super) fn free(&mut self) -> Result<()> {
        if self.full {
            fs::remove_file(self.at.join(FILLER))?;
            self.full = false;
        }
        Ok(())
    }

    /// Copies the disk's files back into the original directory, and unmounts the disk.
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
    /// After a failure, keeps a copy of the disk's files for the investigation.
    fn drop(&mut self) {
        let kept = self.at.with_extension("small-disk");
        let _ = self.free();
        let _ = fs::create_dir(&kept);
        let _ = copy(&self.at, &kept);
        let _ = self.unmount();
    }
}

/// Copies the content of a directory.
fn copy(from: &Path, to: &Path) -> Result<()> {
    process::output(Command::new("cp").arg("-a").arg(from.join(".")).arg(to)).map(drop)
}

/// The size of all files in a directory, in bytes.
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
