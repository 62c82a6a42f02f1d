//! fjall's journal after a power failure, which can lose any part of the last batch.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nexum_store::{Backend, OpenError};

use crate::history::{self, Model};
use crate::support::{Fixture, config, set};

/// The number of batches before the last one.
const BATCHES: u64 = 3;

/// The size of the last batch's only value: several sectors.
const VALUE_BYTES: usize = 4_096;

/// The places at which a journal is cut.
const CUTS: u64 = 16;

/// A sector of the disk, in bytes.
const SECTOR: usize = 512;

/// A closed state, whose journal has a last batch between two positions.
struct Written {
    fixture: Fixture,
    journal: PathBuf,
    from: u64,
    to: u64,
}

fn written() -> Written {
    let fixture = Fixture::new(Backend::Fjall);
    let journal = fixture.path().join("state.fjall/0.jnl");
    let end = || {
        let bytes = fs::read(&journal).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
    };
    let store = fixture.open();
    for number in 1..=BATCHES {
        store.write(&history::batch(number)).unwrap();
    }
    let from = end();
    store.write(&set([("last", [7; VALUE_BYTES])])).unwrap();
    let to = end();
    drop(store);
    assert!(to - from > VALUE_BYTES as u64, "{from} to {to}");
    Written {
        fixture,
        journal,
        from,
        to,
    }
}

#[test]
fn a_batch_that_is_cut_off_is_absent_and_the_others_are_whole() {
    for number in 0..CUTS {
        let written = written();
        let length = written.to - written.from;
        let cut = written.from + length * number / CUTS;
        OpenOptions::new()
            .write(true)
            .open(&written.journal)
            .unwrap()
            .set_len(cut)
            .unwrap();
        // The state must also take writes, and open a second time.
        for begun in [BATCHES + 1, BATCHES + 2] {
            let store = written.fixture.open();
            let mut model = Model::default();
            (1..begun).for_each(|_| model.advance());
            model.follow(&*store.view().unwrap(), begun - 1);
            store.write(&history::batch(begun)).unwrap();
        }
    }
}

/// fjall does not take such a batch for a cut one. nexum refuses the state, and reports no loss as
/// success.
#[test]
fn a_batch_with_a_lost_sector_in_its_middle_is_refused() {
    let written = written();
    let middle = written.from + (written.to - written.from) / 2;
    let file: File = OpenOptions::new().write(true).open(&written.journal).unwrap();
    file.write_all_at(&[0; SECTOR], middle).unwrap();
    let opened = config(Backend::Fjall).open(&written.fixture.path().into(), "a test");
    let error = opened.expect_err("a damaged journal");
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
}
