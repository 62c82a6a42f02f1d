//! After any sequence of faults of a chain and its endpoint, the modules' state matches the
//! canonical chain.

use std::sync::{Arc, LazyLock};

use alloy_primitives::{Address, B256, Bytes};
use nexum_core::store::MemoryStore;
use nexum_host_chain::{ChainConfig, Chains};
use nexum_testing::{Answer, Block, LogSpec, Node};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::journals::{Journals, Running};
use crate::support::config;

/// The default number of schedules: they take some minutes.
const SCHEDULES: u32 = 500;

/// The environment variable that overrides the number.
const SCHEDULES_VARIABLE: &str = "NEXUM_SCHEDULES";

/// The concurrent schedules: they mostly wait for retries at an endpoint that is down.
const THREADS: u32 = 10;

/// How long the test looks for a simpler schedule that fails, in milliseconds. Each failure takes as
/// long as the wait for a journal.
const SHRINK_MS_MAX: u32 = 180_000;

/// The most steps of a schedule. Every known fault needs only a few.
const STEPS_MAX: usize = 12;

/// The address whose logs half of the journals subscribe to, and another one.
const WANTED: Address = Address::repeat_byte(0xaa);
const OTHER: Address = Address::repeat_byte(0xbb);

/// A step of a schedule.
#[derive(Clone, Debug)]
enum Step {
    Mine(u64),
    MineUnannounced(u64),
    /// The next block comes after so many numbers without one.
    Skip(u64),
    Reorg {
        depth: u64,
        new_blocks: u64,
    },
    ReorgUnannounced {
        depth: u64,
        new_blocks: u64,
    },
    /// The connections break, and the chain grows by this many blocks before a reconnect.
    Drop {
        blocks: u64,
    },
    /// The node is down. Meanwhile the chain has a reorg, then grows by this many blocks.
    Outage {
        depth: u64,
        blocks: u64,
    },
    /// The next call of this method fails.
    Fault(&'static str, Answer),
    /// The endpoint returns an older head for a while.
    Lag(u64),
    /// The host stops after it has handled everything, and restarts after this many blocks.
    Restart {
        blocks: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let method = prop_oneof![
        Just("eth_getBlockByNumber"),
        Just("eth_getLogs"),
        Just("eth_subscribe"),
        Just("eth_chainId"),
    ];
    let answer = prop_oneof![
        Just(Answer::Drop),
        Just(Answer::Truncated),
        Just(Answer::status(503)),
        Just(Answer::error(-32_000, "header not found")),
        Just(Answer::error(-32_000, "unknown block")),
        Just(Answer::Json("null".to_owned())),
        Just(Answer::Json("{}".to_owned())),
    ];
    prop_oneof![
        4 => (1..6u64).prop_map(Step::Mine),
        2 => (1..4u64).prop_map(Step::MineUnannounced),
        2 => (1..4u64).prop_map(Step::Skip),
        3 => (1..6u64, 0..8u64).prop_map(|(depth, new_blocks)| Step::Reorg { depth, new_blocks }),
        1 => (1..6u64, 1..8u64).prop_map(|(depth, new_blocks)| Step::ReorgUnannounced { depth, new_blocks }),
        2 => (0..4u64).prop_map(|blocks| Step::Drop { blocks }),
        1 => (0..4u64, 1..6u64).prop_map(|(depth, blocks)| Step::Outage { depth, blocks }),
        4 => (method, answer).prop_map(|(method, answer)| Step::Fault(method, answer)),
        1 => (1..5u64).prop_map(Step::Lag),
        1 => (1..6u64).prop_map(|blocks| Step::Restart { blocks }),
    ]
}

/// Journals of every kind of subscription, from the first block, so that their expected content is
/// known.
static JOURNALS: LazyLock<Journals> = LazyLock::new(|| {
    const WANTED: &str = "address = \"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
    let logs = format!("kind = \"log\"\nfrom_block = 1\n{WANTED}");
    let blocks = "kind = \"block\"\nfrom_block = 1";
    Journals::new(&[
        ("blocks", &[blocks]),
        ("logs", &[&logs]),
        ("both", &[blocks, &logs]),
        (
            "settled",
            &[
                &format!("{blocks}\nconfirmations = 4"),
                &format!("{logs}\nconfirmations = 4"),
            ],
        ),
        ("everything", &["kind = \"log\"\nfrom_block = 1", blocks]),
    ])
});

/// Two of three blocks have logs, of one address or both.
fn logs_of(number: u64, fork: u64) -> Vec<LogSpec> {
    let log = |address| LogSpec {
        address,
        topics: vec![B256::repeat_byte(0x11)],
        data: Bytes::new(),
    };
    match (number + fork) % 3 {
        0 => Vec::new(),
        1 => vec![log(WANTED), log(OTHER)],
        _ => vec![log(OTHER), log(WANTED), log(WANTED)],
    }
}

/// The expected content of a journal after these blocks.
fn expected<'a>(
    blocks: impl Iterator<Item = &'a Block>,
    with_blocks: bool,
    wants: fn(&Address) -> bool,
) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entries = |block: &Block| {
        let logs = block.logs().iter().filter(|log| wants(&log.address));
        let logs: String = logs
            .map(|log| {
                format!(
                    " {}/{}/{}",
                    block.number,
                    log.index,
                    hex(log.transaction_hash.as_slice())
                )
            })
            .collect();
        let logs = (!logs.is_empty()).then(|| format!("logs{logs}"));
        let block = with_blocks.then(|| format!("block {} {}", block.number, hex(&block.hash)));
        logs.into_iter().chain(block)
    };
    blocks.filter(|block| block.number > 0).flat_map(entries).collect()
}

