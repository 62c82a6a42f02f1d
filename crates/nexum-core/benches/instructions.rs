//! The cases that callgrind counts. `instructions CASE` prepares a case, and performs it inside [`measured`], whose
//! instructions `cargo xtask instructions` divides by the number of operations that the program prints.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement cannot go on after a fault, and reports to the task"
)]

mod common;

use std::sync::Arc;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::{Limit, Limits};
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::module::{Candidate, Loader, LoaderSettings, Module};
use nexum_core::source::{Advance, Log};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_store::LocalStore;
use nexum_testing::bench::{self, Host};
use nexum_testing::{GENESIS_MS, TEST_CHAIN_ID, guests};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The operations that warm the caches, and those that count.
const WARM_UP: usize = 200;
const OPERATIONS: usize = 2_000;
const COMMITS: usize = 100;

/// The modules, and the logs of each block, of the case `routing`. Each module gets one of the logs.
const FILTERS: usize = 10;
const BLOCKS: usize = 100;

fn main() {
    // Cargo adds an argument of its own when it runs a bench.
    let case = std::env::args().nth(1).filter(|case| !case.starts_with('-'));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    match case.as_deref() {
        Some("dispatch") => events(&runtime),
        Some("host-call") => host_calls(&runtime),
        Some("commit") => commits(&runtime),
        Some("routing") => routing(&runtime),
        Some("query") => query(&runtime),
        _ => println!("a case: dispatch, host-call, commit, routing or query"),
    }
}

/// The part whose instructions count.
#[inline(never)]
fn measured(operations: usize, work: impl FnOnce()) {
    work();
    // Keeps the call from becoming a jump, so that the function ends after its work.
    std::hint::black_box(operations);
    println!("{operations}");
}

/// Events of one module.
fn events(runtime: &Runtime) {
    let mut host = Host::start(runtime, runtime.block_on(load(vec![configured("noop")])));
    host.sample(bench::blocks(&[0; WARM_UP]));
    let blocks = bench::blocks(&[0; OPERATIONS]);
    measured(OPERATIONS, || {
        host.sample(blocks);
    });
}

/// Events that write two keys, each with a commit.
fn commits(runtime: &Runtime) {
    let mut host = Host::start(runtime, runtime.block_on(load(vec![configured("counter")])));
    host.handle_quietly(bench::blocks(&[0; COMMITS / 10]));
    let blocks = bench::blocks(&[0; COMMITS]);
    measured(COMMITS, || host.handle_quietly(blocks));
}

/// Calls of `clock.now-ms` in one event.
fn host_calls(runtime: &Runtime) {
    let mut host = Host::start(runtime, runtime.block_on(load(vec![configured("calls")])));
    host.sample(bench::blocks(&[0, WARM_UP as u64]));
    let blocks = bench::blocks(&[OPERATIONS as u64]);
    measured(OPERATIONS, || {
        host.sample(blocks);
    });
}

/// Blocks with logs, for modules with a filter each.
fn routing(runtime: &Runtime) {
    let directory = tempfile::tempdir().expect("a directory");
    let configs = (0..FILTERS).map(|index| {
        let name = format!("filter-{index}");
        let manifest = directory.path().join(&name).with_extension("toml");
        let text = format!(
            "[module]\nname = \"{name}\"\nversion = \"0.1.0\"\n\n[[subscription]]\nkind = \"log\"\nchain_id = \
             {TEST_CHAIN_ID}\naddress = \"0x{index:040x}\"\n"
        );
        std::fs::write(&manifest, text).expect("a manifest");
        let mut config = ModuleConfig::new(guests::component("noop"));
        config.manifest = Some(manifest.into());
        config
    });
    let mut host = Host::start(runtime, runtime.block_on(load(configs.collect())));
    host.sample((0..10).map(block_with_logs).collect());
    let blocks = (10..10 + BLOCKS as u64).map(block_with_logs).collect();
    measured(BLOCKS * FILTERS, || {
        host.sample(blocks);
    });
}

fn block_with_logs(number: u64) -> Arc<Advance> {
    let log = |index: usize| Log {
        chain_id: TEST_CHAIN_ID,
        address: (index as u128)
            .to_be_bytes()
            .iter()
            .fold(vec![0; 4], |mut address, byte| {
                address.push(*byte);
                address
            }),
        topics: vec![vec![2; 32]; 3],
        data: vec![3; 32],
        block_number: number,
        transaction_hash: vec![4; 32],
        log_index: index as u32,
    };
    let position = bench::block(number).position;
    let timestamp_ms = GENESIS_MS + number * 12_000;
    Advance::with_logs(
        TEST_CHAIN_ID,
        position,
        [0; 32],
        timestamp_ms,
        (0..FILTERS).map(log).collect(),
    )
}

/// Queries, one by one.
fn query(runtime: &Runtime) {
    let seams = Seams::system();
    let capabilities = Capabilities::ambient(seams.clone()).with(LocalStore);
    let loader = Loader::new(capabilities, LoaderSettings::default(), [], seams);
    let config = ModuleConfig::new(guests::component("query-echo"));
    let candidate = loader.inspect(&config).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let name = candidate.meta.name.clone();
    let engine = bench::engine(Candidate::demand([&candidate]), Pooling::Off);
    let module = runtime
        .block_on(loader.load_query(&engine, candidate))
        .expect("a module");
    let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
    supervisor.query(module);
    let steering = supervisor.handle();
    let mut running = JoinSet::new();
    let run = async move {
        let _ = supervisor.run(CancellationToken::new()).await;
    };
    running.spawn_on(run, runtime.handle());
    let pool = runtime.block_on(async {
        loop {
            if let Ok(pool) = steering.query(&name) {
                return pool;
            }
            tokio::task::yield_now().await;
        }
    });
    let call = |count: usize| {
        runtime.block_on(async {
            for _ in 0..count {
                assert!(pool.call(b"hello").await.is_ok(), "a call failed");
            }
        });
    };
    call(WARM_UP);
    measured(OPERATIONS, || call(OPERATIONS));
}

fn configured(guest: &str) -> ModuleConfig {
    ModuleConfig::new(guests::component(guest))
}

/// Loads modules without a pool of memory: valgrind cannot reserve as much.
async fn load(modules: Vec<ModuleConfig>) -> Vec<Module> {
    let seams = Seams::system();
    let capabilities = Capabilities::ambient(seams.clone()).with(LocalStore);
    let limits = Limits::default().with(Limit::LogRecords, u64::MAX);
    bench::load(modules, capabilities, seams, limits, Pooling::Off).await
}
