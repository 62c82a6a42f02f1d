//! A copy of a store in use.

use std::fs;
use std::path::Path;

use nexum_core::store::StateStore;
use nexum_store::{Backend, BackupError, REPLACED, RedbStore, RestoreError, backup, restore};

use crate::history::{self, Model};
use crate::support::{Fixture, remove, set};

/// The number of batches before the copy, and after it.
const BATCHES: u64 = 30;

fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_backup_holds_what_there_was_when_it_began() {
    for backend in [Backend::Memory, Backend::Redb, Backend::Sled, Backend::Fjall] {
        let fixture = Fixture::new(backend);
        let store = fixture.open();
        let mut model = Model::default();
        for number in 1..=BATCHES {
            store.write(&history::batch(number)).unwrap();
            model.advance();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let mut told = Vec::new();
        std::thread::scope(|scope| {
            let frozen = store.frozen().unwrap();
            let writer = scope.spawn(|| {
                for number in BATCHES + 1..=2 * BATCHES {
                    store.write(&history::batch(number)).unwrap();
                }
            });
            backup(&*frozen, &path, &mut |rows| told.push(rows)).unwrap();
            drop(frozen);
            writer.join().unwrap();
        });
        assert!(
            told.is_sorted() && told.last().is_some_and(|rows| *rows > 100),
            "{told:?}"
        );
        assert_eq!(entries(directory.path()), 1);
        let copy = RedbStore::open(&path, 1 << 20).unwrap();
        model.follow(&*copy.view().unwrap(), BATCHES);
    }
}

#[test]
fn a_backup_is_a_state_directory_again() {
    let fixture = Fixture::new(Backend::Sled);
    let store = fixture.open();
    store.write(&history::batch(1)).unwrap();
    let restored = Fixture::new(Backend::Redb);
    fs::create_dir(restored.path()).unwrap();
    let path = restored.path().join("state.redb");
    backup(&*store.frozen().unwrap(), &path, &mut |_| {}).unwrap();
    Model::default().follow(&*restored.open().view().unwrap(), 1);
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    fs::write(&path, "something").unwrap();
    let error = backup(&*store.frozen().unwrap(), &path, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"something");
    assert_eq!(entries(directory.path()), 1);
}

#[test]
fn nothing_is_left_where_a_backup_cannot_be_made() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let path = fixture.path().join("missing/backup");
    assert!(backup(&*store.frozen().unwrap(), &path, &mut |_| {}).is_err());
    assert!(!path.exists());
}

#[test]
fn compacting_gives_room_back() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let keys: Vec<_> = (0..20_000u32).map(u32::to_be_bytes).collect();
    store.write(&set(keys.iter().map(|key| (key, [7; 500])))).unwrap();
    store.write(&remove(keys.iter().skip(10))).unwrap();
    let path = fixture.path().join("state.redb");
    let before = fs::metadata(&path).unwrap().len();
    store.compact().unwrap();
    let after = fs::metadata(&path).unwrap().len();
    assert!(after < before / 4, "{before} bytes became {after}");
}

#[test]
fn compacting_waits_for_views() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let view = store.view().unwrap();
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| store.compact());
        store.write(&set([("a", "1")])).unwrap();
        assert_eq!(view.get(b"a").unwrap(), None);
        drop(view);
        compacting.join().unwrap().unwrap();
    });
    assert!(store.view().unwrap().get(b"a").unwrap().is_some());
}

#[test]
fn a_backup_with_faults_changes_nothing() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    // The row of a module that does not exist.
    store.write(&set([(b"s\x00\x00\x00\x07key", b"value")])).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    backup(&*store.frozen().unwrap(), &path, &mut |_| {}).unwrap();
    drop(store);
    let before = fs::read(fixture.path().join("state.redb")).unwrap();

    let restored = restore(&path, &fixture.path().into(), true, "a test", &mut |_| {});
    let Err(RestoreError::Faulty { faults, .. }) = restored else {
        panic!("{restored:?}");
    };
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(fs::read(fixture.path().join("state.redb")).unwrap(), before);
    assert!(!fixture.path().join(REPLACED).exists());
    assert!(!fixture.path().join("state.redb.new").exists());
}

#[test]
fn a_restore_replaces_an_emptied_file() {
    let fixture = Fixture::new(Backend::Redb);
    let store = fixture.open();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    backup(&*store.frozen().unwrap(), &path, &mut |_| {}).unwrap();
    drop(store);
    fs::write(fixture.path().join("state.redb"), b"").unwrap();
    restore(&path, &fixture.path().into(), true, "a test", &mut |_| {}).unwrap();
    drop(fixture.open());
    assert_eq!(fs::read(fixture.path().join(REPLACED)).unwrap(), b"");
}
