//! Events that only read.

use std::path::Path;
use std::time::Instant;

use nexum_core::state;
use nexum_core::store::Batch;
use nexum_store::Backend;
use nexum_testing::bench::Figure;
use tokio::runtime::Runtime;

use crate::bare::{self, Bare};
use crate::host::{GUEST, Host, Work};
use crate::{Result, directory, medians};

/// The number of events whose transactions are counted.
const EVENTS: u64 = 1_000;
/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 31;
const WARM_UP: usize = 5;
/// The reads of one event, and the events of a sample: it takes some hundred milliseconds.
const READS: u64 = 1_000;
const BLOCKS: u64 = 100;
/// The size of the value, in bytes.
const BYTES: usize = 100;
/// The most time that the host may add to a read, in microseconds.
const US_OVER: f64 = 1.5;

pub(crate) fn figures(runtime: &Runtime, backend: Backend) -> Result<Vec<Figure>> {
    let (for_reader, for_bare) = (directory()?, directory()?);
    let bare = Bare::open(backend, for_bare.path())?;
    bare.write([(&b"key"[..], Some(&[7; BYTES][..]))].into_iter())?;
    give_value(backend, for_reader.path())?;
    let read = |reads| Work {
        reads,
        ..Work::default()
    };
    let mut reading = Host::start(runtime, backend, for_reader.path(), 1, read(READS), None)?;
    let (_, written) = reading.sample(EVENTS)?;
    let name = format!("transactions of {EVENTS} events that only read, {backend}");
    let transactions = Figure::new(name, "transactions", written.len() as f64, EVENTS as f64).at_most(0.0);
    let for_idle = directory()?;
    let mut idle = Host::start(runtime, backend, for_idle.path(), 1, read(0), None)?;
    let (host, alone) = medians(WARM_UP, SAMPLES, || -> Result<(f64, f64)> {
        let timed = |host: &mut Host<'_>| -> Result<f64> {
            let start = Instant::now();
            host.sample(BLOCKS)?;
            Ok(start.elapsed().as_secs_f64())
        };
        let seconds = timed(&mut reading)? - timed(&mut idle)?;
        let start = Instant::now();
        for _ in 0..BLOCKS {
            let bytes = bare.read(b"key", READS)?;
            assert_eq!(bytes as u64, READS * BYTES as u64, "the value is not there");
        }
        let per_read = |seconds: f64| seconds * 1e6 / (BLOCKS * READS) as f64;
        Ok((per_read(seconds), per_read(start.elapsed().as_secs_f64())))
    })?;
    let name = format!("local-store.get of a present key, {backend}");
    Ok(vec![
        transactions,
        Figure::new(name, "us", host, alone).at_most_over_baseline(US_OVER),
    ])
}

/// Stores a value for the module that reads it.
fn give_value(backend: Backend, directory: &Path) -> Result<()> {
    let store = bare::with_nexum(backend, directory)?;
    let name = format!("{GUEST}-0").parse()?;
    let id = state::intern(&*store, &[name])?
        .pop()
        .ok_or("a module without a number")?;
    let mut batch = Batch::default();
    let key = [&b"s"[..], &id.0.to_be_bytes(), b"0"].concat();
    batch.set(key, vec![7; BYTES]);
    Ok(store.write(&batch)?)
}
