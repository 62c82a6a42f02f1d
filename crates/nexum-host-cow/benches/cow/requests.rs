//! `cow-api.request` through a module.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nexum_config::engine::Pooling;
use nexum_config::limits::Limits;
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_cow::Cow;
use nexum_testing::OrderBook;
use nexum_testing::bench::{self, Figure, HandGrown};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stamps::Stamps;
use crate::{Runtimes, config, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 150;
const WARM_UP: usize = 20;
/// Requests in a sample: they take some tens of milliseconds.
const REQUESTS_PER_SAMPLE: u32 = 320;
/// The path with the smallest response: there, the host's part of the time is the largest.
const PATH: &str = "/api/v1/version";
/// The most time of a request through the host, as a multiple of a bare request.
const TIMES_BARE: f64 = 1.1;
/// The longest wait for a sample: a bench that hangs fails.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) fn figure(runtimes: &Runtimes) -> Figure {
    let book = runtimes.order_book();
    let runtime = &runtimes.host;
    let module = runtime.block_on(Asking::start(&book));
    let client = nexum_net::http_client().build().expect("a client");
    let url = format!("{}{PATH}", book.url());
    let (host, bare) = medians(WARM_UP, SAMPLES, || {
        (runtime.block_on(module.sample()), runtime.block_on(ask(&client, &url)))
    });
    Figure::new("cow-api.request, one by one", "us", host, bare).at_most_times_baseline(TIMES_BARE)
}

/// A module that sends requests whenever a block is appended.
struct Asking {
    stamps: Arc<Stamps>,
    blocks: mpsc::Sender<()>,
    _task: JoinSet<()>,
}

impl Asking {
    async fn start(book: &OrderBook) -> Self {
        let stamps = Arc::<Stamps>::default();
        let seams = Seams {
            clock: stamps.clone(),
            ..Seams::system()
        };
        let mut configs = bench::copies("cow-submitter", 1);
        for module in &mut configs {
            let pairs = [
                ("request", format!("GET {PATH}")),
                ("count", REQUESTS_PER_SAMPLE.to_string()),
                ("log", "none".to_owned()),
            ];
            module.config = pairs.map(|(key, value)| (key.to_owned(), value)).to_vec();
        }
        let capabilities = Capabilities::ambient(seams.clone()).with(Cow::new(&config(book)));
        let modules = bench::load(configs, capabilities, seams, Limits::default(), Pooling::Auto).await;

        let (blocks, queue) = mpsc::channel(1);
        let queue = Arc::new(Mutex::new(queue));
        let chain = HandGrown::new(move |log, _| {
            let queue = queue.clone();
            Box::pin(async move {
                let mut number = 0;
                while queue.lock().await.recv().await.is_some() {
                    number += 1;
                    log.append(bench::block(number));
                }
            })
        });
        let mut supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new()))).source(chain);
        for module in modules {
            supervisor.module(module);
        }
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = supervisor.run(CancellationToken::new()).await;
            panic!("the host ended by itself");
        });
        Self {
            stamps,
            blocks,
            _task: task,
        }
    }

    /// Microseconds for each request.
    async fn sample(&self) -> f64 {
        let began = Instant::now();
        self.blocks.send(()).await.expect("a chain that goes on");
        let done = tokio::time::timeout(WAIT_MAX, self.stamps.next()).await;
        us_each(done.expect("a module that asks") - began)
    }
}

/// The requests of a sample, sent by a task.
async fn ask(client: &reqwest::Client, url: &str) -> f64 {
    let (client, url) = (client.clone(), url.to_owned());
    let mut asking = JoinSet::new();
    let began = Instant::now();
    asking.spawn(async move {
        for _ in 0..REQUESTS_PER_SAMPLE {
            let response = client.get(&url).send().await.expect("an answer");
            assert!(response.status().is_success());
            assert!(!response.text().await.expect("a body").is_empty());
        }
        Instant::now()
    });
    let done = asking.join_next().await.and_then(Result::ok);
    us_each(done.expect("a task that asks") - began)
}

fn us_each(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / f64::from(REQUESTS_PER_SAMPLE)
}
