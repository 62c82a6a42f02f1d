//! The cost of an idle module in resident memory and memory maps, against a bare store and
//! instance.
//!
//! Each measurement is a process that loads its modules, lets each handle one block, and reads its
//! own memory. The cost of one module is the difference between a process with many and a process
//! with one.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use nexum_config::engine::Pooling;
use nexum_config::limits::Limits;
use nexum_core::ModuleStatus;
use nexum_core::clock::Seams;
use nexum_core::source::EventLog;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_testing::bench::{self, Figure, HandGrown, median};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use common::Bare;

const GUEST: &str = "noop";
/// The number of idle modules, and the number that must load.
const IDLE_MODULES: usize = 1_000;
const MANY_MODULES: usize = 10_000;
/// The measurements of each process. They hardly differ.
const SAMPLES: usize = 5;

/// The most memory that the host may add to a bare store and instance, in kilobytes.
const KILOBYTES_OVER: f64 = 25.0;

fn main() -> wasmtime::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    if let [_, child, side, count] = arguments.as_slice()
        && child == "child"
    {
        let usage = measure(side, count.parse()?)?;
        println!("{} {}", usage.resident_bytes, usage.maps);
        return Ok(());
    }
    let allowed: f64 = fs::read_to_string("/proc/sys/vm/max_map_count")?.trim().parse()?;
    let mut figures = Vec::new();
    for (how, pooling) in [("pooled", "auto"), ("on demand", "off")] {
        let (host, bare) = (format!("host-{pooling}"), format!("bare-{pooling}"));
        let name = format!("an idle module of {IDLE_MODULES}, {how}");
        let figure = Figure::new(name, "kB", kilobytes_per_module(&host), kilobytes_per_module(&bare));
        figures.push(figure.at_most_over_baseline(KILOBYTES_OVER));
        let maps = |side: &str| in_child(side, MANY_MODULES).maps as f64;
        let name = format!("memory maps of {MANY_MODULES} modules, {how}");
        figures.push(Figure::new(name, "maps", maps(&host), maps(&bare)).at_most(allowed));
    }
    bench::publish("memory", &figures);
    Ok(())
}

/// The memory that each further module adds to a process.
fn kilobytes_per_module(side: &str) -> f64 {
    let difference = |_| {
        let (one, all) = (in_child(side, 1), in_child(side, IDLE_MODULES));
        (all.resident_bytes as f64 - one.resident_bytes as f64) / (IDLE_MODULES - 1) as f64 / 1e3
    };
    median((0..SAMPLES).map(difference).collect())
}

/// The memory of a process.
struct Usage {
    resident_bytes: u64,
    maps: u64,
}

impl Usage {
    /// The memory of this process now.
    fn now() -> Self {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("a Linux kernel that sums up its maps");
        let resident = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .expect("the resident memory");
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        let maps = fs::read_to_string("/proc/self/maps").expect("the maps of this process");
        Self {
            resident_bytes: kilobytes * 1024,
            maps: maps.lines().count() as u64,
        }
    }
}

/// Measures in a child process.
fn in_child(side: &str, count: usize) -> Usage {
    let program = env::current_exe().expect("the path of this program");
    let output = Command::new(program)
        .args(["child", side, &count.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output();
    let output = output.expect("a child process");
    assert!(
        output.status.success(),
        "{side} with {count} modules: {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
    let [resident_bytes, maps] = numbers[..] else {
        panic!("{side} with {count} modules printed {text:?}");
    };
    Usage { resident_bytes, maps }
}

/// `side` is `host` or `bare`, followed by the kind of allocation.
fn measure(side: &str, count: usize) -> wasmtime::Result<Usage> {
    let pooling = if side.ends_with("auto") {
        Pooling::Auto
    } else {
        Pooling::Off
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if side.starts_with("bare") {
        runtime.block_on(measure_bare(count, pooling))
    } else {
        Ok(runtime.block_on(measure_host(count, pooling)))
    }
}

async fn measure_bare(count: usize, pooling: Pooling) -> wasmtime::Result<Usage> {
    let mut instances = Bare::instances(GUEST, count, pooling, &[], |_| Ok(())).await?;
    for instance in &mut instances {
        instance.on_event(bench::event(&bench::block(0))).await?;
    }
    Ok(Usage::now())
}

async fn measure_host(count: usize, pooling: Pooling) -> Usage {
    let configs = bench::copies(GUEST, count);
    let modules = common::load(configs, Seams::system(), Limits::default(), pooling).await;
    let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
    let statuses: Arc<[_]> = modules.into_iter().map(|module| supervisor.module(module)).collect();
    let (usage, mut measured) = mpsc::channel(1);
    let chain = HandGrown::new(move |log, _| {
        let (statuses, usage) = (statuses.clone(), usage.clone());
        Box::pin(async move { one_block(log, &statuses, &usage).await })
    });
    let supervisor = supervisor.source(chain);
    let stop = CancellationToken::new();
    let measured = async {
        let usage = measured.recv().await;
        stop.cancel();
        usage
    };
    let (usage, report) = tokio::join!(measured, supervisor.run(stop.clone()));
    usage.unwrap_or_else(|| panic!("the host ended: {report:?}"))
}

/// Lets all modules handle one block, then measures the process.
async fn one_block(log: &EventLog, statuses: &[Arc<ModuleStatus>], usage: &mpsc::Sender<Usage>) {
    log.append(bench::block(0));
    let mut turns = tokio::time::interval(Duration::from_millis(5));
    while !statuses.iter().all(|status| status.handled() == 1) {
        turns.tick().await;
        assert!(statuses.iter().all(|status| status.failed() == 0), "a module failed");
    }
    // The bench is the only receiver, and waits.
    let _ = usage.send(Usage::now()).await;
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usage").finish_non_exhaustive()
    }
}
