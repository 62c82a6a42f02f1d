//! What a chain costs through the host, against the same asked of the same node by alloy alone.
//!
//! Samples of both sides take turns, so that what else the machine does befalls both. Scripted nodes have a thread of their
//! own; anvil is a process. The host and the bare side share the runtime.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

mod backfill;
mod bare;
mod blocks;
mod burst;
mod heads;
mod host;
mod requests;

use nexum_testing::bench::{self, medians};
use tokio::runtime::{Builder, Runtime};

/// Where things run.
struct Runtimes {
    /// The host, and the bare side: as the binary's on this many threads.
    host: Runtime,
    /// Scripted nodes.
    node: Runtime,
}

/// Whatever goes wrong ends the bench.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let runtimes = Runtimes {
        host: Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        node: Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
    };
    let mut figures = requests::figures(&runtimes)?;
    figures.extend(blocks::figures(&runtimes));
    figures.extend(heads::figures(&runtimes)?);
    figures.extend(burst::figures(&runtimes)?);
    figures.push(backfill::figure(&runtimes)?);
    bench::publish("chain", &figures);
    Ok(())
}
