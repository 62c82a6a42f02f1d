//! The cost of modules that are written with an SDK: the sizes of their components, and the fuel of
//! their handlers. Both are exact for a compiler and a lock file. `cargo xtask bench` adds the times
//! of builds.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement cannot go on after a fault"
)]

use std::fs;

use nexum_testing::bench::{self, Figure, Guest};
use nexum_testing::guests;
use tokio::runtime::Builder;

/// The aims for the smallest module and for one with settings, an event, calls and state, in bytes.
const SIZES_MAX: [(&str, f64); 2] = [("hello", 40_000.0), ("transfer-watch", 180_000.0)];

/// The most fuel of a contract call.
const CALL_FUEL_MAX: f64 = 8_000.0;

/// The fuel of a contract call in a prototype that used `serde_json` and a library for hex: the
/// baseline.
const PROTOTYPE_CALL_FUEL: f64 = 14_000.0;

fn main() -> wasmtime::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    // The same handler without the SDK.
    let bare = size("noop");
    for (guest, bytes_max) in SIZES_MAX {
        figures.push(Figure::new(format!("{guest}: component"), "B", size(guest), bare).at_most(bytes_max));
    }
    for guest in [
        "balance-watch",
        "block-logger",
        "cow-quote-logger",
        "price-watch",
        "sdk-alloy",
        "gas-watch-c",
        "gas-watch-js",
        "gas-watch-python",
    ] {
        figures.push(Figure::new(format!("{guest}: component"), "B", size(guest), bare));
    }
    let fuel = |guest: &str, owners: u64| runtime.block_on(fuel(guest, owners));
    figures.push(Figure::new(
        "hello: a block",
        "fuel",
        fuel("hello", 0)?,
        fuel("noop", 0)?,
    ));
    // Python seeds its generator of random numbers at the start, and this host has none.
    for guest in ["gas-watch-c", "gas-watch-js"] {
        let name = format!("{guest}: a block with a request");
        figures.push(Figure::new(name, "fuel", fuel(guest, 0)?, fuel("noop", 0)?));
    }
    let none = fuel("transfer-watch", 0)?;
    for count in [1_u32, 10, 100] {
        let each = (fuel("transfer-watch", count.into())? - none) / f64::from(count);
        let name = format!("transfer-watch: each of {count} joined calls");
        let figure = Figure::new(name, "fuel", each, PROTOTYPE_CALL_FUEL);
        // The aim is that of a batch. A single call also pays for the wait alone.
        figures.push(if count > 1 {
            figure.at_most(CALL_FUEL_MAX)
        } else {
            figure
        });
    }
    bench::publish("sdk", &figures);
    Ok(())
}

fn size(guest: &str) -> f64 {
    fs::metadata(guests::component(guest)).expect("the component").len() as f64
}

/// The fuel of a second block: the first one makes room that the others use.
async fn fuel(guest: &str, owners: u64) -> wasmtime::Result<f64> {
    let owners: Vec<_> = (0..owners).map(|owner| format!("0x{owner:040x}")).collect();
    let token = format!("0x{:040x}", 1);
    let settings: &[(&str, String)] = match guest {
        "transfer-watch" => &[("token", token), ("owners", owners.join(",")), ("least", "1".into())],
        "gas-watch-c" | "gas-watch-js" => &[("warn_above_gwei", "50".into())],
        _ => &[],
    };
    let config: Vec<_> = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let mut guest = Guest::new(guest, true);
    guest.start(&config).await?;
    for number in 1..=2 {
        guest.on_event(bench::event(&bench::block(number))).await?;
    }
    Ok(guest.fuel_used() as f64)
}
