//! fjall's journal after a power failure, which can lose any part of the last batch.

use std::fs;
use std::path::PathBuf;

use nexum_store::journal::{Journal, Rest};
use nexum_store::{Backend, OpenError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::history::{self, Model};
use crate::support::{Fixture, config, set};

/// The number of batches before the last one.
const BATCHES: u64 = 3;

/// The size of the last batch's only value: several sectors.
const VALUE_BYTES: usize = 4_096;

/// The places at which a journal is cut.
const CUTS: usize = 16;

/// A sector of the disk, in bytes.
const SECTOR: usize = 512;

/// The zeros after the last batch, in bytes.
const ZEROS: usize = 3 * SECTOR;

/// A closed state, with the content of its journal.
struct Written {
    fixture: Fixture,
    path: PathBuf,
    journal: Vec<u8>,
    /// The begin of the last batch.
    from: usize,
    /// The end of the last batch.
    to: usize,
}

fn written() -> Written {
    let fixture = Fixture::new(Backend::Fjall);
    let path = fixture.path().join("state.fjall/0.jnl");
    let end = || Journal::read(&fs::read(&path).unwrap(), None).end();
    let store = fixture.open();
    for number in 1..=BATCHES {
        store.write(&history::batch(number)).unwrap();
    }
    let from = end();
    store.write(&set([("last", [7; VALUE_BYTES])])).unwrap();
    let to = end();
    drop(store);
    assert!(to - from > VALUE_BYTES, "{from} to {to}");
    let mut journal = fs::read(&path).unwrap();
    journal.resize(to + ZEROS, 0);
    Written {
        fixture,
        path,
        journal,
        from,
        to,
    }
}

impl Written {
    /// The journal without some bytes of the last batch, for each sector that a power failure can lose.
    fn without_a_sector(&self, change: fn(&mut u8)) -> Vec<Vec<u8>> {
        let sectors = self.from / SECTOR..self.to.div_ceil(SECTOR);
        let damage = |sector: usize| {
            let mut journal = self.journal.clone();
            // The disk has a sector as it was before the batch.
            let lost = self.from.max(sector * SECTOR)..self.to.min((sector + 1) * SECTOR);
            journal[lost].iter_mut().for_each(change);
            journal
        };
        sectors.map(damage).collect()
    }

    /// Opens the state with another journal, and checks that it has the batches before the last one.
    fn opens_without_the_last(&self, journal: &[u8]) {
        let fixture = copy(&self.fixture);
        fs::write(fixture.path().join("state.fjall/0.jnl"), journal).unwrap();
        // The state must also take writes, and open a second time.
        for begun in [BATCHES + 1, BATCHES + 2] {
            let store = fixture.open();
            let mut model = Model::default();
            (1..begun).for_each(|_| model.advance());
            model.follow(&*store.view().unwrap(), begun - 1);
            store.write(&history::batch(begun)).unwrap();
        }
    }

    /// Checks that the state does not open with the journals of the fixture, and that nexum changes none.
    fn is_refused(&self) {
        let files = || {
            let paths = fs::read_dir(self.path.parent().unwrap()).unwrap();
            let mut files: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
            files.retain(|path| path.is_file());
            files.sort();
            files
                .into_iter()
                .map(|path| (fs::read(&path).unwrap(), path))
                .collect::<Vec<_>>()
        };
        let before = files();
        let opened = config(Backend::Fjall).open(&self.fixture.path().into(), "a test");
        let Err(OpenError::Database { source, .. }) = opened else {
            panic!("a damaged journal opened, or failed otherwise");
        };
        let message = source.to_string();
        assert!(
            message.starts_with("the journal 0.jnl is damaged at byte "),
            "{message}"
        );
        assert!(files() == before, "nexum changed a damaged journal");
    }
}

/// A copy of a closed state.
pub(crate) fn copy(from: &Fixture) -> Fixture {
    let to = Fixture::new(Backend::Fjall);
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        fs::create_dir_all(to.path().join(&directory)).unwrap();
        for entry in fs::read_dir(from.path().join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                directories.push(name);
            } else {
                fs::copy(entry.path(), to.path().join(name)).unwrap();
            }
        }
    }
    to
}

