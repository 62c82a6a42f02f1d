//! A burst of blocks for several modules, against alloy with the same headers and logs. The time
//! starts with the request to mine.

use std::time::{Duration, Instant};

use alloy_primitives::U64;
use alloy_provider::DynProvider;
use alloy_pubsub::RawSubscription;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nexum_testing::Node;
use nexum_testing::bench::Figure;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::blocks::{address, log};
use crate::{Result, Runtimes, bare, host, medians};

/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 15;
const WARM_UP: usize = 2;
/// The blocks of the burst.
const BLOCKS: u64 = 1_000;
/// The modules that get all events.
const MODULES: usize = 10;
/// The concurrent requests of the bare client: as many as the host's.
const HEADERS_AT_ONCE: usize = 32;
const LOGS_AT_ONCE: usize = 8;
/// The longest time as a multiple of the bare client's: within it, the node limits the speed.
const TIMES_BARE: f64 = 1.1;

/// The content of a burst.
#[derive(Clone, Copy)]
struct Burst {
    name: &'static str,
    /// Whether the node announces each block, or only the last.
    announced: bool,
    /// Whether each block has a log. The modules then subscribe to logs instead of blocks.
    with_logs: bool,
}

const BURSTS: [Burst; 3] = [
    Burst {
        name: "announced",
        announced: true,
        with_logs: false,
    },
    Burst {
        name: "announced, with logs",
        announced: true,
        with_logs: true,
    },
    Burst {
        name: "missed, with logs",
        announced: false,
        with_logs: true,
    },
];

pub(crate) fn figures(runtimes: &Runtimes) -> Result<Vec<Figure>> {
    let figure = |burst: Burst| {
        let (host, bare) = ms(runtimes, burst)?;
        let name = format!("burst of {BLOCKS} blocks to {MODULES} modules, {}, ws", burst.name);
        Ok(Figure::new(name, "ms", host, bare).at_most_times_baseline(TIMES_BARE))
    };
    BURSTS.into_iter().map(figure).collect()
}

fn ms(runtimes: &Runtimes, burst: Burst) -> Result<(f64, f64)> {
    let start = || {
        let node = runtimes.node.block_on(Node::start());
        node.forget_calls();
        node.set_logs(move |_, _| if burst.with_logs { vec![log(0)] } else { Vec::new() });
        node.mine(1);
        node
    };
    let (node, node_of_bare) = (start(), start());
    let runtime = &runtimes.host;
    let running = host::follow(runtime, &node.ws_url(), MODULES, |_| match burst.with_logs {
        true => host::logs_of(address(0)),
        false => host::every_block(),
    });
    let provider = runtime.block_on(bare::connect(&node_of_bare.ws_url()))?;
    let heads = runtime.block_on(bare::heads(&provider))?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    medians(WARM_UP, SAMPLES, || {
        running.stamps.expect(MODULES * BLOCKS as usize);
        let start = mine(&node, burst);
        let through_host = runtime.block_on(running.stamps.last()) - start;

        // A task that already waits, like the host.
        let reading = runtime.spawn(read(provider.clone(), heads.resubscribe(), burst));
        let start = mine(&node_of_bare, burst);
        let alone = runtime.block_on(reading)?? - start;
        Ok((ms(through_host), ms(alone)))
    })
}

/// Mines a burst. Returns the start time.
fn mine(node: &Node, burst: Burst) -> Instant {
    let start = Instant::now();
    if burst.announced {
        node.mine(BLOCKS);
    } else {
        node.mine_unannounced(BLOCKS - 1);
        node.mine(1);
    }
    start
}

/// Reads a burst. Returns the time at which it was complete.
async fn read(provider: DynProvider, mut heads: RawSubscription, burst: Burst) -> Result<Instant> {
    let headers = if burst.announced {
        announced(heads)
    } else {
        by_number(provider.clone(), &heads.recv().await?)?
    };
    let read = if burst.with_logs {
        with_logs(provider, headers).try_fold(0, count).await?
    } else {
        headers.try_fold(0, count).await?
    };
    assert_eq!(read, BLOCKS);
    Ok(Instant::now())
}

/// The answers of a node, in order.
type Answers = BoxStream<'static, Result<Box<RawValue>>>;

/// The headers of a burst, as the node announces them.
fn announced(heads: RawSubscription) -> Answers {
    let headers = stream::unfold(heads, |mut heads| async {
        let head = heads.recv().await.map_err(Into::into);
        Some((head, heads))
    });
    headers.take(BLOCKS as usize).boxed()
}

/// The headers of a burst with this newest header.
fn by_number(provider: DynProvider, newest: &RawValue) -> Result<Answers> {
    #[derive(Deserialize)]
    struct Header {
        number: U64,
    }
    let Header { number } = serde_json::from_str(newest.get())?;
    let newest = number.to::<u64>();
    let numbers = stream::iter(newest + 1 - BLOCKS..=newest);
    let headers = numbers.map(move |number| header(provider.clone(), number));
    Ok(headers.buffered(HEADERS_AT_ONCE).boxed())
}

/// The logs of the blocks of these headers.
fn with_logs(provider: DynProvider, headers: Answers) -> Answers {
    let logs = headers.map(move |header| logs_in(provider.clone(), header));
    logs.buffered(LOGS_AT_ONCE).boxed()
}

async fn header(provider: DynProvider, number: u64) -> Result<Box<RawValue>> {
    let params = format!(r#"["{number:#x}",false]"#);
    bare::request(&provider, "eth_getBlockByNumber", &params).await
}

async fn logs_in(provider: DynProvider, header: Result<Box<RawValue>>) -> Result<Box<RawValue>> {
    bare::logs_in(&provider, &header?, address(0)).await
}

async fn count(read: u64, answer: Box<RawValue>) -> Result<u64> {
    assert!(!matches!(answer.get(), "null" | "[]"), "the node does not have it");
    Ok(read + 1)
}
