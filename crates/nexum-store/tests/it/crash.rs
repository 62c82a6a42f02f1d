//! Power failures at any moment: redb on a disk that loses some of the unsynced data.

use nexum_core::state;
use nexum_core::store::StateStore;
use nexum_store::RedbStore;

use crate::disk::Disk;
use crate::history::{self, Model};

/// The number of written batches.
const BATCHES: u64 = 60;

/// One of this many images is opened on a disk that crashes again meanwhile.
const TWICE: usize = 7;

/// A small cache, so that the store writes and reads pages throughout.
const CACHE_BYTES: usize = 1 << 20;

fn open(disk: &Disk) -> RedbStore {
    let disk = disk.clone();
    let store = RedbStore::on(move || disk.clone(), CACHE_BYTES).expect("a store that opens");
    state::open(&store).expect("a store of this version");
    store
}

/// Checks that the image of a crash has all acknowledged batches, and no batch after the begun
/// ones.
fn check(image: Vec<u8>, acknowledged: &Model, begun: u64) {
    let store = open(&Disk::new(image, 0));
    acknowledged.clone().follow(&*store.view().unwrap(), begun);
    // The store is usable, too.
    store.write(&history::batch(begun + 1)).unwrap();
}

/// Checks all images since the last check. Some are checked twice: they crash again while they are
/// opened.
fn check_all(disk: &Disk, acknowledged: &Model, begun: u64) -> usize {
    let images = disk.images();
    for (index, image) in images.iter().enumerate() {
        check(image.clone(), acknowledged, begun);
        if index % TWICE == 0 {
            let again = Disk::new(image.clone(), begun);
            again.watch();
            drop(open(&again));
            again
                .images()
                .into_iter()
                .for_each(|image| check(image, acknowledged, begun));
        }
    }
    images.len()
}

#[test]
fn redb_holds_whole_batches_after_a_crash_at_any_sync() {
    let disk = Disk::new(Vec::new(), 1);
    drop(open(&disk));
    disk.watch();
    let mut store = open(&disk);
    let mut model = Model::default();
    let mut images = check_all(&disk, &model, 0);
    for number in 1..=BATCHES {
        store.write(&history::batch(number)).unwrap();
        images += check_all(&disk, &model, number);
        model.advance();
        if number % 20 == 7 {
            drop(store);
            images += check_all(&disk, &model, number);
            store = open(&disk);
            images += check_all(&disk, &model, number);
        }
        if number % 20 == 13 {
            store.compact().unwrap();
            images += check_all(&disk, &model, number);
        }
    }
    drop(store);
    images += check_all(&disk, &model, BATCHES);
    assert!(images as u64 > 8 * BATCHES, "{images} images");
}
