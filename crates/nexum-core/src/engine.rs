//! Wasmtime, configured for many small, untrusted guests.
//!
//! # Invariants
//!
//! - Epochs are always on, and fuel for every module without `metering = "epoch"`. So no guest
//!   computes without end or holds a thread.
//! - No async thread compiles a component.
//! - The engine compiles a component once per digest and metering, for all modules that run it.

mod compiler;
pub(crate) mod fair_scheduler;
pub(crate) mod limiter;
mod maps;
mod pool;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nexum_config::engine::{Metering, Pooling};
use nexum_config::hint::Hint;
use nexum_config::limits::saturating_usize;
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::Digest;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, EngineWeak, InstanceAllocationStrategy};

use compiler::Compilers;
use fair_scheduler::FairScheduler;

pub use compiler::{COMPILE_MEMORY_BYTES_MAX, COMPILE_TIME_MAX, ChildProgram, Compiler, compile_in_child};
pub use limiter::{LimitExceeded, Limiter};
pub use maps::MapsError;
pub use pool::Demand;

/// How long a guest computes before it yields, if no guest has used up a slice recently, in
/// milliseconds. It is short enough for the few waiting guests, and the ticks cost an idle machine
/// almost nothing.
const EPOCH_MS: u64 = 10;

/// How long a guest computes before it yields while guests use up their slices, in milliseconds. A
/// task that wakes up on a computing thread waits this long. The switch costs a thousandth of the
/// slice.
const BUSY_EPOCH_MS: u64 = 2;

/// The configuration of an engine.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Directory of the compilation cache. `None` keeps compiled components in memory only.
    pub cache_dir: Option<MaskedPath>,
    /// Whether instances come from a pool.
    pub pooling: Pooling,
    /// The needs of the modules to load.
    pub demand: Demand,
    /// Where components are compiled.
    pub compiler: Compiler,
}

/// Compiles components and provides the wasmtime engine for their stores. A clone is cheap.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    cache: Option<Cache>,
    metering: Metering,
    /// The components that a module uses.
    components: Mutex<HashMap<Digest, Weak<OnceCell<Component>>>>,
    compilers: Arc<Compilers>,
    scheduler: FairScheduler,
    /// Places for instances. `None` without a pool, because only a pool can be full.
    places: Option<Arc<Semaphore>>,
    /// The engine for modules with `metering = "epoch"`. `None` in that engine itself.
    unmetered: Option<Engine>,
}

/// Reserves a module's places in the engine until it is dropped.
#[derive(Debug)]
pub(crate) struct InstancePermit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A compiled component. The engine forgets it when the last clone is gone.
#[derive(Clone)]
pub struct Compiled {
    _cell: Arc<OnceCell<Component>>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compiled")
    }
}

/// An error of creating an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The compilation cache is not usable.
    #[error("cannot use the compilation cache in {}", path.display())]
    Cache {
        /// The directory of the cache.
        path: PathBuf,
        /// The reason.
        #[source]
        source: wasmtime::Error,
    },
    /// The machine does not allow as many memory maps as the modules need.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// Wasmtime does not run on this machine.
    #[error("cannot set up wasmtime")]
    Wasmtime(#[source] wasmtime::Error),
    /// The epoch thread does not start.
    #[error("cannot start the epoch thread")]
    Thread(#[source] io::Error),
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Cache { .. } => Some("set `state_dir` in [engine] to a writable directory".to_owned()),
            Self::Maps(error) => error.hint(),
            Self::Wasmtime(_) | Self::Thread(_) => None,
        }
    }
}

