//! The latency of one durable commit, and of the least work for one: to append its bytes to a file, and sync the file.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use nexum_core::store::Batch;
use nexum_store::Backend;
use nexum_testing::bench::Figure;

use crate::{Result, bare, directory, medians};

/// The rows of a commit.
const ROWS: [u64; 3] = [1, 10, 100];
const ROW_BYTES: usize = 100;
/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 300;
const WARM_UP: usize = 30;

pub(crate) fn figures(backend: Backend) -> Result<Vec<Figure>> {
    ROWS.into_iter().map(|rows| figure(backend, rows)).collect()
}

fn figure(backend: Backend, rows: u64) -> Result<Figure> {
    let place = directory()?;
    let store = bare::with_nexum(backend, &place.path().join("state"))?;
    let mut file = File::create(place.path().join("appended"))?;
    let mut number = 0;
    let (commit, append) = medians(WARM_UP, SAMPLES, || -> Result<(f64, f64)> {
        let mut batch = Batch::default();
        for _ in 0..rows {
            number += 1;
            batch.set(format!("s{number:012}").into_bytes(), vec![number as u8; ROW_BYTES]);
        }
        let start = Instant::now();
        store.write(&batch)?;
        let commit = start.elapsed();
        let content: Vec<u8> = batch
            .changes()
            .flat_map(|(key, value)| [key, value.unwrap_or_default()].concat())
            .collect();
        let start = Instant::now();
        file.write_all(&content)?;
        file.sync_data()?;
        Ok((commit.as_secs_f64() * 1e3, start.elapsed().as_secs_f64() * 1e3))
    })?;
    let name = format!("commit of {rows} rows, {backend}, of an append and fdatasync");
    Ok(Figure::new(name, "ms", commit, append))
}
