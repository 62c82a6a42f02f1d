//! A sync that fails: Linux then shows data that the disk does not have, and later syncs do not write that data.
//! After a power failure, fjall's state still has all acknowledged batches.
//!
//! The functions of the C library that write and sync are replaced in this program. They record the pages of
//! the journals that a disk would have.
#![expect(unsafe_code, reason = "replaces functions of the C library")]

use std::collections::{BTreeSet, HashMap};
use std::ffi::{c_int, c_void};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nexum_store::Backend;
use parking_lot::Mutex;
use rustix::io::Errno;

use crate::history::{self, Model};
use crate::journal::copy;
use crate::support::Fixture;

/// The unit that Linux writes, in bytes.
const PAGE: usize = 4_096;

/// The rounds with a failed sync.
const ROUNDS: u64 = 16;

/// The batches in each round before the sync that fails.
const BATCHES: u64 = 3;

/// The most syncs that fail in a row: of the batch, of the database that closes, and of the one that opens.
const FAILURES_MAX: u64 = 4;

static DISK: Mutex<Option<Disk>> = Mutex::new(None);

/// The journals on the disk under a directory.
struct Disk {
    directory: PathBuf,
    files: HashMap<PathBuf, Journal>,
    /// The number of the next syncs of journals that fail.
    failures: u64,
}

/// The content of a journal that certainly survives a power failure.
#[derive(Default)]
struct Journal {
    content: Vec<u8>,
    /// The pages that a sync has to write.
    dirty: BTreeSet<usize>,
}

impl Disk {
    /// A disk with the present journals.
    fn new(directory: PathBuf) -> Self {
        let mut disk = Self {
            directory,
            files: HashMap::new(),
            failures: 0,
        };
        for entry in fs::read_dir(disk.directory.join("state.fjall")).expect("a state") {
            let path = entry.expect("an entry").path();
            if disk.has(&path) {
                disk.journal(&path).content = fs::read(&path).expect("a readable journal");
            }
        }
        disk
    }

    fn journal(&mut self, path: &Path) -> &mut Journal {
        self.files.entry(path.to_owned()).or_default()
    }

    fn has(&self, path: &Path) -> bool {
        path.starts_with(&self.directory) && path.extension().is_some_and(|extension| extension == "jnl")
    }

    fn sync(&mut self, path: &Path) -> Result<(), Errno> {
        let fails = self.failures > 0;
        self.failures = self.failures.saturating_sub(1);
        let journal = self.journal(path);
        let dirty = std::mem::take(&mut journal.dirty);
        if fails {
            return Err(Errno::IO);
        }
        let now = fs::read(path).expect("a readable journal");
        journal.content.resize(now.len(), 0);
        for page in dirty {
            let bytes = (page * PAGE).min(now.len())..((page + 1) * PAGE).min(now.len());
            journal.content[bytes.clone()].copy_from_slice(&now[bytes]);
        }
        Ok(())
    }
}

/// Calls `work` with the disk and the path of a file, if the file is a journal on it.
fn of_journal<T>(file: BorrowedFd<'_>, work: impl FnOnce(&mut Disk, &Path) -> T) -> Option<T> {
    let path = path_of(file)?;
    let mut disk = DISK.lock();
    disk.as_mut()
        .filter(|disk| disk.has(&path))
        .map(|disk| work(disk, &path))
}

fn path_of(file: BorrowedFd<'_>) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let link = rustix::fs::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(link.as_bytes())))
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// The result of a function of the C library.
fn returned(result: Result<usize, Errno>) -> isize {
    result.map_or_else(
        |error| {
            // SAFETY: the address is that of this thread's variable.
            unsafe { *__errno_location() = error.raw_os_error() };
            -1
        },
        |value| isize::try_from(value).expect("a length of a buffer"),
    )
}

fn sync(file: c_int, real: fn(BorrowedFd<'_>) -> Result<(), Errno>) -> c_int {
    // SAFETY: the caller has the file open.
    let file = unsafe { BorrowedFd::borrow_raw(file) };
    let synced = of_journal(file, Disk::sync).unwrap_or_else(|| real(file));
    c_int::try_from(returned(synced.map(|()| 0))).expect("zero or minus one")
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    sync(file, |file| rustix::fs::fdatasync(file))
}

#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    sync(file, |file| rustix::fs::fsync(file))
}

#[unsafe(no_mangle)]
extern "C" fn write(file: c_int, bytes: *const c_void, count: usize) -> isize {
    // SAFETY: the caller has the file open, and a buffer of this length.
    let (file, bytes) = unsafe {
        (
            BorrowedFd::borrow_raw(file),
            std::slice::from_raw_parts(bytes.cast::<u8>(), count),
        )
    };
    let written = rustix::io::write(file, bytes);
    if let Ok(count @ 1..) = written {
        of_journal(file, |disk, path| {
            let end = rustix::fs::tell(file).expect("a regular file") as usize;
            disk.journal(path)
                .dirty
                .extend((end - count) / PAGE..end.div_ceil(PAGE));
        });
    }
    returned(written)
}

/// The state as a power failure leaves it.
fn after_power_failure(fixture: &Fixture) -> Fixture {
    let copy = copy(fixture);
    let journals: Vec<_> = {
        let disk = DISK.lock();
        let disk = disk.as_ref().expect("a disk");
        let journals = disk.files.iter().filter(|(path, _)| path.exists());
        let name = |path: &Path| path.strip_prefix(&disk.directory).map(Path::to_owned);
        journals
            .map(|(path, journal)| (name(path).expect("a journal on the disk"), journal.content.clone()))
            .collect()
    };
    for (name, content) in journals {
        fs::write(copy.path().join(name), content).expect("a writable copy");
    }
    copy
}

fn check(fixture: &Fixture, acknowledged: &Model, begun: u64) {
    let copy = after_power_failure(fixture);
    acknowledged.clone().follow(&*copy.open().view().unwrap(), begun);
}

#[test]
fn fjall_holds_acknowledged_batches_when_a_sync_fails_before_a_power_failure() {
    let fixture = Fixture::new(Backend::Fjall);
    drop(fixture.open());
    *DISK.lock() = Some(Disk::new(fixture.path().canonicalize().unwrap()));
    let mut store = fixture.open();
    let mut model = Model::default();
    for round in 0..ROUNDS {
        for _ in 0..BATCHES {
            store.write(&history::batch(model.number + 1)).unwrap();
            model.advance();
            check(&fixture, &model, model.number);
        }
        let begun = model.number + 1;
        set_failures(1 + round % FAILURES_MAX);
        assert!(store.write(&history::batch(begun)).is_err(), "a sync failed");
        check(&fixture, &model, begun);
        if round % 2 == 0 {
            drop(store);
            set_failures(0);
            store = fixture.open();
        }
        // Opening syncs, too, and can fail as often.
        let view = (0..FAILURES_MAX).find_map(|_| store.view().ok());
        model.follow(&*view.expect("a view when syncs succeed again"), begun);
        check(&fixture, &model, begun);
    }
    assert!(model.number > ROUNDS * BATCHES, "no failed batch became durable");
}

/// Lets a number of the next syncs of journals fail.
fn set_failures(number: u64) {
    DISK.lock().as_mut().expect("a disk").failures = number;
}
