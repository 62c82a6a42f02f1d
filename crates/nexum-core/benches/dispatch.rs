//! A block's delivery to a module, and a host call, against wasmtime alone; and an event with a ledger against
//! one without.
//!
//! A sample is a sequence of events. Each is appended after all modules have handled the previous
//! one. Samples of both sides alternate, so that other load of the machine affects both.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::{Limit, Limits};
use nexum_core::Ledger;
use nexum_core::capability::Capabilities;
use nexum_core::clock::{Clock, Seams, SystemClock};
use nexum_core::ledger::{Calls, Entry};
use nexum_host_store::LocalStore;
use nexum_testing::bench::{self, Figure, Host};
use nexum_testing::guests;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{ComponentType, Lift, Linker};

use common::Bare;

/// The pairs of samples. With the samples that warm the caches, each figure takes some seconds.
const SAMPLES: usize = 500;
const WARM_UP: usize = 50;
/// The events of a sample over all modules: they take some hundred microseconds, so that the cost
/// of reading the clock is negligible.
const EVENTS_PER_SAMPLE: usize = 400;
/// The host calls of one event.
const CALLS_PER_EVENT: u64 = 1_000;

/// The most time that the host may add to a handler's call, and to a host call, in microseconds.
const DISPATCH_US_OVER: f64 = 1.5;
const HOST_CALL_US_OVER: f64 = 0.1;
/// The most time that the ledger may add to an event, in microseconds.
const LEDGER_US_OVER: f64 = 1.0;

fn main() -> wasmtime::Result<()> {
    let one_thread = Builder::new_current_thread().enable_all().build()?;
    let two_threads = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Vec::new();
    for (name, runtime, modules) in [
        ("block event, 1 module, one thread", &one_thread, 1),
        ("block event, 1 module, two threads", &two_threads, 1),
        ("block event, each of 100 modules, one thread", &one_thread, 100),
        ("block event, each of 100 modules, two threads", &two_threads, 100),
    ] {
        let (median, baseline) = dispatch(runtime, modules)?;
        figures.push(Figure::new(name, "us", median, baseline).at_most_over_baseline(DISPATCH_US_OVER));
    }
    for (name, fixture) in [
        ("block event with a ledger, without host calls", "noop"),
        ("block event with a ledger, three store calls and two writes", "counter"),
    ] {
        let (median, baseline) = ledger(&one_thread, fixture, false)?;
        figures.push(Figure::new(name, "us", median, baseline).at_most_over_baseline(LEDGER_US_OVER));
        let (median, baseline) = ledger(&one_thread, fixture, true)?;
        figures.push(Figure::new(format!("{name}, with inputs"), "us", median, baseline));
    }
    for call in ["clock.now-ms", "logging.log"] {
        let (median, baseline) = host_call(&one_thread, call == "logging.log")?;
        figures.push(Figure::new(call, "us", median, baseline).at_most_over_baseline(HOST_CALL_US_OVER));
    }
    bench::publish("dispatch", &figures);
    Ok(())
}

/// Microseconds per module that handles a block: through the host, and bare.
fn dispatch(runtime: &Runtime, modules: usize) -> wasmtime::Result<(f64, f64)> {
    let loading = common::load(
        bench::copies("noop", modules),
        Seams::system(),
        Limits::default(),
        Pooling::Auto,
    );
    let mut host = Host::start(runtime, runtime.block_on(loading));
    let alone = Bare::instances("noop", modules, Pooling::Auto, &[], |_| Ok(()));
    let mut bare = runtime.block_on(alone)?;
    let blocks = EVENTS_PER_SAMPLE.div_ceil(modules);
    let numbers = vec![0; blocks];
    let mut sample = || {
        let through_host = host.sample(bench::blocks(&numbers));
        let alone = runtime.block_on(calls(&mut bare, &numbers))?;
        let per_event = |took: Duration| took.as_secs_f64() * 1e6 / (blocks * modules) as f64;
        Ok((per_event(through_host), per_event(alone)))
    };
    bench::medians(WARM_UP, SAMPLES, &mut sample)
}

