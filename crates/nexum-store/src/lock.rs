//! One process at a time: a lock file that names its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Holder, OpenError};

/// The lock file in the state directory. It stays after the lock is released: removing it would
/// race with the next process that takes the lock.
const FILE: &str = "lock";

/// The most bytes of a lock file that are read: a number and a few words.
const HOLDER_BYTES_MAX: u64 = 256;

/// The lock of a state directory. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock of an existing directory.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if another process holds the lock, or the file cannot be opened.
    pub(crate) fn take(directory: &Path, purpose: &str) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path(directory)).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: directory.to_owned(),
                    holder: read(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // Only the lock matters. On a full disk, the file cannot name its holder.
        let _ = write(&mut file, purpose);
        Ok(Self { file })
    }
}

impl Drop for DirectoryLock {
    /// Removes the holder's name. Closing the file releases the lock.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

fn write(file: &mut File, purpose: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{} {purpose}", std::process::id())
}

/// The holder that the file names, if it names one.
fn read(file: &mut File) -> Holder {
    let mut text = Vec::new();
    if file.take(HOLDER_BYTES_MAX).read_to_end(&mut text).is_err() {
        return Holder::default();
    }
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    let (pid, purpose) = line.split_once(' ').unwrap_or((line, ""));
    let purpose: String = purpose.chars().filter(|c| !c.is_control()).collect();
    Holder {
        pid: pid.parse().ok(),
        purpose: Some(purpose).filter(|purpose| !purpose.is_empty()),
    }
}
