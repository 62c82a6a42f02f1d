//! A folder over the life of several writers.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nexum_core::ledger::{Entry, Reverted};
use nexum_core::source::Position;
use nexum_ledger::{Filter, Keep, LedgerError, Reader, Row, Writer};

use crate::rows::{NOW_MS, attempt, topic, version};

const KEEP: Keep = Keep {
    days: 30,
    bytes: 64 << 20,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn open(folder: &Path) -> Writer {
    Writer::open(folder, KEEP, NOW_MS).unwrap()
}

fn write(writer: &mut Writer, entries: impl IntoIterator<Item = Entry>) {
    let entries = entries.into_iter().map(|entry| (NOW_MS, entry)).collect();
    writer.write(entries, NOW_MS).unwrap();
}

/// The rows that match, newest first.
fn rows(folder: &Path, filter: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    let visit = |row| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    Reader::new(folder).rows(filter, visit).unwrap();
    rows
}

fn blocks(rows: &[Row]) -> Vec<u64> {
    let block = |row: &Row| match &row.entry {
        Entry::Attempt(attempt) => Some(attempt.event.position.number),
        _ => None,
    };
    rows.iter().filter_map(block).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_reader_finds_the_rows_of_a_module_and_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (version("a"), version("b"));
    let mut writer = open(folder.path());
    for block in 0..10 {
        write(&mut writer, [attempt(&a, block), attempt(&b, block)]);
    }
    let of_a = Filter {
        module: Some("a".to_owned()),
        ..Filter::default()
    };
    let found = rows(folder.path(), &of_a);
    assert_eq!(blocks(&found), (0..10).rev().collect::<Vec<_>>());
    let numbers: Vec<_> = found.iter().map(|row| row.number).collect();
    assert!(numbers.is_sorted_by(|newer, older| newer > older), "{numbers:?}");

    let at_seven = Filter {
        numbers: Some(7..=7),
        topic: Some(topic()),
        ..of_a.clone()
    };
    assert_eq!(blocks(&rows(folder.path(), &at_seven)), [7]);
    let before = Filter {
        before: Some(found[6].number),
        ..of_a
    };
    assert_eq!(blocks(&rows(folder.path(), &before)), [2, 1, 0]);
    let version = match &found[0].entry {
        Entry::Attempt(attempt) => attempt.module.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(version, a);
}

#[test]
fn a_revert_is_among_the_rows_of_the_blocks_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    let to = Some(Position::at_ms(5));
    let reverted = Reverted {
        module: "a".to_owned(),
        topic: topic(),
        to,
    };
    write(&mut writer, [Entry::Reverted(reverted)]);
    let found = |number| {
        let filter = Filter {
            numbers: Some(number..=number),
            ..Filter::default()
        };
        rows(folder.path(), &filter).len()
    };
    assert_eq!((found(5), found(6), found(u64::MAX)), (0, 1, 1));
    write(&mut writer, [attempt(&version("a"), 6)]);
    let all = rows(folder.path(), &Filter::default());
    let before = Filter {
        before: Some(all[1].number),
        ..Filter::default()
    };
    // The revert has the number of `before` itself.
    assert_eq!(rows(folder.path(), &before), all[1..]);
}

#[test]
fn a_restart_seals_the_segment_and_continues_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let a = version("a");
    for run in 0..3 {
        let mut writer = open(folder.path());
        for block in 0..100 {
            write(&mut writer, [attempt(&a, run * 100 + block)]);
        }
    }
    assert_eq!(
        (files(folder.path(), "sealed").len(), files(folder.path(), "open").len()),
        (2, 1)
    );
    let all = rows(folder.path(), &Filter::default());
    assert_eq!(blocks(&all), (0..300).rev().collect::<Vec<_>>());
    let numbers: Vec<_> = all.iter().map(|row| row.number).collect();
    assert!(numbers.is_sorted_by(|newer, older| newer > older), "{numbers:?}");
    let length = |paths: &[PathBuf]| fs::metadata(&paths[0]).unwrap().len();
    let (sealed, open) = (files(folder.path(), "sealed"), files(folder.path(), "open"));
    assert!(
        length(&sealed) * 4 < length(&open),
        "large frames take a fraction of the space"
    );
}

#[test]
fn a_torn_tail_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let a = version("a");
    let mut writer = open(folder.path());
    for block in 0..3 {
        write(&mut writer, [attempt(&a, block)]);
    }
    let [segment] = &*files(folder.path(), "open") else {
        panic!("one segment")
    };
    let bytes = fs::read(segment).unwrap();
    fs::write(segment, &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(blocks(&rows(folder.path(), &Filter::default())), [1, 0]);
    assert_eq!(Reader::new(folder.path()).extent().unwrap().torn, 1);

    let mut writer = open(folder.path());
    write(&mut writer, [attempt(&a, 3)]);
    assert_eq!(blocks(&rows(folder.path(), &Filter::default())), [3, 1, 0]);
    assert_eq!(Reader::new(folder.path()).extent().unwrap().torn, 0);
}

#[test]
fn the_oldest_segments_go_by_size_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let a = version("a");
    let mut sizes = Vec::new();
    for run in 0..4 {
        write(
            &mut open(folder.path()),
            (0..50).map(|block| attempt(&a, run * 50 + block)),
        );
        sizes.push(files(folder.path(), "sealed").len());
    }
    assert_eq!(sizes, [0, 1, 2, 3]);
    let one = fs::metadata(&files(folder.path(), "sealed")[0]).unwrap().len();
    let few = Keep {
        bytes: 2 * one + one / 2,
        ..KEEP
    };
    Writer::open(folder.path(), few, NOW_MS).unwrap();
    assert_eq!(
        blocks(&rows(folder.path(), &Filter::default())),
        (100..200).rev().collect::<Vec<_>>()
    );

    Writer::open(folder.path(), KEEP, NOW_MS + 30 * DAY_MS).unwrap();
    assert_eq!(files(folder.path(), "sealed").len(), 2, "thirty days are kept");
    Writer::open(folder.path(), KEEP, NOW_MS + 31 * DAY_MS).unwrap();
    assert_eq!(files(folder.path(), "sealed").len(), 0);
    assert_eq!(Reader::new(folder.path()).extent().unwrap().begins_ms, None);
}

#[test]
fn a_full_segment_is_sealed_while_the_writer_runs() {
    let folder = tempfile::tempdir().unwrap();
    let a = version("a");
    let mut writer = open(folder.path());
    let mut block = 0;
    while files(folder.path(), "sealed").is_empty() {
        write(&mut writer, [attempt(&a, block)]);
        block += 1;
    }
    write(&mut writer, [attempt(&a, block)]);
    assert_eq!(blocks(&rows(folder.path(), &Filter::default())).len() as u64, block + 1);
}

#[test]
fn a_segment_of_another_version_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("00000000000000000001.sealed"), b"nexumlg\x63").unwrap();
    let error = Reader::new(folder.path()).extent().unwrap_err();
    let LedgerError::Version { version, known, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((version, known), (0x63, 2));
}

#[test]
fn a_missing_folder_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("ledger");
    let error = Reader::new(&missing).extent().unwrap_err();
    assert!(matches!(error, LedgerError::Missing(path) if path == missing));
}