#[test]
fn a_batch_that_is_cut_off_is_absent_and_the_others_are_whole() {
    let written = written();
    for number in 0..CUTS {
        let cut = written.from + (written.to - written.from) * number / CUTS;
        written.opens_without_the_last(&written.journal[..cut]);
    }
}

#[test]
fn a_batch_with_a_lost_sector_is_absent_and_the_others_are_whole() {
    let written = written();
    for journal in written.without_a_sector(|byte| *byte = 0) {
        written.opens_without_the_last(&journal);
    }
}

#[test]
fn a_journal_with_damage_before_the_last_batch_is_refused_and_stays() {
    let mut written = written();
    for sector in 0..written.from / SECTOR {
        let mut journal = written.journal.clone();
        journal[sector * SECTOR..][..SECTOR].fill(0);
        fs::write(&written.path, &journal).unwrap();
        written.is_refused();
    }
    // The last batch is in a journal of its own.
    let last = written.journal.split_off(written.from);
    written.journal[written.from - SECTOR..].fill(0);
    fs::write(&written.path, &written.journal).unwrap();
    fs::write(written.path.with_file_name("1.jnl"), last).unwrap();
    written.is_refused();
}

#[test]
fn an_incomplete_batch_before_an_empty_journal_is_removed() {
    let written = written();
    let next = written.path.with_file_name("1.jnl");
    for journal in written.without_a_sector(|byte| *byte = !*byte) {
        fs::write(&next, [0; ZEROS]).unwrap();
        written.opens_without_the_last(&journal);
    }
}

#[test]
fn any_part_of_the_last_batch_can_be_missing() {
    let written = written();
    let whole = Journal::read(&written.journal, None);
    assert_eq!(whole.last, Some(written.from..written.to));
    assert_eq!(whole.rest, Rest::Empty);
    for cut in written.from..written.to {
        let mut journal = written.journal[..cut].to_vec();
        for zeros in [0, ZEROS] {
            journal.resize(cut + zeros, 0);
            let found = Journal::read(&journal, None);
            assert_eq!(found.end(), written.from, "cut at {cut}");
            let rest = if cut == written.from {
                Rest::Empty
            } else {
                Rest::Incomplete
            };
            assert_eq!(found.rest, rest, "cut at {cut}");
        }
    }
    for change in [|byte: &mut u8| *byte = 0, |byte: &mut u8| *byte = !*byte] {
        for journal in written.without_a_sector(change) {
            let found = Journal::read(&journal, None);
            assert_eq!((found.end(), found.rest), (written.from, Rest::Incomplete));
        }
    }
}

#[test]
fn a_wrong_length_does_not_hide_the_batches_after_it() {
    let written = written();
    let bytes = |journal: &[u8], at: usize| u32::from_le_bytes(journal[at..][..4].try_into().unwrap());
    // The last batch twice more, so that the lengths of one can contain the next one.
    let last = &written.journal[written.from..written.to];
    let mut journal = [&written.journal[..written.to], last, last, &[0; ZEROS]].concat();
    let mut number = Journal::read(&journal, None).number.unwrap();
    for at in [written.to, written.to + last.len()] {
        number += 1;
        journal[at + 5..][..8].copy_from_slice(&number.to_le_bytes());
    }
    // The value's length is after the start and a part of the item.
    for field in [written.from + 26, written.from + 30] {
        let length = bytes(&journal, field) + u32::try_from(2 * last.len()).unwrap();
        journal[field..][..4].copy_from_slice(&length.to_le_bytes());
    }
    assert_eq!(Journal::read(&journal, None).rest, Rest::Damaged);
}

proptest! {
    #[test]
    fn whole_batches_are_found_before_any_bytes(rest in vec(prop_oneof![0..5_u8, any::<u8>()], 0..2_000)) {
        let written = &*WRITTEN;
        let journal = [&written[..], &rest].concat();
        let found = Journal::read(&journal, None);
        prop_assert!(found.end() >= written.len());
        prop_assert!(rest.iter().all(|byte| *byte == 0) || found.rest != Rest::Empty || found.end() > written.len());
    }
}

/// A journal that ends with a whole batch.
static WRITTEN: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let written = written();
    written.journal[..written.to].to_vec()
});
