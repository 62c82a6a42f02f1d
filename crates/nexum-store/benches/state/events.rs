//! Durable events per second. Each event writes one value of 100 bytes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nexum_core::store::Batch;
use nexum_store::Backend;
use nexum_testing::bench::Figure;
use tokio::runtime::Runtime;

use crate::bare::{Bare, Change};
use crate::host::{Host, Work};
use crate::recorder::Written;
use crate::{Result, directory, medians};

/// The numbers of modules that write concurrently.
const MODULES: [usize; 3] = [1, 10, 100];
/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 15;
const WARM_UP: usize = 3;
/// The events of a sample over all modules, and its least number of blocks: it takes some hundred
/// milliseconds.
const EVENTS: u64 = 1_000;
const BLOCKS_MIN: u64 = 10;
const BLOCKS_MAX: u64 = 300;

const WORK: Work = Work {
    requests: 0,
    reads: 0,
    writes: 1,
    bytes: 100,
};

/// The least rate, as a part of the bare back-end's rate.
const OF_BARE_MIN: f64 = 0.7;
/// The least rate with the most modules, as a multiple of one transaction per event.
const TIMES_SINGLE_MIN: f64 = 8.0;

pub(crate) fn figures(runtime: &Runtime, backend: Backend) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for modules in MODULES {
        let (host, bare) = rates(runtime, backend, modules, write_together)?;
        let name = format!("durable events, {modules} modules, {backend}, of the same transactions bare");
        figures.push(Figure::new(name, "1/s", host, bare).at_least_times_baseline(OF_BARE_MIN));
    }
    let modules = MODULES.into_iter().max().unwrap_or(1);
    let (host, single) = rates(runtime, backend, modules, write_singly)?;
    let name = format!("durable events, {modules} modules, {backend}, of one transaction each bare");
    figures.push(Figure::new(name, "1/s", host, single).at_least_times_baseline(TIMES_SINGLE_MIN));
    Ok(figures)
}

/// Events per second: of the host, and of the back-end that writes the same rows.
fn rates(
    runtime: &Runtime,
    backend: Backend,
    modules: usize,
    write: fn(&Bare, &[Written]) -> Result<Duration>,
) -> Result<(f64, f64)> {
    let (for_host, for_bare) = (directory()?, directory()?);
    let mut host = Host::start(runtime, backend, for_host.path(), modules, WORK, None)?;
    let bare = Bare::open(backend, for_bare.path())?;
    let blocks = (EVENTS / modules as u64).clamp(BLOCKS_MIN, BLOCKS_MAX);
    let events = (blocks * modules as u64) as f64;
    medians(WARM_UP, SAMPLES, || {
        let (start, written) = host.sample(blocks)?;
        let last = written.last().ok_or("nothing was written")?.at;
        let bare = write(&bare, &written)?;
        Ok((events / (last - start).as_secs_f64(), events / bare.as_secs_f64()))
    })
}

/// Writes the recorded transactions.
fn write_together(bare: &Bare, written: &[Written]) -> Result<Duration> {
    let start = Instant::now();
    for Written { batch, .. } in written {
        bare.write(batch.changes())?;
    }
    Ok(start.elapsed())
}

/// Writes the recorded rows, with one transaction per event.
fn write_singly(bare: &Bare, written: &[Written]) -> Result<Duration> {
    let events: Vec<_> = written.iter().flat_map(|written| events_of(&written.batch)).collect();
    let start = Instant::now();
    for event in events {
        bare.write(event.into_iter())?;
    }
    Ok(start.elapsed())
}

/// The changes of each event. A module has at most one event in a transaction, and its number
/// follows the kind of a row. Rows without a module go with the first event.
fn events_of(batch: &Batch) -> Vec<Vec<Change<'_>>> {
    let mut events: BTreeMap<&[u8], Vec<Change<'_>>> = BTreeMap::new();
    let mut others = Vec::new();
    for change in batch.changes() {
        match change.0 {
            [b'h', ..] => others.push(change),
            key => events
                .entry(key.get(1..5).unwrap_or_default())
                .or_default()
                .push(change),
        }
    }
    let mut events: Vec<_> = events.into_values().collect();
    if let Some(first) = events.first_mut() {
        first.extend(others);
    }
    events
}
