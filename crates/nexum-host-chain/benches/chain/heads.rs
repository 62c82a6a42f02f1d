//! From a new block to the modules' handlers.
//!
//! On both sides, the time starts with the request to mine. The host's ends when the guest reads
//! the clock. The bare client's ends when a subscriber of alloy has the header, or the logs that it
//! then requests. So the difference is the host's time from the head to `on-event`. Each side has
//! its own node, so that neither waits for the other's messages.

use std::time::{Duration, Instant};

use alloy_primitives::Address;
use nexum_testing::bench::Figure;
use nexum_testing::{Anvil, LogSpec, Node};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::blocks::{address, log};
use crate::{Result, Runtimes, bare, host, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 400;
const WARM_UP: usize = 50;
/// The pairs of samples with anvil, which is slower.
const ANVIL_SAMPLES: usize = 100;
const ANVIL_WARM_UP: usize = 10;
/// The pause before a sample: blocks are rare, and find the machine idle.
const REST: Duration = Duration::from_millis(3);
/// The modules that get the logs of anvil's blocks.
const MODULES: usize = 50;

/// The most time of the host from the head to `on-event`, in microseconds.
const HEAD_US_OVER: f64 = 50.0;
/// The most time from the request to mine to the last module's event, in milliseconds.
const MINED_MS_MAX: f64 = 5.0;

pub(crate) fn figures(runtimes: &Runtimes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, with_logs) in [
        ("mined to a block event, ws", false),
        ("mined to a logs event, ws", true),
    ] {
        let (host, bare) = scripted(runtimes, with_logs)?;
        figures.push(Figure::new(name, "us", host, bare).at_most_over_baseline(HEAD_US_OVER));
    }
    let (host, bare) = anvil(runtimes)?;
    let name = format!("mine request to the last of {MODULES} logs events, anvil, ws");
    figures.push(Figure::new(name, "ms", host, bare).at_most(MINED_MS_MAX));
    Ok(figures)
}

/// Microseconds until the only module has the event, and until a bare subscriber has the header or
/// the logs.
fn scripted(runtimes: &Runtimes, with_logs: bool) -> Result<(f64, f64)> {
    let start = || {
        let node = runtimes.node.block_on(Node::start());
        node.set_logs(move |_, _| if with_logs { vec![log(0)] } else { Vec::new() });
        node.mine(1);
        node
    };
    let (node, node_of_bare) = (start(), start());
    let runtime = &runtimes.host;
    let running = host::follow(runtime, &node.ws_url(), 1, |_| match with_logs {
        true => host::logs_of(address(0)),
        false => host::every_block(),
    });
    let logs_of = with_logs.then_some(address(0));
    let mut subscriber = Subscriber::start(runtime, &node_of_bare.ws_url(), logs_of)?;
    let us = |took: Duration| took.as_secs_f64() * 1e6;
    medians(WARM_UP, SAMPLES, || {
        runtime.block_on(async {
            tokio::time::sleep(REST).await;
            running.stamps.expect(1);
            let start = Instant::now();
            node.mine(1);
            let through_host = running.stamps.last().await - start;
            tokio::time::sleep(REST).await;
            let start = Instant::now();
            node_of_bare.mine(1);
            let alone = subscriber.next().await - start;
            Ok((us(through_host), us(alone)))
        })
    })
}

/// Milliseconds until the last module has the logs event, and until a bare subscriber has the logs.
fn anvil(runtimes: &Runtimes) -> Result<(f64, f64)> {
    let runtime = &runtimes.host;
    let (node, node_of_bare) = (runtime.block_on(Emitting::start()), runtime.block_on(Emitting::start()));
    let running = host::follow(runtime, &node.anvil.ws_url(), MODULES, |_| host::logs_of(node.emitter));
    let url = node_of_bare.anvil.ws_url();
    let mut subscriber = Subscriber::start(runtime, &url, Some(node_of_bare.emitter))?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    medians(ANVIL_WARM_UP, ANVIL_SAMPLES, || {
        runtime.block_on(async {
            node.send().await;
            tokio::time::sleep(REST).await;
            running.stamps.expect(MODULES);
            let start = node.mine().await;
            let through_host = running.stamps.last().await - start;
            node_of_bare.send().await;
            tokio::time::sleep(REST).await;
            let start = node_of_bare.mine().await;
            let alone = subscriber.next().await - start;
            Ok((ms(through_host), ms(alone)))
        })
    })
}

/// Records the time when alloy has a header, or the logs of its block.
struct Subscriber {
    times: mpsc::Receiver<Instant>,
    _task: JoinSet<()>,
}

impl Subscriber {
    fn start(runtime: &Runtime, url: &str, logs_of: Option<Address>) -> Result<Self> {
        let provider = runtime.block_on(bare::connect(url))?;
        let mut heads = runtime.block_on(bare::heads(&provider))?;
        let (sender, times) = mpsc::channel(1);
        let mut task = JoinSet::new();
        let subscribe = async move {
            while let Ok(head) = heads.recv().await {
                if let Some(address) = logs_of {
                    let logs = bare::logs_in(&provider, &head, address).await;
                    assert!(logs.is_ok_and(|logs| logs.get() != "[]"), "no logs");
                }
                if sender.send(Instant::now()).await.is_err() {
                    return;
                }
            }
        };
        task.spawn_on(subscribe, runtime.handle());
        Ok(Self { times, _task: task })
    }

    async fn next(&mut self) -> Instant {
        self.times.recv().await.expect("a header")
    }
}

/// An anvil that mines on request, with a contract that logs.
struct Emitting {
    anvil: Anvil,
    emitter: Address,
    /// The `eth_sendTransaction` parameter that makes the contract log.
    transaction: Value,
}

impl Emitting {
    async fn start() -> Self {
        let anvil = Anvil::start();
        let emitter = anvil.deploy_emitter().await;
        let log = LogSpec {
            address: emitter,
            ..LogSpec::default()
        };
        let hash = anvil.emit(&[log]).await;
        let sent = anvil.request("eth_getTransactionByHash", json!([hash])).await;
        anvil.request("evm_setAutomine", json!([false])).await;
        Self {
            transaction: json!([{ "from": sent["from"], "to": emitter, "data": sent["input"], "gas": sent["gas"] }]),
            emitter,
            anvil,
        }
    }

    /// Adds a log to the next block.
    async fn send(&self) {
        self.anvil
            .request("eth_sendTransaction", self.transaction.clone())
            .await;
    }

    /// Mines a block. Returns the time of the request.
    async fn mine(&self) -> Instant {
        let start = Instant::now();
        self.anvil.request("evm_mine", json!([])).await;
        start
    }
}
