//! The preparation of a fjall database before it opens.
//!
//! A power failure can lose any sectors of the batch that was not acknowledged. fjall then refuses the whole
//! database, or silently drops later batches. So nexum reads the journals first, removes an incomplete batch at
//! their end, and refuses journals that are damaged before.
//!
//! After a failed sync, Linux shows pages that the disk does not have, and never writes them. So nexum writes the
//! last batch again, which is the only one that may not be on the disk, and syncs it and the directories.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexum_core::BoxError;

use super::journal::{Journal, Rest};

/// The file that fjall locks.
const LOCK: &str = "lock";

/// The end of a journal's name, which begins with its number.
const JOURNAL: &str = "jnl";

/// The attempts to lock the database, and the wait between two attempts. A view that reads while the
/// database closes holds the lock a little longer.
const LOCK_TRIES: u32 = 3;
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// The journals of a database are damaged. Names a journal without its directory, which may be secret.
#[derive(Debug, thiserror::Error)]
#[error("the journal {name} is damaged at byte {at}, and acknowledged batches follow")]
struct Damaged {
    name: String,
    at: usize,
}

/// Where something of the journals ends or begins.
struct Position {
    path: PathBuf,
    at: usize,
}

/// Prepares the database in a directory. Does nothing if none exists. The database must not be open.
pub(super) fn repair(directory: &Path) -> Result<(), BoxError> {
    let lock = match OpenOptions::new().read(true).write(true).open(directory.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    take(&lock)?;
    let mut journals = Journals::default();
    for path in paths(directory)? {
        journals.add(path)?;
    }
    journals.secure()?;
    sync_directories(directory)
    // Closing the file releases the lock, and fjall takes it.
}

/// Locks the database, so that no part of it is still open.
fn take(lock: &File) -> Result<(), BoxError> {
    for _ in 1..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => wait(),
            taken => return Ok(taken?),
        }
    }
    Ok(lock.try_lock()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's methods block, and the core calls them where blocking is allowed"
)]
fn wait() {
    std::thread::sleep(LOCK_WAIT);
}

/// The journals, from the oldest to the newest.
fn paths(directory: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == JOURNAL)
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok())
        {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// The end of the journals that were read.
#[derive(Default)]
struct Journals {
    number: Option<u64>,
    /// The last whole batch, with its bytes.
    last: Option<(Position, Vec<u8>)>,
    /// The end of the whole batches in the journal with an incomplete one.
    incomplete: Option<Position>,
}

impl Journals {
    /// Reads the next journal.
    fn add(&mut self, path: PathBuf) -> Result<(), BoxError> {
        let bytes = fs::read(&path)?;
        let journal = Journal::read(&bytes, self.number);
        let is_empty = journal.last.is_none() && journal.rest == Rest::Empty;
        if let Some(Position { path, at }) = self.incomplete.take_if(|_| !is_empty) {
            return Err(damaged(&path, at));
        }
        let end = journal.end();
        if let Some(last) = journal.last {
            let position = Position {
                path: path.clone(),
                at: last.start,
            };
            self.last = Some((position, bytes[last].to_vec()));
        }
        self.number = journal.number;
        match journal.rest {
            Rest::Empty => {}
            Rest::Incomplete => self.incomplete = Some(Position { path, at: end }),
            Rest::Damaged => return Err(damaged(&path, end)),
        }
        Ok(())
    }

    /// Removes the incomplete batch, and writes the last whole one again.
    fn secure(&self) -> Result<(), BoxError> {
        if let Some(Position { path, at }) = &self.incomplete {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(u64::try_from(*at)?)?;
            file.sync_all()?;
            tracing::warn!(
                target: "nexum::store",
                "the journal of the state store ended with an incomplete batch after byte {at}: nexum removed it, and \
                 no acknowledged batch is lost"
            );
        }
        if let Some((Position { path, at }, batch)) = &self.last {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.seek(SeekFrom::Start(u64::try_from(*at)?))?;
            file.write_all(batch)?;
            file.sync_all()?;
        }
        Ok(())
    }
}

fn damaged(path: &Path, at: usize) -> BoxError {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Damaged { name, at }.into()
}

/// Syncs a directory and those in it: a file that fjall renamed must not return to its old name.
fn sync_directories(directory: &Path) -> Result<(), BoxError> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    Ok(File::open(directory)?.sync_all()?)
}
