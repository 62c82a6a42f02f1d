//! The time to open a gigabyte of state, after a clean stop and after a kill, until a key is read.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use nexum_core::store::{Batch, StateStore};
use nexum_store::Backend;
use nexum_testing::bench::{Figure, median};

use crate::bare::{self, Bare};
use crate::{Result, directory, in_child};

/// The size of the state: rows of a kilobyte, and the rows of a transaction.
const ROWS: u64 = 1_000_000;
const ROW_BYTES: usize = 1_000;
const ROWS_AT_ONCE: u64 = 2_000;
/// The number of starts after each kind of end.
const SAMPLES: usize = 5;
/// The transactions of the killed process before the kill.
const TRANSACTIONS: usize = 50;
/// The longest start, in milliseconds.
const MS_MAX: f64 = 1_000.0;

pub(crate) fn figures(backend: Backend) -> Result<Vec<Figure>> {
    let place = directory()?;
    fill(backend, place.path())?;
    let open = |what: &str| in_child(what, backend, place.path());
    let (mut clean, mut alone, mut killed) = (Vec::new(), Vec::new(), Vec::new());
    open("open")?;
    for _ in 0..SAMPLES {
        clean.push(open("open")?);
        alone.push(open("open-bare")?);
        kill(backend, place.path())?;
        killed.push(open("open")?);
    }
    let (clean, alone, killed) = (median(clean), median(alone), median(killed));
    let name = |after: &str| format!("opening 1 GB of state after {after}, {backend}");
    Ok(vec![
        Figure::new(name("a stop"), "ms", clean, alone).at_most(MS_MAX),
        Figure::new(name("a kill"), "ms", killed, alone).at_most(MS_MAX),
    ])
}

/// The work of a child process.
pub(crate) fn child(what: &str, backend: Backend, directory: &Path) -> Result<()> {
    let start = Instant::now();
    let there = match what {
        "open-bare" => Bare::open(backend, directory)?.has_rows()?,
        "open" => bare::with_nexum(backend, directory)?.view()?.get(&key(0))?.is_some(),
        "write" => return write_for_ever(&*bare::with_nexum(backend, directory)?),
        _ => return Err("no such part".into()),
    };
    let took = start.elapsed();
    assert!(there, "the key is not there");
    println!("{}", took.as_secs_f64() * 1e3);
    Ok(())
}

fn fill(backend: Backend, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let store = bare::with_nexum(backend, directory)?;
    for first in (0..ROWS).step_by(ROWS_AT_ONCE as usize) {
        let mut batch = Batch::default();
        (first..first + ROWS_AT_ONCE).for_each(|index| batch.set(key(index), vec![index as u8; ROW_BYTES]));
        store.write(&batch)?;
    }
    Ok(())
}

/// Starts a process that writes, and kills it.
fn kill(backend: Backend, directory: &Path) -> Result<()> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["child", "write", backend.name()]).arg(directory);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("a child without output")?).lines();
    let written = lines.take(TRANSACTIONS).filter(|line| line.is_ok()).count();
    child.kill()?;
    child.wait()?;
    assert_eq!(written, TRANSACTIONS, "the process ended before it was killed");
    Ok(())
}

/// Each transaction changes rows all over the key range.
fn write_for_ever(store: &dyn StateStore) -> Result<()> {
    const STEP: u64 = 7_919;
    let mut index = 0;
    loop {
        let mut batch = Batch::default();
        for _ in 0..100 {
            index = (index + STEP) % ROWS;
            batch.set(key(index), vec![index as u8; ROW_BYTES]);
        }
        store.write(&batch)?;
        println!("{index}");
    }
}

/// A key of the first module.
fn key(index: u64) -> Vec<u8> {
    [&b"s\0\0\0\0"[..], format!("{index:012}").as_bytes()].concat()
}
