//! The time from the start of the process until a hundred different modules run: first when
//! everything must be compiled, then when everything is in the cache. The baseline of the second
//! start is deserialising the code.
//!
//! Each start is a process. Its time starts before the process, and ends when it reports that it is
//! done.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::names::Digest;
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_core::module::{Loader, LoaderSettings, Module};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{ModuleStatus, Stage};
use nexum_testing::bench::{self, Figure, HandGrown, median};
use nexum_testing::{TEST_CHAIN_ID, guests};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::component::Component;

/// A typical module: it decodes JSON and big numbers, and has 120 kB.
const GUEST: &str = "balance-watch";
const CONFIG: &str = "\n[config]\naccounts = \"0x0000000000000000000000000000000000000001\"\n";
const MODULES: usize = 100;
/// A first start compiles for seconds. A second start and its baseline are short, and alternate.
const FIRST_STARTS: usize = 3;
const SECOND_STARTS: usize = 11;

/// The longest second start, in milliseconds.
const SECOND_START_MS_MAX: f64 = 250.0;

/// The line that a child prints when it is done.
const DONE: &str = "done";
/// The directories beside the modules: the cache of the compiler, and the code that wasmtime
/// serialised.
const CACHE: &str = "cache";
const SERIALISED: &str = "serialised";

fn main() -> wasmtime::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "child", "host", directory] => start_host(Path::new(directory)),
        [_, "child", "bare", directory] => start_bare(Path::new(directory)),
        _ => compare(),
    }
}

fn compare() -> wasmtime::Result<()> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-start");
    write_modules(&directory)?;
    let (mut first, mut second, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..FIRST_STARTS {
        fs::remove_dir_all(directory.join(CACHE)).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        first.push(time_child("host", &directory));
    }
    for _ in 0..SECOND_STARTS {
        second.push(time_child("host", &directory));
        bare.push(time_child("bare", &directory));
    }
    let (first, second, bare) = (median(first), median(second), median(bare));
    bench::publish(
        "start",
        &[
            Figure::new("second start, against deserialising", "ms", second, bare).at_most(SECOND_START_MS_MAX),
            Figure::new("second start, against the first", "ms", second, first).at_most(SECOND_START_MS_MAX),
        ],
    );
    Ok(())
}

/// Writes the modules, each with its own digest, and their compiled code.
fn write_modules(directory: &Path) -> wasmtime::Result<()> {
    let original = fs::read(guests::component(GUEST))?;
    let manifest = fs::read_to_string(guests::dir(GUEST).join("nexum.toml"))?;
    // The core alone cannot serve a chain. Its replacement costs as much to link.
    let manifest = manifest.replace("required = [\"chain\"]", "optional = [\"chain\"]") + CONFIG;
    let pinned = Digest::of(&original).to_string();
    assert!(
        manifest.contains(&pinned),
        "the guest's manifest does not pin its digest"
    );
    let engine = Engine::new(&EngineConfig::default())?;
    let code = Component::new(engine.wasmtime(), &original)?.serialize()?;
    fs::create_dir_all(directory.join(SERIALISED))?;
    for index in 0..MODULES {
        let component = guests::with_custom_section(&original, "copy", index.to_string().as_bytes());
        let path = component_path(directory, index);
        let module = path.parent().expect("a module has a directory");
        fs::create_dir_all(module)?;
        let digest = Digest::of(&component).to_string();
        fs::write(module.join("nexum.toml"), manifest.replace(&pinned, &digest))?;
        fs::write(&path, component)?;
        fs::write(serialised_path(directory, index), &code)?;
    }
    Ok(())
}

fn component_path(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("module-{index}")).join("module.wasm")
}

fn serialised_path(directory: &Path, index: usize) -> PathBuf {
    directory.join(SERIALISED).join(index.to_string())
}

/// Milliseconds until a child is done.
fn time_child(side: &str, directory: &Path) -> f64 {
    let program = env::current_exe().expect("the path of this program");
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(["child", side])
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("a line of the child's");
    let took = start.elapsed();
    assert_eq!(line.trim(), DONE, "the {side} did not start");
    child.kill().and_then(|()| child.wait()).expect("the child's end");
    took.as_secs_f64() * 1e3
}

fn say_done() {
    println!("{DONE}");
    io::stdout().flush().expect("somebody who reads");
}

/// The baseline: reads the code, and prepares it for linking.
#[expect(unsafe_code, reason = "the files are this bench's own")]
fn start_bare(directory: &Path) -> wasmtime::Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let mut components = Vec::with_capacity(MODULES);
    for index in 0..MODULES {
        let code = fs::read(serialised_path(directory, index))?;
        // SAFETY: `write_modules` wrote the code with this engine's settings.
        components.push(unsafe { Component::deserialize(engine.wasmtime(), code) }?);
    }
    say_done();
    Ok(())
}

/// The work of `nexum run`, without arguments and network.
fn start_host(directory: &Path) -> wasmtime::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
        let modules = load(directory).await;
        let statuses: Arc<[_]> = modules.into_iter().map(|module| supervisor.module(module)).collect();
        let chain = HandGrown::new(move |_, _| {
            let statuses = statuses.clone();
            Box::pin(async move { until_all_run(&statuses).await })
        });
        let supervisor = supervisor.source(chain);
        supervisor.run(CancellationToken::new()).await
    });
    panic!("the host ended: {report:?}");
}

/// Reads, inspects and compiles the modules, on as many threads as there are processors.
async fn load(directory: &Path) -> Vec<Module> {
    let capabilities = Capabilities::ambient(Seams::system());
    let capabilities = capabilities.absent("chain", &["nexum:host/chain@0.2.0"], "chain");
    let loader = Loader::new(
        capabilities,
        LoaderSettings::default(),
        [TEST_CHAIN_ID],
        Seams::system(),
    );
    let loader = Arc::new(loader);
    let threads = available_parallelism().map_or(1, usize::from);
    let mut inspecting = JoinSet::new();
    for thread in 0..threads {
        let (loader, directory) = (loader.clone(), directory.to_owned());
        let inspect = move |index| {
            let mut config = ModuleConfig::new(component_path(&directory, index));
            config.name = Some(format!("module-{index}").parse().expect("a module's name"));
            loader.inspect(&config).unwrap_or_else(|errors| panic!("{errors:#?}"))
        };
        inspecting.spawn_blocking(move || (thread..MODULES).step_by(threads).map(inspect).collect::<Vec<_>>());
    }
    let candidates = inspecting.join_all().await.into_iter().flatten().collect::<Vec<_>>();
    let config = EngineConfig {
        cache_dir: Some(directory.join(CACHE).into()),
        pooling: Pooling::Auto,
        demand: Candidate::demand(&candidates),
        ..EngineConfig::default()
    };
    let engine = Engine::new(&config).expect("an engine");
    let mut loading = JoinSet::new();
    for candidate in candidates {
        let (loader, engine) = (loader.clone(), engine.clone());
        loading.spawn(async move { loader.load(&engine, candidate).await.expect("a module") });
    }
    loading.join_all().await
}

/// Waits until all modules run.
async fn until_all_run(statuses: &[Arc<ModuleStatus>]) {
    let mut turns = tokio::time::interval(Duration::from_millis(1));
    while !statuses.iter().all(|status| status.stage() == Stage::Running) {
        turns.tick().await;
        assert!(statuses.iter().all(|status| status.failed() == 0), "a module failed");
    }
    say_done();
}
