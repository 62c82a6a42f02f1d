//! A program that embeds nexum: the core, the chain capability, and a capability of its own.
//!
//! `embed RPC_URL MODULE.wasm BLOCKS` runs a module on chain 11155111 until it has handled BLOCKS
//! blocks.
#![allow(clippy::print_stderr, reason = "the example reports on stderr")]

mod prices;

use anyhow::{Context, bail, ensure};
use nexum_core::{Host, ModuleConfig, ModuleStatus};
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl};

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

    let host = Host::builder()
        .with(Chains::new([ChainConfig::new(CHAIN_ID, EndpointUrl::parse(&rpc_url)?)]))
        .with(Prices::new([("ETH", 312_345), ("COW", 41)]))
        .module(ModuleConfig::new(module))
        .build()
        .await?;
    let handle = host.handle();
    let status = handle.modules().pop().context("the module answers queries only")?;
    let report = host.run(handled(&status, blocks)).await?;
    eprintln!("{} handled {} blocks", status.name(), status.handled());
    ensure!(!report.failed(), "the module failed");
    Ok(())
}

/// Waits until the module has handled so many events.
async fn handled(status: &ModuleStatus, events: u64) {
    loop {
        let changed = status.changed();
        if status.handled() >= events {
            return;
        }
        changed.await;
    }
}