/// An error of compiling a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The component is not valid WebAssembly, or uses features that this engine does not have.
    #[error("the component does not compile")]
    Invalid(#[source] wasmtime::Error),
    /// The compiler's thread panicked.
    #[error("the compiler panicked")]
    Panicked(#[source] tokio::task::JoinError),
    /// The compilation took longer than [`COMPILE_TIME_MAX`].
    #[error("the component does not compile within {} s", COMPILE_TIME_MAX.as_secs())]
    TimedOut,
    /// The child process of the compilation failed, most likely for want of memory.
    #[error("the component does not compile within {} MiB of memory ({_0})", COMPILE_MEMORY_BYTES_MAX >> 20)]
    Ended(ExitStatus),
    /// The child process cannot be started.
    #[error("cannot run the compiler")]
    Child(#[source] io::Error),
}

impl Engine {
    /// Creates an engine and starts the epoch thread, which ends after the last clone is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the cache directory is not usable, or if the machine cannot hold the demand.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let cache = config.cache_dir.as_ref().map(open_cache).transpose()?;
        let mut wasmtime_config = base_config();
        wasmtime_config.cache(cache.clone());
        let (wasmtime, is_pooled) = allocate(&wasmtime_config, &config.demand, config.pooling)?;
        let places = is_pooled.then(|| Arc::new(Semaphore::new(saturating_usize(config.demand.places().into()))));
        let without_fuel = wasmtime::Engine::new(wasmtime_config.consume_fuel(false)).map_err(EngineError::Wasmtime)?;
        let scheduler = FairScheduler::new();
        tick([&wasmtime, &without_fuel], scheduler.clone()).map_err(EngineError::Thread)?;
        let compilers = Arc::new(Compilers::new(
            config.compiler.clone(),
            config.cache_dir.as_deref().map(Path::to_owned),
        ));
        let engine = |wasmtime, metering, places, unmetered| Self {
            inner: Arc::new(Inner {
                wasmtime,
                metering,
                cache: cache.clone(),
                components: Mutex::default(),
                compilers: compilers.clone(),
                scheduler: scheduler.clone(),
                places,
                unmetered,
            }),
        };
        let unmetered = engine(without_fuel, Metering::Epoch, None, None);
        Ok(engine(wasmtime, Metering::Fuel, places, Some(unmetered)))
    }

    /// The engine for modules with this metering. The engine without fuel creates instances on
    /// demand, because it has few modules.
    pub(crate) fn metered_by(&self, metering: Metering) -> &Self {
        match (metering, &self.inner.unmetered) {
            (Metering::Epoch, Some(unmetered)) => unmetered,
            _ => self,
        }
    }

    /// The wasmtime engine, for linkers and stores.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// Whether instances come from a pool.
    pub fn is_pooled(&self) -> bool {
        self.inner.places.is_some()
    }

    /// The scheduler for guests with long computations.
    pub(crate) fn scheduler(&self) -> &FairScheduler {
        &self.inner.scheduler
    }

    /// Reserves places for this many instances of a module. `None` if the pool has fewer left.
    pub(crate) fn place(&self, instances: u32) -> Option<InstancePermit> {
        let _permit = match &self.inner.places {
            Some(places) => Some(places.clone().try_acquire_many_owned(instances).ok()?),
            None => None,
        };
        Some(InstancePermit { _permit })
    }

    /// The numbers of hits and misses of the compilation cache.
    pub fn cache_hits_and_misses(&self) -> (usize, usize) {
        let compiled = self.inner.compilers.compiled_in_child();
        self.inner.cache.as_ref().map_or((0, 0), |cache| {
            (
                cache.cache_hits().saturating_sub(compiled),
                cache.cache_misses() + compiled,
            )
        })
    }

    /// Compiles a component. The result can also come from the cache, or from a caller with this
    /// digest that still holds it.
    ///
    /// # Errors
    ///
    /// Fails if the component is not valid, or does not compile within the bounds.
    pub async fn compile(&self, digest: Digest, bytes: Arc<Vec<u8>>) -> Result<(Component, Compiled), CompileError> {
        let cell = {
            let mut components = self.inner.components.lock();
            components.retain(|_, cell| cell.strong_count() > 0);
            components.get(&digest).and_then(Weak::upgrade).unwrap_or_else(|| {
                let cell = Arc::default();
                components.insert(digest, Arc::downgrade(&cell));
                cell
            })
        };
        let Inner {
            compilers,
            wasmtime,
            metering,
            ..
        } = &*self.inner;
        let compile = || compilers.compile(wasmtime, *metering, digest, bytes);
        let component = cell.get_or_try_init(compile).await?.clone();
        Ok((component, Compiled { _cell: cell }))
    }

    /// How many compiled components the engine holds for modules.
    pub fn components(&self) -> usize {
        let components = self.inner.components.lock();
        components.values().filter(|cell| cell.strong_count() > 0).count()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("pooled", &self.is_pooled())
            .finish_non_exhaustive()
    }
}

/// The size of a guest's stack, and of its fiber's stack, in bytes. The guest's is wasmtime's
/// default. The fiber's has room for the host functions, which run on it as well.
const WASM_STACK_BYTES: usize = 512 * 1024;
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + 512 * 1024;

fn base_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        // A memory image takes one file descriptor per component and two more maps per instance,
        // and a process has a limited number of both. For guests of this size, a copy of the data
        // is as fast.
        .memory_init_cow(false)
        // Only debuggers and profilers of the host use unwind information; wasmtime's own
        // backtraces do not. Its registration takes time for each entry of each component, at each
        // start.
        .native_unwind_info(cfg!(windows))
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    config
}

