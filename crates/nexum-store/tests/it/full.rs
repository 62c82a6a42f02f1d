//! The disk becomes full, and has room again: the store continues by itself, with all acknowledged
//! data.

use std::path::Path;

use nexum_core::state;
use nexum_core::store::StateStore;
use nexum_store::{Backend, RedbStore};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::child::{Other, directory, say};
use crate::disk::Disk;
use crate::history::{self, Model};
use crate::support::{Fixture, open};

/// The most changes before the disk is full.
const ROOM_MAX: u32 = 120;

/// The largest size of the child process's files, from the first to the last limit.
const FILE_BYTES: [u64; 4] = [6 << 20, 7 << 20, 9 << 20, 11 << 20];

/// The number of writes on a full disk.
const TRIES_WHILE_FULL: usize = 3;

/// The number of batches after the disk has room again.
const BATCHES_AFTER: u64 = 5;

#[test]
fn redb_goes_on_when_the_disk_has_room_again() {
    for room in 0..ROOM_MAX {
        let disk = Disk::new(Vec::new(), u64::from(room));
        let medium = disk.clone();
        let store = RedbStore::on(move || medium.clone(), 1 << 20).unwrap();
        state::open(&store).unwrap();
        let mut model = Model::default();
        disk.set_room(Some(room));
        while store.write(&history::batch(model.number + 1)).is_ok() {
            model.advance();
        }
        assert!(disk.is_full(), "an error, and room for {room}");
        let held = store.view();
        assert!(store.write(&history::batch(model.number + 1)).is_err());
        disk.set_room(None);
        model.follow(&*store.view().unwrap(), model.number + 1);
        for _ in 0..BATCHES_AFTER {
            store.write(&history::batch(model.number + 1)).unwrap();
            model.advance();
        }
        drop(held);
        model.follow(&*store.view().unwrap(), model.number);
        // The data is on the disk, not only in the page cache.
        let after = Disk::new(disk.synced(), 0);
        let after = RedbStore::on(move || after.clone(), 1 << 20).unwrap();
        model.follow(&*after.view().unwrap(), model.number);
    }
}

#[test]
fn redb_goes_on_when_its_file_may_grow_again() {
    check(Backend::Redb, "full::redb_goes_on_when_its_file_may_grow_again");
}

#[test]
fn sled_goes_on_when_its_file_may_grow_again() {
    check(Backend::Sled, "full::sled_goes_on_when_its_file_may_grow_again");
}

#[test]
fn fjall_goes_on_when_its_file_may_grow_again() {
    check(Backend::Fjall, "full::fjall_goes_on_when_its_file_may_grow_again");
}

fn check(backend: Backend, test: &str) {
    if let Some(directory) = directory() {
        return fill_and_go_on(backend, &directory);
    }
    for file_bytes in FILE_BYTES {
        let fixture = Fixture::new(backend);
        // fjall gives a new journal 64 MiB. Opening again shortens the journal to its content.
        drop(fixture.open());
        let mut other = Other::start(test, &fixture.path(), Some(file_bytes));
        let acknowledged = other.hear().and_then(|number| number.parse().ok());
        assert!(other.wait().success(), "with {file_bytes} bytes");
        let mut model = Model::default();
        while Some(model.number) < acknowledged {
            model.advance();
        }
        model.follow(&*fixture.open().view().unwrap(), model.number);
    }
}

/// Writes until its file may not grow further, and continues when it may. Reports the number of
/// written batches.
fn fill_and_go_on(backend: Backend, directory: &Path) {
    let store = open(backend, directory);
    let mut model = Model::default();
    let held = store.view().unwrap();
    while store.write(&history::batch(model.number + 1)).is_ok() {
        model.advance();
    }
    // The report of the failure names the file, and the free space at it.
    let location = store.location().unwrap();
    assert_eq!(location.path, directory.join(backend.file_name().unwrap()));
    assert!(location.free_bytes > Some(0));
    for _ in 0..TRIES_WHILE_FULL {
        // A small batch may fit into the file.
        if store.write(&history::batch(model.number + 1)).is_ok() {
            model.advance();
        }
        // Readable data is correct.
        if let Ok(view) = store.view()
            && let Ok(Some(_)) = view.get(b"n")
        {
            let begun = model.number + 1;
            model.follow(&*view, begun);
        }
    }
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = limit.maximum;
    setrlimit(Resource::Fsize, limit).unwrap();
    let begun = model.number + 1;
    model.follow(&*store.view().unwrap(), begun);
    for _ in 0..BATCHES_AFTER {
        store.write(&history::batch(model.number + 1)).unwrap();
        model.advance();
    }
    drop(held);
    model.follow(&*store.view().unwrap(), model.number);
    say(model.number);
}
