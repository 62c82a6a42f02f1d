//! A reorg of 128 blocks, with 100 written values per block.

use std::time::Instant;

use nexum_store::Backend;
use nexum_testing::bench::Figure;
use tokio::runtime::Runtime;

use crate::bare::Bare;
use crate::host::{Host, Work};
use crate::{Result, directory, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 9;
const WARM_UP: usize = 1;
const BLOCKS: u64 = 127;
const WORK: Work = Work {
    requests: 0,
    reads: 0,
    writes: 100,
    bytes: 100,
};
/// The longest time, in milliseconds.
const MS_MAX: f64 = 100.0;

pub(crate) fn figure(runtime: &Runtime, backend: Backend) -> Result<Figure> {
    let (for_host, for_bare) = (directory()?, directory()?);
    let mut host = Host::start(runtime, backend, for_host.path(), 1, WORK, None)?;
    let bare = Bare::open(backend, for_bare.path())?;
    host.sample(1)?;
    let (host, alone) = medians(WARM_UP, SAMPLES, || -> Result<(f64, f64)> {
        // With the last block of the previous sample, these are 128.
        let (_, before) = host.sample(BLOCKS)?;
        for written in &before {
            bare.write(written.batch.changes())?;
        }
        let (start, written) = host.revert(BLOCKS + 1)?;
        let revert = written.first().ok_or("nothing was written")?;
        let through_host = revert.at - start;
        let start = Instant::now();
        bare.write(revert.batch.changes())?;
        Ok((through_host.as_secs_f64() * 1e3, start.elapsed().as_secs_f64() * 1e3))
    })?;
    let name = format!("revert of 128 blocks with 100 writes each, {backend}");
    Ok(Figure::new(name, "ms", host, alone).at_most(MS_MAX))
}
