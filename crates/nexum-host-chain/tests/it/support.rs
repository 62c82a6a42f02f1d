use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::causes;
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::Finality;
use nexum_core::source::{ChainLogs, SourceError};
use nexum_core::source::{EventLog, LogEntry, ReadResult};
use nexum_core::source::{Log, Position};
use nexum_host_chain::{ChainConfig, Chains, EndpointConfig, EndpointUrl, RpcRequest};
use nexum_testing::{Block, TEST_CHAIN_ID, WAIT_MAX};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use nexum_testing::TEST_CHAIN_ID as CHAIN;

/// A configuration for loopback: a short poll interval, and defaults.
pub(crate) fn config(url: &str) -> ChainConfig {
    let mut config = ChainConfig::new(TEST_CHAIN_ID, EndpointUrl::parse(url).unwrap());
    config.poll_interval_ms = 10;
    config
}

pub(crate) fn chains(url: &str) -> Chains {
    Chains::new([config(url)])
}

/// As [`chains`], without retries.
pub(crate) fn chains_without_retries(url: &str) -> Chains {
    let mut config = config(url);
    config.retries = 0;
    Chains::new([config])
}

/// A chain with several endpoints. The first is the primary.
pub(crate) fn config_of(urls: &[String]) -> ChainConfig {
    let (primary, others) = urls.split_first().unwrap();
    others.iter().zip(1..).fold(config(primary), |config, (url, priority)| {
        let mut endpoint = EndpointConfig::from(EndpointUrl::parse(url).unwrap());
        endpoint.priority = priority;
        config.with_endpoint(endpoint)
    })
}

/// A request to the pool.
pub(crate) fn request(method: &'static str, params: &str) -> RpcRequest {
    (method.into(), RawValue::from_string(params.to_owned()).unwrap())
}

pub(crate) fn position(block: &Block) -> Position {
    Position {
        number: block.number,
        hash: block.hash,
    }
}

/// Waits for a future that must finish.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, what).await.expect("it did not come")
}

/// A source that follows a chain into a log.
pub(crate) struct Following {
    pub(crate) log: Arc<EventLog>,
    stop: CancellationToken,
    task: JoinSet<Result<(), SourceError>>,
    appended: Arc<Notify>,
}

impl Following {
    /// Follows the head, without logs of contracts.
    pub(crate) fn start(chains: &Chains) -> Self {
        Self::start_with(chains, Finality::Latest, &[])
    }

    /// Follows with this finality, with the logs that match one of `filters`.
    pub(crate) fn start_with(chains: &Chains, finality: Finality, filters: &[LogFilter]) -> Self {
        let logs = ChainLogs::new(TEST_CHAIN_ID);
        logs.open(finality).subscribe(Arc::default(), filters.iter().cloned());
        Self::start_on(chains, logs, finality)
    }

    /// Follows into these logs. The test reads the log of `finality`.
    pub(crate) fn start_on(chains: &Chains, logs: ChainLogs, finality: Finality) -> Self {
        let log = logs.open(finality);
        let appended = Arc::new(Notify::new());
        log.subscribe(Arc::clone(&appended), []);
        let stop = CancellationToken::new();
        let source = chains.source(TEST_CHAIN_ID).unwrap();
        let mut task = JoinSet::new();
        let its_stop = stop.clone();
        task.spawn(async move { source.follow(&logs, &its_stop).await });
        Self {
            log,
            stop,
            task,
            appended,
        }
    }

    /// Waits until this block is the log's head.
    pub(crate) async fn reaches(&self, block: &Block) {
        self.reaches_position(position(block)).await;
    }

    pub(crate) async fn reaches_position(&self, position: Position) {
        let reached = async {
            while self.log.head() != Some(position) {
                self.appended.notified().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, reached).await.is_err() {
            panic!("the log did not reach {position}: {:#?}", self.entries());
        }
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        for sequence in 0.. {
            match self.log.read(sequence) {
                ReadResult::Entry(entry) => entries.push(entry),
                ReadResult::Gone => {}
                ReadResult::Pending | ReadResult::Closed(_) => break,
            }
        }
        entries
    }

    /// The chain of a reader of the log. Checks that each block is the child of the previous one.
    pub(crate) fn chain(&self) -> Vec<Position> {
        let mut chain: Vec<Position> = Vec::new();
        for entry in self.entries() {
            match entry {
                LogEntry::Advance(routed) => {
                    let block = &routed.block;
                    if let Some(last) = chain.last() {
                        assert!(block.position.number > last.number);
                        assert_eq!(block.parent_hash, last.hash);
                    }
                    chain.push(block.position);
                }
                LogEntry::Revert(to) => {
                    chain.retain(|held| held.number <= to.number);
                    match chain.last() {
                        Some(last) => assert_eq!(*last, to),
                        None => chain.push(to),
                    }
                }
            }
        }
        chain
    }

    /// The logs of a reader's chain. Checks that each arrived with its block.
    pub(crate) fn logs(&self) -> Vec<Log> {
        let mut logs: Vec<Log> = Vec::new();
        for entry in self.entries() {
            match entry {
                LogEntry::Advance(routed) => {
                    let block = &routed.block;
                    assert!(block.logs.iter().all(|log| log.block_number == block.position.number));
                    logs.extend_from_slice(&block.logs);
                }
                LogEntry::Revert(to) => logs.retain(|log| log.block_number <= to.number),
            }
        }
        logs
    }

    pub(crate) fn reverts(&self) -> Vec<Position> {
        let revert = |entry| match entry {
            LogEntry::Revert(to) => Some(to),
            LogEntry::Advance(_) => None,
        };
        self.entries().into_iter().filter_map(revert).collect()
    }

    /// Waits until the source ends with an error.
    pub(crate) async fn fails(mut self) -> SourceError {
        soon(self.task.join_next()).await.unwrap().unwrap().unwrap_err()
    }

    /// Stops the source, which must not take long.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), self.task.join_next()).await;
        ended.expect("a source stops at once").unwrap().unwrap().unwrap();
    }
}

/// The texts of a chain of errors, outermost first.
pub(crate) fn texts(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    causes(error).map(ToString::to_string).collect()
}
