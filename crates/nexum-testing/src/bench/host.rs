//! Modules that are loaded as the binary loads them, and a chain without a network.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_config::topic::{ChainId, Finality};
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::{Demand, Engine, EngineConfig};
use nexum_core::module::Candidate;
use nexum_core::module::{Loader, LoaderSettings, Module};
use nexum_core::source::EventLog;
use nexum_core::source::{Advance, Event, Position};
use nexum_core::source::{ChainLogs, EventSource, Replay, Replayed, SourceError};
use tokio_util::sync::CancellationToken;

use crate::{GENESIS_MS, TEST_CHAIN_ID, guests};

/// Loads modules one after another into a new engine, which compiles them all. The engine is
/// configured for [`TEST_CHAIN_ID`].
///
/// # Panics
///
/// If a module cannot be loaded.
pub async fn load(
    configs: Vec<ModuleConfig>,
    capabilities: Capabilities,
    seams: Seams,
    limits: Limits,
    pooling: Pooling,
) -> Vec<Module> {
    let settings = LoaderSettings {
        limits,
        ..LoaderSettings::default()
    };
    let loader = Loader::new(capabilities, settings, [TEST_CHAIN_ID], seams);
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
///
/// If the machine lacks the resources for it.
pub fn engine(demand: Demand, pooling: Pooling) -> Engine {
    let config = EngineConfig {
        cache_dir: None,
        pooling,
        demand,
        ..EngineConfig::default()
    };
    Engine::new(&config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Configurations of `count` modules with one guest and different names.
///
/// # Panics
///
/// If the guest is not built.
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

/// The block with this number, in a chain without checks of the parent.
pub fn block(number: u64) -> Arc<Advance> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let timestamp_ms = GENESIS_MS + number * 12_000;
    Advance::new(TEST_CHAIN_ID, Position { number, hash }, [0; 32], timestamp_ms)
}

/// A block of each number.
pub fn blocks(numbers: &[u64]) -> Vec<Arc<Advance>> {
    numbers.iter().map(|number| block(*number)).collect()
}

/// The event of a block.
///
/// # Panics
///
/// If the block contains only logs.
pub fn event(block: &Advance) -> &Event {
    block.block_event().expect("a block that was read whole")
}

/// A bench's action on a chain's log until the token is cancelled.
type Follow = dyn for<'a> Fn(&'a EventLog, &'a CancellationToken) -> BoxFuture<'a, ()> + Send + Sync;

/// A chain that a bench extends by hand.
pub struct HandGrown(Box<Follow>);

impl HandGrown {
    /// A source that runs `follow` on the log of the head, and then waits for the stop.
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
        let log = logs.get(Finality::Latest).expect("a module that follows the head");
        (self.0)(&log, stop).await;
        stop.cancelled().await;
        Ok(())
    }

    async fn replay(&self, _: &Replay) -> Result<Replayed, SourceError> {
        Err(SourceError::new(TEST_CHAIN_ID, "a bench stores no blocks"))
    }
}