/// Microseconds per event of a module: with a ledger, which gets inputs or not, and without one.
fn ledger(runtime: &Runtime, fixture: &str, inputs: bool) -> wasmtime::Result<(f64, f64)> {
    let load = || {
        let (modules, seams) = (bench::copies(fixture, 1), Seams::system());
        let capabilities = Capabilities::ambient(seams.clone()).with(LocalStore);
        runtime.block_on(bench::load(
            modules,
            capabilities,
            seams,
            Limits::default(),
            Pooling::Auto,
        ))
    };
    let ledger = Ledger::new(Arc::new(SystemClock::new()), Calls::FailedAndSlow);
    ledger.set_inputs(inputs);
    let mut with = Host::start_with_ledger(runtime, load(), ledger.clone());
    let mut without = Host::start(runtime, load());
    let numbers = vec![0; EVENTS_PER_SAMPLE];
    let mut sample = || {
        let [with, without] = [&mut with, &mut without].map(|host| host.sample(bench::blocks(&numbers)));
        assert_eq!(attempts(&ledger), EVENTS_PER_SAMPLE, "the ledger has each event");
        let per_event = |took: Duration| took.as_secs_f64() * 1e6 / EVENTS_PER_SAMPLE as f64;
        Ok((per_event(with), per_event(without)))
    };
    bench::medians(WARM_UP, SAMPLES, &mut sample)
}

/// Takes the entries out, and counts the attempts.
fn attempts(ledger: &Ledger) -> usize {
    let entries = ledger.take();
    entries
        .iter()
        .filter(|(_, entry)| matches!(entry, Entry::Attempt(_)))
        .count()
}

/// Microseconds per host call: through a capability, and to a function that is linked by hand.
fn host_call(runtime: &Runtime, log: bool) -> wasmtime::Result<(f64, f64)> {
    let config = if log {
        vec![("call".to_owned(), "log".to_owned())]
    } else {
        Vec::new()
    };
    let mut module = ModuleConfig::new(guests::component("calls"));
    module.config.clone_from(&config);
    let clock = Arc::new(Unhurried::default());
    let seams = Seams {
        clock: clock.clone(),
        ..Seams::system()
    };
    let limits = Limits::default().with(Limit::LogRecords, u64::MAX);
    let loading = common::load(vec![module], seams, limits, Pooling::Auto);
    let mut host = Host::start(runtime, runtime.block_on(loading));
    let link = |linker: &mut Linker<()>| link_by_hand(linker, clock);
    let mut bare = runtime.block_on(Bare::instances("calls", 1, Pooling::Auto, &config, link))?;
    let (without, with) = ([0], [CALLS_PER_EVENT]);
    let mut sample = || {
        // Block 0 first: a module receives no block before its first one.
        let empty = host.sample(bench::blocks(&without));
        let through_host = host.sample(bench::blocks(&with)).saturating_sub(empty);
        let alone = runtime.block_on(calls(&mut bare, &with))?;
        let alone = alone.saturating_sub(runtime.block_on(calls(&mut bare, &without))?);
        let per_call = |took: Duration| took.as_secs_f64() * 1e6 / CALLS_PER_EVENT as f64;
        Ok((per_call(through_host), per_call(alone)))
    };
    bench::medians(WARM_UP, SAMPLES, &mut sample)
}

/// Calls every instance with a block of each number.
async fn calls(instances: &mut [Bare], numbers: &[u64]) -> wasmtime::Result<Duration> {
    let blocks = bench::blocks(numbers);
    let start = Instant::now();
    for block in &blocks {
        for instance in instances.iter_mut() {
            instance.on_event(bench::event(block)).await?;
        }
    }
    Ok(start.elapsed())
}

/// The host functions of `calls`, without a host.
fn link_by_hand(linker: &mut Linker<()>, clock: Arc<dyn Clock>) -> wasmtime::Result<()> {
    #[expect(dead_code, reason = "only the guest makes one")]
    #[derive(Clone, Copy, ComponentType, Lift)]
    #[component(enum)]
    #[repr(u8)]
    enum Level {
        #[component(name = "trace")]
        Trace,
        #[component(name = "debug")]
        Debug,
        #[component(name = "info")]
        Info,
        #[component(name = "warn")]
        Warn,
        #[component(name = "error")]
        Error,
    }
    linker
        .instance("nexum:host/clock@0.2.0")?
        .func_wrap("now-ms", move |_, ()| Ok((clock.now_ms(),)))?;
    linker
        .instance("nexum:host/logging@0.2.0")?
        .func_wrap("log", |_, (level, message): (Level, String)| {
            std::hint::black_box((level, message));
            Ok(())
        })
}

/// The machine's clock. Its monotonic time also advances by itself, so that no rate limit applies.
#[derive(Debug, Default)]
struct Unhurried {
    clock: SystemClock,
    steps: AtomicU64,
}

impl Clock for Unhurried {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn monotonic_ns(&self) -> u64 {
        const STEP_NS: u64 = 1_000_000;
        self.clock.monotonic_ns() + self.steps.fetch_add(1, Ordering::Relaxed) * STEP_NS
    }
}
