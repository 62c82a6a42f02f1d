//! A module that starts long ago, against alloy with exactly the host's `eth_getLogs` calls,
//! sequentially.
//!
//! A sample of the host starts before its supervisor, with everything loaded and nothing connected,
//! and ends with the last event in the guest. It includes the checks of answers, which the bare
//! client does not make.

use std::time::Instant;

use alloy_provider::DynProvider;
use nexum_testing::bench::Figure;
use nexum_testing::{Node, TEST_CHAIN_ID};

use crate::blocks::{address, log};
use crate::{Result, Runtimes, bare, host, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 9;
const WARM_UP: usize = 1;
/// The blocks before the start.
const BLOCKS: u64 = 100_000;
/// One of this many blocks has a log.
const BLOCKS_PER_LOG: u64 = 10;
/// The longest backfill, as a multiple of its calls alone.
const TIMES_BARE: f64 = 1.5;

pub(crate) fn figure(runtimes: &Runtimes) -> Result<Figure> {
    let node = runtimes.node.block_on(Node::start());
    node.set_logs(|number, _| match number % BLOCKS_PER_LOG {
        0 => vec![log(0)],
        _ => Vec::new(),
    });
    node.mine_unannounced(BLOCKS);
    // A first run records the host's calls.
    through_host(runtimes, &node);
    let calls = node.calls().into_iter();
    let calls = calls
        .filter(|call| call.method == "eth_getLogs")
        .map(|call| call.params);
    let calls: Vec<String> = calls.collect();
    node.forget_calls();
    let provider = runtimes.host.block_on(bare::connect(&node.ws_url()))?;
    let (host, bare) = medians(WARM_UP, SAMPLES, || -> Result<(f64, f64)> {
        let through_host = through_host(runtimes, &node);
        let alone = runtimes.host.spawn(alone(provider.clone(), calls.clone()));
        Ok((through_host, runtimes.host.block_on(alone)??))
    })?;
    let name = format!("backfill of {BLOCKS} blocks of logs, {} calls, ws", calls.len());
    Ok(Figure::new(name, "ms", host, bare).at_most_times_baseline(TIMES_BARE))
}

/// The time for a host to start and to catch up, in milliseconds.
fn through_host(runtimes: &Runtimes, node: &Node) -> f64 {
    let runtime = &runtimes.host;
    let chains = host::chains(&node.ws_url());
    let configs = host::watchers(1, |_| host::logs_of(address(0)));
    let loaded = runtime.block_on(host::load(configs, &chains));
    loaded.stamps.expect((BLOCKS / BLOCKS_PER_LOG) as usize);
    let source = chains.source(TEST_CHAIN_ID).expect("the chain's source");
    let start = Instant::now();
    let running = loaded.start(runtime, source);
    let took = runtime.block_on(running.stamps.last()) - start;
    took.as_secs_f64() * 1e3
}

/// The time for the calls, in milliseconds.
async fn alone(provider: DynProvider, calls: Vec<String>) -> Result<f64> {
    let start = Instant::now();
    for params in &calls {
        let logs = bare::request(&provider, "eth_getLogs", params).await?;
        assert!(logs.get() != "[]", "no logs");
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
