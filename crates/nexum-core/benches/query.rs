//! Queries: the number per second and the slowest percentile, with one, a few and many callers,
//! against a bare pool of wasmtime instances behind a semaphore. Also the cost of an instance that
//! is created for one call.
//!
//! A sample is a sequence of calls of all callers. Samples of both sides alternate, so that other
//! load of the machine affects both.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::{Limit, Limits};
use nexum_config::names::Digest;
use nexum_config::query::QueryBounds;
use nexum_core::QueryPool;
use nexum_core::bindings::query::{Query, QueryPre};
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::module::Candidate;
use nexum_core::module::{Loader, LoaderSettings};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_store::LocalStore;
use nexum_testing::bench::{self, Figure, median};
use nexum_testing::guests;
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime::component::Linker;

const GUEST: &str = "query-echo";
/// The numbers of concurrent callers: one, as many as instances, and many more.
const CALLERS: [usize; 3] = [1, 8, 64];
/// The pairs of samples. With the samples that warm the caches, each number of callers takes some
/// seconds.
const SAMPLES: usize = 60;
const WARM_UP: usize = 5;
/// The calls of a sample over all callers: they take some milliseconds, and are enough for a
/// slowest percentile.
const CALLS_PER_SAMPLE: usize = 6_400;
/// The calls of a sample in which each call needs a new instance.
const FRESH_CALLS: usize = 400;

/// A query that is its own answer, and one after which the instance is discarded.
const ECHO: &[u8] = b"hello";
const FAIL: &[u8] = b"fail";

/// The longest call, as a multiple of one with the bare pool.
const TIMES_BARE: f64 = 1.2;

fn main() -> wasmtime::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(measure())?;
    bench::publish("query", &figures);
    Ok(())
}

async fn measure() -> wasmtime::Result<Vec<Figure>> {
    let (host, _running) = host().await;
    let bare = Arc::new(BarePool::new().await?);
    let mut figures = Vec::new();
    for callers in CALLERS {
        figures.extend(against_bare(callers, &host, &bare).await);
    }
    let (mut fresh, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        fresh.push(each_us(&host, FAIL).await);
        kept.push(each_us(&host, ECHO).await);
    }
    let name = "a fresh instance for each call, against a kept one";
    figures.push(Figure::new(name, "us", median(fresh), median(kept)));
    Ok(figures)
}

/// Calls per second, and the time of the slowest, for this many callers.
async fn against_bare(callers: usize, host: &Arc<QueryPool>, bare: &Arc<BarePool>) -> [Figure; 2] {
    let mut sides = [Vec::new(), Vec::new()];
    for sample in 0..WARM_UP + SAMPLES {
        let through_host = rush(callers, host, |host| async move { host.call(ECHO).await.is_ok() }).await;
        let alone = rush(callers, bare, |bare| async move { bare.call(ECHO).await.is_ok() }).await;
        if sample >= WARM_UP {
            sides[0].push(through_host);
            sides[1].push(alone);
        }
    }
    let [rates, slowest] = [|rush: &Rush| rush.per_second, |rush: &Rush| rush.slowest_us]
        .map(|part| sides.each_ref().map(|side| median(side.iter().map(part).collect())));
    let name = |what: &str| format!("{what}, {callers} callers");
    [
        Figure::new(name("calls"), "calls/s", rates[0], rates[1]).at_least_times_baseline(1.0 / TIMES_BARE),
        Figure::new(name("slowest in a hundred"), "us", slowest[0], slowest[1]).at_most_times_baseline(TIMES_BARE),
    ]
}

/// The result of a sample.
struct Rush {
    per_second: f64,
    /// The longest time of the fastest 99 %, in microseconds.
    slowest_us: f64,
}

