//! Kills of the process while fjall writes tables, merges them, and removes journals.

use std::collections::BTreeSet;
use std::path::Path;

use nexum_core::store::{Batch, View};
use nexum_store::Backend;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::child::{Other, directory, say};
use crate::history;
use crate::support::{Fixture, open};

/// The number of kills.
const KILLS: u64 = 4;

/// The batches before a kill: several tables, and more than a journal.
const BATCHES: std::ops::Range<u64> = 80..160;

/// The rows that a batch sets, and the size of each. A batch has a mebibyte.
const ROWS: u64 = 16;
const ROW_BYTES: usize = 64 << 10;

/// The number of keys. Each batch sets other ones than the previous one.
const KEYS: u64 = 256;

/// The least number of table files that existed: the ones of the largest number are the newest.
const TABLES_MIN: u64 = 10;

#[test]
fn fjall_holds_whole_batches_when_it_is_killed_during_compaction() {
    if let Some(directory) = directory() {
        return write(&directory);
    }
    let fixture = Fixture::new(Backend::Fjall);
    let mut random = SmallRng::seed_from_u64(KILLS);
    let mut acknowledged = 0;
    for _ in 0..KILLS {
        let name = "compaction::fjall_holds_whole_batches_when_it_is_killed_during_compaction";
        let mut other = Other::start(name, &fixture.path(), None);
        let last = acknowledged + random.random_range(BATCHES);
        while acknowledged < last {
            acknowledged = other.hear().and_then(|number| number.parse().ok()).unwrap();
        }
        other.kill();
        while let Some(number) = other.hear() {
            acknowledged = number.parse().unwrap();
        }
        assert!(!other.wait().success(), "it ended by itself");
        let store = fixture.open();
        acknowledged = check(&*store.view().unwrap(), acknowledged);
    }
    let tables = tables(&fixture.path().join("state.fjall/keyspaces/1/tables"));
    let newest = tables.last().copied().unwrap_or_default();
    assert!(newest >= TABLES_MIN, "the tables {tables:?} are too few for a merge");
    assert!((tables.len() as u64) < newest, "fjall has merged no tables: {tables:?}");
}

/// Checks that the state has all acknowledged batches, and perhaps the next one. Returns the number of batches.
fn check(view: &dyn View, acknowledged: u64) -> u64 {
    let found = history::number(view);
    assert!(
        (acknowledged..=acknowledged + 1).contains(&found),
        "{found} of {acknowledged}"
    );
    for number in found.saturating_sub(KEYS / ROWS - 1).max(1)..=found {
        for (key, value) in batch(number).changes() {
            let is_current = number == found || key != history::NUMBER;
            assert!(
                !is_current || view.get(key).unwrap().as_deref() == value,
                "a row of batch {number}"
            );
        }
    }
    found
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch::default();
    for row in 0..ROWS {
        let key = (number * ROWS + row) % KEYS;
        batch.set([b"k", &key.to_be_bytes()[..]].concat(), vec![number as u8; ROW_BYTES]);
    }
    batch.set(history::NUMBER.to_vec(), number.to_be_bytes().to_vec());
    batch
}

/// Writes batches after the existing ones, and acknowledges each.
fn write(directory: &Path) {
    let store = open(Backend::Fjall, directory);
    let first = history::number(&*store.view().unwrap()) + 1;
    for number in first.. {
        store.write(&batch(number)).unwrap();
        say(number);
    }
}

/// The numbers of the tables in a directory.
fn tables(directory: &Path) -> BTreeSet<u64> {
    let entries = std::fs::read_dir(directory).unwrap();
    let number = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().to_str()?.parse().ok();
    entries.filter_map(number).collect()
}
