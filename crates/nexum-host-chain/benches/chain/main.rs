//! The cost of a chain through the host, against alloy alone on the same node.
//!
//! Samples of both sides alternate, so that other load of the machine affects both. Scripted nodes
//! have their own thread; anvil is a process. The host and the bare client share the runtime.
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

/// The runtimes of the bench.
struct Runtimes {
    /// The host and the bare client, on as many threads as the binary uses.
    host: Runtime,
    /// Scripted nodes.
    node: Runtime,
}

/// Any error ends the bench.
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