/// Lets this many callers send queries concurrently, each one by one.
async fn rush<P, F>(callers: usize, pool: &Arc<P>, call: impl Fn(Arc<P>) -> F + Copy + Send + 'static) -> Rush
where
    P: Send + Sync + 'static,
    F: Future<Output = bool> + Send,
{
    let each = CALLS_PER_SAMPLE / callers;
    let caller = |pool: Arc<P>| async move {
        let mut took = Vec::with_capacity(each);
        for _ in 0..each {
            let start = Instant::now();
            assert!(call(pool.clone()).await, "a call failed");
            took.push(start.elapsed().as_secs_f64() * 1e6);
        }
        took
    };
    let start = Instant::now();
    let tasks: JoinSet<_> = (0..callers).map(|_| caller(pool.clone())).collect();
    let mut took = tasks.join_all().await.concat();
    let elapsed = start.elapsed();
    took.sort_by(f64::total_cmp);
    Rush {
        per_second: took.len() as f64 / elapsed.as_secs_f64(),
        slowest_us: took[took.len() * 99 / 100],
    }
}

/// Microseconds per call, one by one.
async fn each_us(pool: &QueryPool, question: &[u8]) -> f64 {
    let start = Instant::now();
    for _ in 0..FRESH_CALLS {
        let answer = pool.call(question).await;
        assert_eq!(answer.is_ok(), question == ECHO);
    }
    start.elapsed().as_secs_f64() * 1e6 / FRESH_CALLS as f64
}

/// The fixture, as the binary serves it, while the tasks exist.
async fn host() -> (Arc<QueryPool>, JoinSet<()>) {
    let seams = Seams::system();
    let capabilities = Capabilities::ambient(seams.clone()).with(LocalStore);
    let loader = Loader::new(capabilities, LoaderSettings::default(), [], seams);
    let config = ModuleConfig::new(guests::component(GUEST));
    let candidate = loader.inspect(&config).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let name = candidate.meta.name.clone();
    let engine = bench::engine(Candidate::demand([&candidate]), Pooling::Auto);
    let module = loader.load_query(&engine, candidate).await.expect("a module");
    let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
    supervisor.query(module);
    let steering = supervisor.handle();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let _ = supervisor.run(CancellationToken::new()).await;
    });
    loop {
        if let Ok(pool) = steering.query(&name) {
            return (pool, running);
        }
        tokio::task::yield_now().await;
    }
}

/// A list of wasmtime instances, and as many permits.
struct BarePool {
    pre: QueryPre<()>,
    places: Semaphore,
    idle: Mutex<Vec<(Store<()>, Query)>>,
}

impl BarePool {
    /// Creates the pool in an engine with the host's settings.
    async fn new() -> wasmtime::Result<Self> {
        let instances = QueryBounds::default().pool_size_max;
        let demand = nexum_core::engine::Demand {
            instances,
            memories: instances,
            ..Default::default()
        };
        let engine = bench::engine(demand, Pooling::Auto);
        let bytes = std::fs::read(guests::component(GUEST))?;
        let (component, _) = engine.compile(Digest::of(&bytes), Arc::new(bytes)).await?;
        let mut linker = Linker::new(engine.wasmtime());
        linker.define_unknown_imports_as_traps(&component)?;
        Ok(Self {
            pre: QueryPre::new(linker.instantiate_pre(&component)?)?,
            places: Semaphore::new(usize::try_from(instances)?),
            idle: Mutex::default(),
        })
    }

    /// Calls an instance under the host's bounds for each call.
    async fn call(&self, question: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let _place = self.places.acquire().await?;
        let idle = self.idle.lock().pop();
        let (mut store, exports) = match idle {
            Some(instance) => instance,
            None => self.instance().await?,
        };
        begin(&mut store)?;
        let deadline = Duration::from_millis(Limits::default()[Limit::Deadline]);
        let answer = tokio::time::timeout(deadline, exports.call_evaluate(&mut store, question)).await??;
        let answer = answer.map_err(|error| wasmtime::Error::msg(error.message))?;
        self.idle.lock().push((store, exports));
        Ok(answer)
    }

    async fn instance(&self) -> wasmtime::Result<(Store<()>, Query)> {
        let mut store = Store::new(self.pre.engine(), ());
        begin(&mut store)?;
        let exports = self.pre.instantiate_async(&mut store).await?;
        let started = exports.call_init(&mut store, &Vec::new()).await?;
        started.map_err(|error| wasmtime::Error::msg(error.message))?;
        Ok((store, exports))
    }
}

fn begin(store: &mut Store<()>) -> wasmtime::Result<()> {
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    store.set_fuel(Limits::default()[Limit::Fuel])
}
