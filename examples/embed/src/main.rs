//! A program that embeds nexum: the core, the chain capability, and a capability of its own.
//!
//! `embed RPC_URL MODULE.wasm BLOCKS` runs a module on chain 11155111 until it has handled BLOCKS
//! blocks.
#![allow(clippy::print_stderr, reason = "the example reports on stderr")]

mod prices;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::Limits;
use nexum_core::capability::registry::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::candidate::Candidate;
use nexum_core::module::loader::Loader;
use nexum_core::runner::ModuleStatus;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::Supervisor;
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};
use tokio_util::sync::CancellationToken;

use prices::Prices;

const CHAIN_ID: u64 = 11_155_111;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut args = std::env::args().skip(1);
    let (Some(rpc_url), Some(module), Some(blocks)) = (args.next(), args.next(), args.next()) else {
        bail!("usage: embed RPC_URL MODULE.wasm BLOCKS");
    };
    let blocks: u64 = blocks.parse().context("BLOCKS is a number")?;

    let chains = Chains::new([ChainConfig::new(CHAIN_ID, EndpointUrl::parse(&rpc_url)?)]);
    let seams = Seams::system();
    let capabilities = Capabilities::ambient(seams.clone())
        .with(chains.capability())
        .with(Prices::new([("ETH", 312_345), ("COW", 41)]));

    let loader = Loader::new(capabilities, Limits::default(), [CHAIN_ID], seams);
    let config = ModuleConfig::new(module);
    let candidate = loader.inspect(&config).map_err(|errors| anyhow!("{errors:?}"))?;
    let demand = Candidate::demand([&candidate]);
    let engine = Engine::new(&EngineConfig {
        demand,
        ..EngineConfig::default()
    })?;
    let module = loader.load(&engine, candidate).await?;

    let mut supervisor = chains
        .sources()
        .fold(Supervisor::new(Arc::new(MemoryStore::new())), Supervisor::source);
    let status = supervisor.module(module);
    let stop = CancellationToken::new();
    let (report, ()) = tokio::join!(supervisor.run(stop.clone()), stop_after(&status, blocks, &stop));
    eprintln!("{} handled {} blocks", status.name(), status.handled());
    if report?.failed() {
        Err(anyhow!("the module failed"))
    } else {
        Ok(())
    }
}

/// Cancels the token after the module has handled this many events.
async fn stop_after(status: &ModuleStatus, events: u64, stop: &CancellationToken) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while status.handled() < events {
        look.tick().await;
    }
    stop.cancel();
}
