//! The disk fills up, and has room again: the store goes on by itself, with everything that it acknowledged.

use nexum_core::state;
use nexum_core::store::StateStore;
use nexum_host_store::RedbStore;

use crate::disk::Disk;
use crate::history::{self, Model};

/// After how many changes to the disk it is full, at most.
const ROOM_MAX: u32 = 120;

/// How many batches are written once there is room again.
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
        // And not only as far as the page cache goes.
        let after = Disk::new(disk.synced(), 0);
        let after = RedbStore::on(move || after.clone(), 1 << 20).unwrap();
        model.follow(&*after.view().unwrap(), model.number);
    }
}
