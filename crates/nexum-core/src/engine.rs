//! Wasmtime, set up for many small guests that nobody trusts.
//!
//! Invariant: epochs are on, and fuel but for modules that the operator trusts, so no guest computes for ever or holds a
//! thread. Invariant: nothing is compiled on an async thread. Invariant: one component, by digest and way of metering, is
//! compiled once, however many modules run it.

mod compiler;
pub(crate) mod fair_scheduler;
pub mod limiter;
mod maps;
mod pool;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nexum_config::engine::{Metering, Pooling};
use nexum_config::names::Digest;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, EngineWeak, InstanceAllocationStrategy};

use compiler::Compilers;
use fair_scheduler::FairScheduler;

pub use compiler::{COMPILE_MEMORY_BYTES_MAX, COMPILE_TIME_MAX, ChildProgram, Compiler, compile_in_child};
pub use maps::MapsError;
pub use pool::Demand;

/// How long a guest computes at the most before it lets others run, where nobody has computed for long: short enough for those few
/// who wait, and long enough that the ticks cost a machine which has nothing to do next to nothing.
const EPOCH_MS: u64 = 10;

/// The same while guests do: what wakes up on a thread that computes waits so long. The switch costs a thousandth of it.
const BUSY_EPOCH_MS: u64 = 2;

/// How the engine is set up.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Where compiled components are kept between runs; none keeps them in memory alone.
    pub cache_dir: Option<PathBuf>,
    /// Whether instances come from a pool.
    pub pooling: Pooling,
    /// What the modules to be loaded will need.
    pub demand: Demand,
    /// Where components are compiled.
    pub compiler: Compiler,
}

/// Compiles components and makes the stores that they run in. Cheap to clone.
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
    /// Places for instances; none where there is no pool to run out of.
    places: Option<Arc<Semaphore>>,
    /// The engine for modules whose fuel is not counted; none in that one.
    unmetered: Option<Engine>,
}

/// A module's room in the engine, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Place {
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

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The compilation cache cannot be used.
    #[error("cannot use the compilation cache in {}", path.display())]
    Cache {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: wasmtime::Error,
    },
    /// The machine does not allow as many memory maps as the modules need.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// Wasmtime cannot run here.
    #[error("cannot set up wasmtime")]
    Wasmtime(#[source] wasmtime::Error),
    /// The thread that advances the epoch cannot be started.
    #[error("cannot start the epoch thread")]
    Thread(#[source] io::Error),
}

impl EngineError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cache { .. } => {
                Some("point `state_dir` under [engine] to a directory that can be written".to_owned())
            }
            Self::Maps(error) => Some(error.hint()),
            Self::Wasmtime(_) | Self::Thread(_) => None,
        }
    }
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It is not valid WebAssembly, or uses what this engine does not offer.
    #[error("the component does not compile")]
    Invalid(#[source] wasmtime::Error),
    /// The compiling thread panicked.
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
    /// Sets wasmtime up, and starts the thread that advances the epoch; it ends when the last clone is gone.
    ///
    /// # Errors
    ///
    /// When the cache directory cannot be used, or the machine cannot hold the demand.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let cache = config.cache_dir.as_deref().map(open_cache).transpose()?;
        let mut wasmtime_config = base_config();
        wasmtime_config.cache(cache.clone());
        let (wasmtime, is_pooled) = allocate(&wasmtime_config, &config.demand, config.pooling)?;
        let places = is_pooled.then(|| Arc::new(Semaphore::new(config.demand.places())));
        let without_fuel = wasmtime::Engine::new(wasmtime_config.consume_fuel(false)).map_err(EngineError::Wasmtime)?;
        let scheduler = FairScheduler::new();
        tick([&wasmtime, &without_fuel], scheduler.clone()).map_err(EngineError::Thread)?;
        let compilers = Arc::new(Compilers::new(config.compiler.clone(), config.cache_dir.clone()));
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

    /// The engine for modules that are ended in this way. That without fuel makes instances on demand: its modules are few.
    pub(crate) fn metered_by(&self, metering: Metering) -> &Self {
        match (metering, &self.inner.unmetered) {
            (Metering::Epoch, Some(unmetered)) => unmetered,
            _ => self,
        }
    }

    /// The wasmtime engine, to make linkers and stores with.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// Whether instances come from a pool.
    pub fn is_pooled(&self) -> bool {
        self.inner.places.is_some()
    }

    /// Where guests compute that do so for long.
    pub(crate) fn scheduler(&self) -> &FairScheduler {
        &self.inner.scheduler
    }

    /// Room for so many instances of a module, if there is as much.
    pub(crate) fn place(&self, instances: u32) -> Option<Place> {
        let _permit = match &self.inner.places {
            Some(places) => Some(places.clone().try_acquire_many_owned(instances).ok()?),
            None => None,
        };
        Some(Place { _permit })
    }

    /// How many compilations the cache on disk has saved, and how many it could not.
    pub fn cache_hits_and_misses(&self) -> (usize, usize) {
        let compiled = self.inner.compilers.compiled_in_child();
        self.inner.cache.as_ref().map_or((0, 0), |cache| {
            (
                cache.cache_hits().saturating_sub(compiled),
                cache.cache_misses() + compiled,
            )
        })
    }

    /// Compiles a component, or takes it from the cache, or from a caller with this digest that still holds it.
    ///
    /// # Errors
    ///
    /// When the component is not valid, or does not compile within the bounds.
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

/// How much stack a guest may use, and how much its fiber has: wasmtime's default for the guest, with room for the host
/// functions that run on the same stack.
const WASM_STACK_BYTES: usize = 512 * 1024;
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + 512 * 1024;

fn base_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        // An image that a memory is mapped from takes a file descriptor for each component and two more maps for each
        // instance, of which a process has only so many; for guests of this size, copying the data is as fast.
        .memory_init_cow(false)
        // For debuggers and profilers of the host: wasmtime's own backtraces do without. It would be registered, entry by
        // entry, for each component at each start.
        .native_unwind_info(cfg!(windows))
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    config
}

/// Sets wasmtime up with a pool if one is wanted and fits, and says whether it has one.
fn allocate(
    config: &wasmtime::Config,
    demand: &Demand,
    pooling: Pooling,
) -> Result<(wasmtime::Engine, bool), EngineError> {
    if pooling == Pooling::Auto {
        // Without a pool the modules need more maps still.
        maps::check(demand, true, pooling)?;
        match with_pool(config, demand) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => tracing::info!(
                error = format_args!("{error:#}"),
                "the instance pool does not fit this machine: instances are made on demand"
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

fn open_cache(path: &Path) -> Result<Cache, EngineError> {
    let failed = |source| EngineError::Cache {
        path: path.to_owned(),
        source,
    };
    let mut config = CacheConfig::new();
    config.with_directory(std::path::absolute(path).map_err(|error| failed(error.into()))?);
    Cache::new(config).map_err(failed)
}

/// Advances the epoch from a thread of its own: a task could not run when it is needed most, while guests hold every
/// thread of the runtime.
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
