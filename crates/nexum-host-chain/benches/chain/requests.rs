//! `chain.request` from modules, against alloy's `raw_request_dyn`, on one anvil. Each request
//! reads the balance of another address, so that no two requests in flight are equal and shared.
//!
//! A sample of the host is one event per module, in which the module sends its requests
//! sequentially. It ends when the last module is done.

use std::sync::Arc;
use std::time::Instant;

use alloy_provider::DynProvider;
use nexum_testing::Anvil;
use nexum_testing::bench::{self, Figure, HandGrown};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::host::{self, Running};
use crate::{Result, Runtimes, bare, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 150;
const WARM_UP: usize = 20;
/// The requests of all modules in a sample: they take some tens of milliseconds.
const REQUESTS_PER_SAMPLE: u64 = 320;
/// The modules that send requests concurrently.
const AT_ONCE: usize = 32;
/// The addresses of one module. The addresses of the next module follow.
const ADDRESSES: u64 = 1_000_000;
/// The most time of a request through the host, as a multiple of a bare request.
const TIMES_BARE: f64 = 1.05;

pub(crate) fn figures(runtimes: &Runtimes) -> Result<Vec<Figure>> {
    let anvil = Anvil::start();
    let mut figures = Vec::new();
    for (transport, url) in [("ws", anvil.ws_url()), ("http", anvil.http_url())] {
        let (host, bare) = us_per_request(runtimes, &url, 1)?;
        let name = format!("chain.request, one by one, {transport}");
        figures.push(Figure::new(name, "us", host, bare).at_most_times_baseline(TIMES_BARE));
        let (host, bare) = us_per_request(runtimes, &url, AT_ONCE)?;
        let name = format!("chain.request, {AT_ONCE} at once, {transport}");
        figures.push(Figure::new(name, "1/s", 1e6 / host, 1e6 / bare).at_least_baseline());
    }
    Ok(figures)
}

/// Microseconds per request, with this many concurrent modules: through the host, and bare.
fn us_per_request(runtimes: &Runtimes, url: &str, modules: usize) -> Result<(f64, f64)> {
    let runtime = &runtimes.host;
    let host = Asking::start(runtimes, url, modules);
    let provider = runtime.block_on(bare::connect(url))?;
    let each = REQUESTS_PER_SAMPLE / modules as u64;
    medians(WARM_UP, SAMPLES, || {
        let through_host = runtime.block_on(host.sample(each));
        let alone = runtime.block_on(ask(&provider, modules, each))?;
        Ok((through_host, alone))
    })
}

/// Modules that send requests whenever a block is appended.
struct Asking {
    running: Running,
    blocks: mpsc::Sender<u64>,
    modules: usize,
}

impl Asking {
    fn start(runtimes: &Runtimes, url: &str, modules: usize) -> Self {
        let chains = host::chains(url);
        let mut configs = bench::copies("requests", modules);
        for (config, first) in configs.iter_mut().zip((0..).step_by(ADDRESSES as usize)) {
            config.config = vec![("first".to_owned(), u64::to_string(&first))];
        }
        let (blocks, queue) = mpsc::channel(1);
        let queue = Arc::new(Mutex::new(queue));
        let chain = HandGrown::new(move |log, _| {
            let queue = queue.clone();
            Box::pin(async move {
                while let Some(number) = queue.lock().await.recv().await {
                    log.append(bench::block(number));
                }
            })
        });
        let loaded = runtimes.host.block_on(host::load(configs, &chains));
        let running = loaded.start(&runtimes.host, chain);
        runtimes.host.block_on(running.handled(0));
        Self {
            running,
            blocks,
            modules,
        }
    }

    async fn sample(&self, each: u64) -> f64 {
        self.running.stamps.expect(self.modules);
        let start = Instant::now();
        self.blocks.send(each).await.expect("a chain that goes on");
        let took = self.running.stamps.last().await - start;
        took.as_secs_f64() * 1e6 / (each * self.modules as u64) as f64
    }
}

/// The requests of a sample, sent by as many tasks.
async fn ask(provider: &DynProvider, tasks: usize, each: u64) -> Result<f64> {
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for first in (0..).step_by(ADDRESSES as usize).take(tasks) {
        let provider = provider.clone();
        asking.spawn(async move {
            for index in 0..each {
                let params = format!(r#"["0x{:040x}","latest"]"#, first + index);
                let answer = bare::request(&provider, "eth_getBalance", &params).await;
                assert!(answer.is_ok_and(|answer| !answer.get().is_empty()), "no balance");
            }
            Instant::now()
        });
    }
    let last = asking.join_all().await.into_iter().max().ok_or("no task")?;
    Ok((last - start).as_secs_f64() * 1e6 / (each * tasks as u64) as f64)
}
