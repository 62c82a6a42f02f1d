//! The store on [sled](https://docs.rs/sled/0.34.7): a directory of files with one tree.
//!
//! sled has no snapshots: a view reads the current rows, and a frozen view needs the old values that
//! each write saves for it. After a failed write, reads fail too until the disk has room, because
//! sled writes when it opens.
//!
//! sled's own flush waits until the pages of its log are written, but does not sync the file: a
//! power failure may lose the file's new length, and with it the content of the new part. So this
//! store syncs the log too.

mod gate;
mod rows;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexum_config::masked_path::MaskedPath;
use nexum_core::BoxError;
use nexum_core::store::{Batch, Location, Range, StateStore, StoreError, View, Visit, is_empty};
use parking_lot::Mutex;

use self::gate::{Frozen, Gate};
use self::rows::{Rows, SEGMENT_BYTES};
use crate::location::location;
use crate::lock::DirectoryLock;
use crate::reopening::Reopening;

/// sled's log, in the directory of the database.
const LOG: &str = "db";

/// The attempts to open a locked database, and the wait between two attempts: together longer than
/// a write of sled takes.
const UNLOCK_TRIES: u32 = 50;
const UNLOCK_WAIT: Duration = Duration::from_millis(10);

/// A store in a sled database.
pub struct SledStore {
    database: Arc<Reopening<Database>>,
    gate: Arc<Gate>,
    /// Held during a write.
    writes: Mutex<()>,
    /// The database's directory.
    path: MaskedPath,
    _lock: Option<DirectoryLock>,
}

struct Database {
    rows: Rows,
    log: File,
}

/// Opens the database in a state directory.
pub(crate) fn open(
    path: MaskedPath,
    cache_bytes: usize,
    lock: Option<DirectoryLock>,
) -> Result<Arc<dyn StateStore>, BoxError> {
    Ok(Arc::new(SledStore::new(path, cache_bytes, lock)?))
}

impl SledStore {
    /// Opens a directory of database files. Creates a missing directory. `cache_bytes` bounds the
    /// memory for pages.
    ///
    /// # Errors
    ///
    /// If the directory is not a database, is in use, or cannot be read.
    pub fn open(path: impl Into<PathBuf>, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::new(path.into().into(), cache_bytes, None).map_err(StoreError::Backend)
    }

    fn new(path: MaskedPath, cache_bytes: usize, lock: Option<DirectoryLock>) -> Result<Self, BoxError> {
        let directory = path.clone();
        let open = move || Database::open(&directory, cache_bytes);
        Ok(Self {
            database: Arc::new(Reopening::new(Box::new(open))?),
            gate: Arc::default(),
            writes: Mutex::default(),
            path,
            _lock: lock,
        })
    }

    fn read(&self, frozen: Option<Frozen>) -> Box<dyn View> {
        Box::new(SledView {
            database: self.database.clone(),
            frozen,
        })
    }
}

impl StateStore for SledStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(self.read(None))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(self.read(Some(self.gate.freeze())))
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let _alone = self.writes.lock();
        self.gate.wait();
        let is_met = self.database.with(|opened| {
            let rows = &opened.database.rows;
            if !batch.is_met(|key| rows.get(key))? {
                return Ok(false);
            }
            self.gate.change(batch, |key| rows.get(key), || rows.apply(batch))?;
            rows.flush()?;
            opened.database.log.sync_data()?;
            Ok(true)
        });
        is_met?.then_some(()).ok_or(StoreError::Conflict)
    }

    fn location(&self) -> Option<Location> {
        Some(location(&self.path))
    }
}

impl Database {
    fn open(path: &Path, cache_bytes: usize) -> Result<Self, BoxError> {
        remove_unfinished(path)?;
        let config = ::sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(cache_bytes as u64);
        Ok(Self {
            rows: Rows::new(open_unlocked(&config)?)?,
            log: File::open(path.join(LOG))?,
        })
    }
}

/// The end of the name of an unfinished snapshot. sled leaves one when its process ends or the disk
/// is full.
const UNFINISHED: &str = "generating";

/// Removes unfinished snapshots: sled takes them for finished ones, finds them damaged, and refuses
/// the database. It needs no snapshot, because it can make one from its log.
fn remove_unfinished(directory: &Path) -> Result<(), BoxError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Opens a database as soon as sled's own threads have released it, which may be a moment after it
/// is closed.
fn open_unlocked(config: &::sled::Config) -> Result<::sled::Db, ::sled::Error> {
    for _ in 0..UNLOCK_TRIES {
        match config.open() {
            // sled makes one error of this kind: the database is locked.
            Err(::sled::Error::Io(error)) if error.kind() == ErrorKind::Other => wait(),
            opened => return opened,
        }
    }
    config.open()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store's methods block, and the core calls them where blocking is allowed"
)]
fn wait() {
    std::thread::sleep(UNLOCK_WAIT);
}

/// The rows and bytes that a scan of a frozen view copies at a time, so that no lock is held during
/// a visit.
const ROWS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 1 << 20;

/// A view of the current rows, or of those at the time when it was frozen.
struct SledView {
    database: Arc<Reopening<Database>>,
    frozen: Option<Frozen>,
}

/// The next rows of a scan, and the key of the last one if others may follow.
struct Part {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    last: Option<Vec<u8>>,
}

impl SledView {
    /// The first rows of a frozen view between two bounds, which are in order.
    fn part(&self, frozen: &Frozen, (from, to): Range<'_>) -> Result<Part, StoreError> {
        self.database.with(|opened| {
            frozen.with(|saved| {
                let (mut rows, mut bytes, mut last) = (BTreeMap::new(), 0, None);
                opened.database.rows.scan((from, to), &mut |key, value| {
                    bytes += key.len() + value.len();
                    rows.insert(key.to_vec(), value.to_vec());
                    if rows.len() < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE {
                        return ControlFlow::Continue(());
                    }
                    last = Some(key.to_vec());
                    ControlFlow::Break(())
                })?;
                let to = last.as_deref().map_or(to, Bound::Included);
                for (key, old) in saved.range((from, to)) {
                    match old {
                        Some(old) => drop(rows.insert(key.clone(), old.clone())),
                        None => drop(rows.remove(key)),
                    }
                }
                Ok(Part { rows, last })
            })
        })
    }
}

impl View for SledView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.with(|opened| {
            let now = || opened.database.rows.get(key);
            match &self.frozen {
                Some(frozen) => frozen.with(|saved| saved.get(key).cloned().map_or_else(now, Ok)),
                None => now(),
            }
        })
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let Some(frozen) = &self.frozen else {
            // `visit` may take long, and may use the store: no lock is held meanwhile.
            let (rows, health) = self
                .database
                .with(|opened| Ok((opened.database.rows.clone(), opened.health.clone())))?;
            return health.watch(|| rows.scan(range, visit));
        };
        let (mut from, to) = (range.0.map(<[u8]>::to_vec), range.1);
        loop {
            let rest = (from.as_ref().map(Vec::as_slice), to);
            if is_empty(rest) {
                return Ok(());
            }
            let part = self.part(frozen, rest)?;
            for (key, value) in &part.rows {
                if visit(key, value).is_break() {
                    return Ok(());
                }
            }
            match part.last {
                Some(last) => from = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for SledView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledView").finish_non_exhaustive()
    }
}
