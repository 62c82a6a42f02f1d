//! Modules as the binary loads them, and a chain without a network.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_config::topic::{ChainId, Finality};
use nexum_core::bus::log::EventLog;
use nexum_core::bus::source::{ChainLogs, EventSource, Replay, Replayed, SourceError};
use nexum_core::capability::registry::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::{Demand, Engine, EngineConfig};
use nexum_core::event::{Advance, Event, Position};
use nexum_core::module::candidate::Candidate;
use nexum_core::module::loader::{Loader, Module};
use tokio_util::sync::CancellationToken;

use crate::{GENESIS_MS, TEST_CHAIN_ID, guests};

/// Loads modules one after another into an engine of their own, which compiles everything anew. [`TEST_CHAIN_ID`] is
/// configured for them.
///
/// # Panics
/// When one of them cannot be loaded.
pub async fn load(
    configs: Vec<ModuleConfig>,
    capabilities: Capabilities,
    seams: Seams,
    limits: Limits,
    pooling: Pooling,
) -> Vec<Module> {
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
///
/// # Panics
/// When the machine cannot have it.
pub fn engine(demand: Demand, pooling: Pooling) -> Engine {
    let config = EngineConfig {
        cache_dir: None,
        pooling,
        demand,
        ..EngineConfig::default()
    };
    Engine::new(&config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// As many modules of one guest, each under a name of its own.
///
/// # Panics
/// When the guest is not built.
pub fn copies(guest: &str, count: usize) -> Vec<ModuleConfig> {
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
pub fn block(number: u64) -> Arc<Advance> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let timestamp_ms = GENESIS_MS + number * 12_000;
    Advance::new(TEST_CHAIN_ID, Position { number, hash }, [0; 32], timestamp_ms)
}

/// The event of a block.
///
/// # Panics
/// When only the logs of the block were read.
pub fn event(block: &Advance) -> &Event {
    block.block_event().expect("a block that was read whole")
}

/// What a bench does with a chain's log until it is told to stop.
type Follow = dyn for<'a> Fn(&'a EventLog, &'a CancellationToken) -> BoxFuture<'a, ()> + Send + Sync;

/// A chain that a bench grows by hand.
pub struct HandGrown(Box<Follow>);

impl HandGrown {
    /// A source that does this with the log of the head, and then waits to be stopped.
    pub fn new(
        follow: impl for<'a> Fn(&'a EventLog, &'a CancellationToken) -> BoxFuture<'a, ()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Box::new(follow)))
    }
}

impl fmt::Debug for HandGrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandGrown")
    }
}

#[async_trait]
impl EventSource for HandGrown {
    fn chain_id(&self) -> ChainId {
        TEST_CHAIN_ID
    }

    fn reorg_depth_max(&self) -> u64 {
        128
    }

    fn describe(&self) -> String {
        "a bench".to_owned()
    }

    async fn ready(&self) -> Result<(), SourceError> {
        Ok(())
    }

    async fn follow(&self, logs: &ChainLogs, stop: &CancellationToken) -> Result<(), SourceError> {
        let log = logs.get(Finality::Latest).expect("modules that follow the head");
        (self.0)(&log, stop).await;
        stop.cancelled().await;
        Ok(())
    }

    async fn replay(&self, _: &Replay) -> Result<Replayed, SourceError> {
        Err(SourceError::new(TEST_CHAIN_ID, "a bench keeps no blocks"))
    }
}
