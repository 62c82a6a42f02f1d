//! The memory of a process that replays a long history, and the space of its state.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use nexum_config::topic::{ChainId, Finality};
use nexum_core::source::{Advance, BlockHash, Position};
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError};
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_store::Backend;
use nexum_testing::bench::Figure;
use nexum_testing::{GENESIS_MS, TEST_CHAIN_ID};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::host::{self, Work};
use crate::{Result, bare, directory, in_child};

/// The number of events, and the number after which memory is measured first.
const EVENTS: u64 = 1_000_000;
const EARLY: u64 = 100_000;
/// The number of blocks that a source reads at once.
const BLOCKS_AT_ONCE: u64 = 1_000;
/// The most memory at the end, as a multiple of the first measurement.
const TIMES_EARLY: f64 = 1.1;

const WORK: Work = Work {
    requests: 0,
    reads: 0,
    writes: 1,
    bytes: 100,
};

pub(crate) fn figures(backend: Backend) -> Result<[Figure; 2]> {
    let place = directory()?;
    let late = in_child("replay", backend, place.path())?;
    let early: f64 = fs::read_to_string(place.path().join("early"))?.parse()?;
    let name = format!("resident memory after replaying {EVENTS} events, of {EARLY}, {backend}");
    let memory = Figure::new(name, "MB", late, early).at_most_times_baseline(TIMES_EARLY);
    let values = (EVENTS * WORK.bytes) as f64 / 1e6;
    let name = format!("space on the disk after {EVENTS} events, of their values, {backend}");
    let space = Figure::new(name, "MB", allocated_mb(place.path())?, values);
    Ok([memory, space])
}

/// The allocated space of the files in a directory.
fn allocated_mb(directory: &Path) -> Result<f64> {
    let mut megabytes = 0.0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            megabytes += allocated_mb(&entry.path())?;
        } else {
            megabytes += (entry.metadata()?.blocks() * BLOCK_BYTES) as f64 / 1e6;
        }
    }
    Ok(megabytes)
}

/// The unit of [`MetadataExt::blocks`].
const BLOCK_BYTES: u64 = 512;

/// Replays the history. Prints the memory at the end, and writes the first measurement to a file.
pub(crate) fn child(backend: Backend, directory: &Path) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let supervisor = Supervisor::new(RunSettings::new(bare::with_nexum(backend, directory)?));
    let configs = host::configs(1, WORK, directory, "from_block = 0\n")?;
    runtime.block_on(async {
        let start = Instant::now();
        let (statuses, _task) = host::run(supervisor, configs, Arc::new(Long), None).await?;
        host::until_handled(&statuses, EARLY).await;
        fs::write(directory.join("early"), resident_mb()?.to_string())?;
        host::until_handled(&statuses, EVENTS).await;
        eprintln!(
            "{} events a second",
            (EVENTS as f64 / start.elapsed().as_secs_f64()).round()
        );
        println!("{}", resident_mb()?);
        Ok(())
    })
}

fn resident_mb() -> Result<f64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes: f64 = resident
        .ok_or("no resident memory")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kilobytes / 1e3)
}

/// A long chain that exists before the modules start.
#[derive(Debug)]
struct Long;

#[async_trait]
impl EventSource for Long {
    fn chain_id(&self) -> ChainId {
        TEST_CHAIN_ID
    }

    fn reorg_depth_max(&self) -> u64 {
        128
    }

    fn describe(&self) -> String {
        "a bench".to_owned()
    }

    async fn ready(&self) -> std::result::Result<(), SourceError> {
        Ok(())
    }

    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> std::result::Result<(), SourceError> {
        let log = logs.get(Finality::Latest).expect("modules that follow the head");
        log.append(block(EVENTS - 1));
        stop.cancelled().await;
        Ok(())
    }

    async fn replay(&self, wanted: &Replay) -> std::result::Result<Replayed, SourceError> {
        let first = *wanted.numbers.start();
        let last = (*wanted.numbers.end()).min(first + BLOCKS_AT_ONCE - 1);
        Ok(Replayed {
            parent_hash: parent_of(first),
            through: position(last),
            blocks: (first..=last).map(block).collect(),
        })
    }
}

fn block(number: u64) -> Arc<Advance> {
    let timestamp_ms = GENESIS_MS + number * 12_000;
    Advance::new(TEST_CHAIN_ID, position(number), parent_of(number), timestamp_ms)
}

fn position(number: u64) -> Position {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&(number + 1).to_be_bytes());
    Position { number, hash }
}

fn parent_of(number: u64) -> BlockHash {
    number.checked_sub(1).map_or([0; 32], |parent| position(parent).hash)
}
