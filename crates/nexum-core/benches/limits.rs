//! The cost of metering: handlers of real guests with fuel, against handlers without. Both sides
//! use epochs, which let other guests run and are always needed, and the same immediate host
//! functions.
//!
//! A sample is a sequence of events. Samples of both sides alternate, so that other load of the
//! machine affects both.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::time::Instant;

use nexum_core::bindings::nexum::host::types::Log;
use nexum_core::source::Event;
use nexum_testing::TEST_CHAIN_ID;
use nexum_testing::bench::{self, Figure, Guest, median};
use tokio::runtime::Builder;

/// The pairs of samples. With the samples that warm the caches, each guest takes some seconds.
const SAMPLES: usize = 300;
const WARM_UP: usize = 30;
/// The events of a sample: they take at least some hundred microseconds.
const EVENTS_PER_SAMPLE: usize = 200;

/// The longest handler with fuel, as a multiple of one without. A guest above it would justify an
/// engine without fuel.
const TIMES_WITHOUT: f64 = 1.10;

fn main() -> wasmtime::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let block = bench::event(&bench::block(1)).clone();
    let accounts = |count: u64| {
        let accounts = (0..count).map(|number| format!("0x{number:040x}"));
        let accounts = accounts.collect::<Vec<_>>().join(",");
        let token = format!("0x{:040x}", 1);
        vec![("accounts".to_owned(), accounts), ("token".to_owned(), token)]
    };
    let mut figures = Vec::new();
    for (name, guest, config, event) in [
        ("a handler that does nothing", "noop", Vec::new(), &block),
        (
            "block-logger: a header as JSON, a line",
            "block-logger",
            Vec::new(),
            &block,
        ),
        (
            "balance-watch: a token of 1 account",
            "balance-watch",
            accounts(1),
            &block,
        ),
        (
            "balance-watch: a token of 100 accounts",
            "balance-watch",
            accounts(100),
            &block,
        ),
        ("journal: a block, two values kept", "journal", Vec::new(), &block),
        ("log-sum: 1 log", "log-sum", Vec::new(), &logs(1)),
        ("log-sum: 100 logs", "log-sum", Vec::new(), &logs(100)),
    ] {
        let (with, without) = runtime.block_on(measure(guest, &config, event))?;
        figures.push(Figure::new(name, "us", with, without).at_most_times_baseline(TIMES_WITHOUT));
    }
    bench::publish("limits", &figures);
    Ok(())
}

/// Microseconds per event, with fuel and without.
async fn measure(guest: &str, config: &[(String, String)], event: &Event) -> wasmtime::Result<(f64, f64)> {
    let mut sides = [true, false].map(|has_fuel| Guest::new(guest, has_fuel));
    for side in &mut sides {
        side.start(config).await?;
    }
    let mut samples = [Vec::new(), Vec::new()];
    for sample in 0..WARM_UP + SAMPLES {
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            for _ in 0..EVENTS_PER_SAMPLE {
                side.on_event(event).await?;
            }
            if sample >= WARM_UP {
                samples.push(start.elapsed().as_secs_f64() * 1e6 / EVENTS_PER_SAMPLE as f64);
            }
        }
    }
    let [with, without] = samples.map(median);
    Ok((with, without))
}

/// An event with this many transfers of a token.
fn logs(count: u32) -> Event {
    let log = |index: u32| Log {
        chain_id: TEST_CHAIN_ID,
        address: vec![1; 20],
        topics: vec![vec![2; 32]; 3],
        data: vec![3; 32],
        block_number: 1,
        transaction_hash: vec![4; 32],
        log_index: index,
    };
    Event::Logs((0..count).map(log).collect())
}