/// Creates a wasmtime engine, with a pool if `pooling` asks for one and it fits the machine.
/// Returns whether the engine has a pool.
fn allocate(
    config: &wasmtime::Config,
    demand: &Demand,
    pooling: Pooling,
) -> Result<(wasmtime::Engine, bool), EngineError> {
    if pooling == Pooling::Auto {
        // The modules need even more maps without a pool.
        maps::check(demand, true, pooling)?;
        match with_pool(config, demand) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => tracing::info!(
                error = format_args!("{error:#}"),
                "the instance pool does not fit this machine: nexum creates instances on demand"
            ),
        }
    }
    maps::check(demand, false, pooling)?;
    let engine = wasmtime::Engine::new(config).map_err(EngineError::Wasmtime)?;
    Ok((engine, false))
}

fn with_pool(config: &wasmtime::Config, demand: &Demand) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config.clone();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(demand.pool()));
    wasmtime::Engine::new(&config)
}

fn open_cache(path: &MaskedPath) -> Result<Cache, EngineError> {
    let failed = |source| EngineError::Cache {
        path: path.shown().to_owned(),
        source,
    };
    make_private(path).map_err(|error| failed(error.into()))?;
    let mut config = CacheConfig::new();
    config.with_directory(std::path::absolute(&**path).map_err(|error| failed(error.into()))?);
    Cache::new(config).map_err(failed)
}

/// Makes the directory of the cache and its parents, for their owner alone. The parent is the state directory, which may not
/// exist yet.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Advances the epoch on a separate thread. A task could not run at the moment that matters most,
/// when guests hold every thread of the runtime.
#[expect(clippy::disallowed_methods, reason = "this thread is not async")]
fn tick(engines: [&wasmtime::Engine; 2], scheduler: FairScheduler) -> io::Result<()> {
    let engines = engines.map(wasmtime::Engine::weak);
    let tick = move || {
        while let [Some(first), Some(second)] = engines.each_ref().map(EngineWeak::upgrade) {
            first.increment_epoch();
            second.increment_epoch();
            drop((first, second));
            let pause = if scheduler.take_has_computed() {
                BUSY_EPOCH_MS
            } else {
                EPOCH_MS
            };
            std::thread::sleep(Duration::from_millis(pause));
        }
    };
    std::thread::Builder::new()
        .name("nexum-epoch".to_owned())
        .spawn(tick)
        .map(drop)
}
