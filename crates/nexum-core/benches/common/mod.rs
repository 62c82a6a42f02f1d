//! A host without a network, put together as the binary does it, and the bare wasmtime that it is held against.
#![allow(dead_code, reason = "each bench uses its part")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use nexum_core::ambient::Seams;
use nexum_core::bindings;
use nexum_core::capability::Capabilities;
use nexum_core::config::{ModuleConfig, Pooling};
use nexum_core::engine::{Demand, Engine, EngineConfig};
use nexum_core::event::{Advance, ChainId, Event, Finality, Position};
use nexum_core::limits::Limits;
use nexum_core::loader::{Candidate, Loader, Module};
use nexum_core::log::EventLog;
use nexum_core::names::Digest;
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError};
use nexum_testing::{GENESIS_MS, TEST_CHAIN_ID, guests};
use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime::component::Linker;

/// Modules loaded one after another into an engine of their own, which compiles everything anew.
pub(crate) async fn load(configs: Vec<ModuleConfig>, seams: Seams, limits: Limits, pooling: Pooling) -> Vec<Module> {
    let capabilities = Capabilities::ambient(seams.clone());
    let loader = Loader::new(capabilities, limits, [TEST_CHAIN_ID], seams);
    let inspect = |config: &ModuleConfig| loader.inspect(config).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let candidates: Vec<Candidate> = configs.iter().map(inspect).collect();
    let engine = engine(Candidate::demand(&candidates), pooling);
    let mut modules = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let module = loader.load(&engine, candidate).await;
        modules.push(module.unwrap_or_else(|error| panic!("{error:?}")));
    }
    modules
}

/// An engine without a cache.
fn engine(demand: Demand, pooling: Pooling) -> Engine {
    let config = EngineConfig {
        cache_dir: None,
        pooling,
        demand,
    };
    Engine::new(&config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// As many modules of one guest, each under a name of its own.
pub(crate) fn copies(guest: &str, count: usize) -> Vec<ModuleConfig> {
    let path = guests::component(guest);
    (0..count)
        .map(|index| {
            let mut config = ModuleConfig::new(&path);
            config.name = Some(format!("{guest}-{index}").parse().expect("a module's name"));
            config
        })
        .collect()
}

/// The block of this number, in a chain in which nobody checks the parent.
pub(crate) fn block(number: u64) -> Arc<Advance> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let timestamp_ms = GENESIS_MS + number * 12_000;
    Advance::new(TEST_CHAIN_ID, Position { number, hash }, [0; 32], timestamp_ms)
}

/// The event of a block.
pub(crate) fn event(block: &Advance) -> &Event {
    block.block_event().expect("a block that was read whole")
}

/// What a bench does with a chain's log until it is told to stop.
type Follow = dyn for<'a> Fn(&'a EventLog, &'a CancellationToken) -> BoxFuture<'a, ()> + Send + Sync;

/// A chain that a bench grows by hand.
pub(crate) struct Chain(Box<Follow>);

impl Chain {
    pub(crate) fn new(
        follow: impl for<'a> Fn(&'a EventLog, &'a CancellationToken) -> BoxFuture<'a, ()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Box::new(follow)))
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chain")
    }
}

#[async_trait]
impl EventSource for Chain {
    fn chain_id(&self) -> ChainId {
        TEST_CHAIN_ID
    }

    fn describe(&self) -> String {
        "a bench".to_owned()
    }

    async fn ready(&self) -> Result<(), SourceError> {
        Ok(())
    }

    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError> {
        let log = logs.get(Finality::Latest).expect("modules that follow the head");
        (self.0)(log, stop).await;
        stop.cancelled().await;
        Ok(())
    }

    async fn replay(&self, _: &Replay) -> Result<Replayed, SourceError> {
        Err(SourceError::new(TEST_CHAIN_ID, "a bench keeps no blocks"))
    }
}

/// A guest in wasmtime alone: what the host adds is what it takes longer than this.
pub(crate) struct Bare {
    store: Store<()>,
    exports: bindings::Module,
}

impl Bare {
    /// As many instances of a guest in an engine set up like the host's, whose `init` has run with this configuration.
    pub(crate) async fn instances(
        guest: &str,
        count: usize,
        pooling: Pooling,
        config: &[(String, String)],
        link: impl FnOnce(&mut Linker<()>) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Vec<Self>> {
        let modules = u32::try_from(count)?;
        let demand = Demand {
            modules,
            memories: modules,
            ..Demand::default()
        };
        let engine = engine(demand, pooling);
        let bytes = std::fs::read(guests::component(guest))?;
        let component = engine.compile(Digest::of(&bytes), Arc::new(bytes)).await?;
        let mut linker = Linker::new(engine.wasmtime());
        link(&mut linker)?;
        let pre = bindings::ModulePre::new(linker.instantiate_pre(&component)?)?;
        let mut instances = Vec::with_capacity(count);
        for _ in 0..count {
            let mut store = Store::new(engine.wasmtime(), ());
            begin(&mut store)?;
            let exports = pre.instantiate_async(&mut store).await?;
            exports
                .call_init(&mut store, &config.to_vec())
                .await?
                .map_err(|error| wasmtime::Error::msg(error.message))?;
            instances.push(Self { store, exports });
        }
        Ok(instances)
    }

    /// Calls the handler under the bounds that the host sets for each event.
    pub(crate) async fn on_event(&mut self, event: &Event) -> wasmtime::Result<()> {
        let deadline = Duration::from_millis(Limits::default().event_deadline_ms);
        begin(&mut self.store)?;
        tokio::time::timeout(deadline, self.exports.call_on_event(&mut self.store, event))
            .await??
            .map_err(|error| wasmtime::Error::msg(error.message))
    }
}

fn begin(store: &mut Store<()>) -> wasmtime::Result<()> {
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    store.set_fuel(Limits::default().fuel_per_event)
}