/// Waits until every journal matches the canonical chain.
async fn check(node: &Node, running: &Running) -> Result<(), String> {
    let chain = node.chain();
    let all = chain.canonical();
    let settled = || all[..all.len() - 4].iter();
    let wanted: fn(&Address) -> bool = |address| *address == WANTED;
    running
        .becomes("blocks", &expected(all.iter(), true, |_| false))
        .await?;
    running.becomes("logs", &expected(all.iter(), false, wanted)).await?;
    running.becomes("both", &expected(all.iter(), true, wanted)).await?;
    running.becomes("settled", &expected(settled(), true, wanted)).await?;
    running
        .becomes("everything", &expected(all.iter(), true, |_| true))
        .await
}

/// How far a chain has ever been.
#[derive(Default)]
struct Peak {
    number: u64,
    /// Confirmations count blocks: a fork that skips numbers has fewer below an equal number.
    blocks: usize,
}

impl Peak {
    fn raise(&mut self, node: &Node) {
        let chain = node.chain();
        self.number = self.number.max(chain.head().number);
        self.blocks = self.blocks.max(chain.canonical().len());
    }
}

/// Ends all faults, extends the chain beyond its peak, and checks all journals.
async fn settle(node: &Node, running: &Running, peak: &Peak) -> Result<(), String> {
    node.set_lag(0);
    let numbers = peak.number - node.chain().head().number.min(peak.number);
    let blocks = peak.blocks - node.chain().canonical().len().min(peak.blocks);
    node.mine(numbers.max(blocks as u64) + 1);
    check(node, running).await
}

async fn run(url: fn(&Node) -> String, refuses_null_rounds: bool, steps: Vec<Step>) -> Result<(), String> {
    let mut node = Node::start().await;
    node.refuse_null_rounds(refuses_null_rounds);
    node.set_logs(logs_of);
    // The first number that the journals want has no block.
    node.skip(2);
    node.mine(8);
    let chains = |node: &Node| {
        let mut config: ChainConfig = config(&url(node));
        config.request_timeout_ms = 2_000;
        Chains::new([config])
    };
    let store = Arc::new(MemoryStore::new());
    let mut running = JOURNALS.start(&chains(&node), &store).await;
    let mut peak = Peak::default();
    for step in steps {
        peak.raise(&node);
        let depth_max = node.chain().canonical().len() as u64 - 2;
        match step {
            Step::Mine(blocks) => drop(node.mine(blocks)),
            Step::MineUnannounced(blocks) => drop(node.mine_unannounced(blocks)),
            Step::Skip(numbers) => node.skip(numbers),
            Step::Reorg { depth, new_blocks } => drop(node.reorg(depth.min(depth_max), new_blocks)),
            Step::ReorgUnannounced { depth, new_blocks } => {
                drop(node.reorg_unannounced(depth.min(depth_max), new_blocks));
            }
            Step::Drop { blocks } => {
                node.drop_connections();
                node.mine(blocks);
            }
            Step::Outage { depth, blocks } => {
                node.stop().await;
                node.reorg_unannounced(depth.min(depth_max), blocks);
                node.restart().await;
            }
            Step::Fault(method, answer) => node.once(method, answer),
            Step::Lag(blocks) => node.set_lag(blocks),
            Step::Restart { blocks } => {
                settle(&node, &running, &peak).await?;
                running.stop().await;
                node.mine(blocks);
                running = JOURNALS.start(&chains(&node), &store).await;
                // A store without the canonical hashes cannot detect a reorg during its downtime.
                check(&node, &running).await?;
            }
        }
        tokio::task::yield_now().await;
    }
    peak.raise(&node);
    let settled = settle(&node, &running, &peak).await;
    running.stop().await;
    settled
}

/// Runs this many schedules sequentially. They differ between calls.
#[expect(
    clippy::print_stderr,
    reason = "the search for a simpler schedule can exceed the test's time"
)]
fn try_schedules(cases: u32) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_time: SHRINK_MS_MAX,
        ..Config::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let steps = (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(step(), 1..STEPS_MAX),
    );
    let checked = runner.run(&steps, |(ws, refuses_null_rounds, steps)| {
        let url = if ws { Node::ws_url } else { Node::http_url };
        let settled = runtime.block_on(run(url, refuses_null_rounds, steps.clone()));
        settled.map_err(|error| {
            eprintln!("ws: {ws}, null rounds are errors: {refuses_null_rounds}, steps: {steps:?}\n{error}");
            TestCaseError::fail(error)
        })
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}

#[test]
fn every_journal_is_that_of_the_canonical_chain() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the number of schedules is for whoever runs the tests"
    )]
    let cases = std::env::var(SCHEDULES_VARIABLE).map_or(SCHEDULES, |cases| cases.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| try_schedules(cases.div_ceil(THREADS)));
        }
    });
}
