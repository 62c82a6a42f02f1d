//! The checks of a probe.

use std::time::Duration;

use alloy_primitives::{Address, B256, U64};
use nexum_core::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Check, EndpointProbe, Finding, Verdict};
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::redact::printable;
use crate::rpc::endpoint::{Answer, Endpoint, parse};
use crate::wall::millis;

/// The requests whose median is the latency: one slow answer is no finding.
const LATENCY_REQUESTS: usize = 3;

/// The latency from which the operator gets a warning: a block takes several requests one after the
/// other, and the faster chains have a block every two seconds.
const LATENCY_MAX: Duration = Duration::from_millis(500);

/// The time by which a block may be ahead of the machine's clock: the protocols of chains accept a
/// header that is up to 15 seconds ahead.
const CLOCK_AHEAD_MAX_MS: u64 = 15_000;

/// The widths of ranges to try in `eth_getLogs`, in blocks: the limits of large providers.
const LOG_RANGES: [u64; 5] = [10_000, 1_000, 100, 10, 1];

/// The requests with which the probe looks for the oldest block with a state: each narrows the
/// remaining range to the root of its width, so the result is within a tenth on any chain.
const ARCHIVE_REQUESTS_MAX: usize = 12;

const MS_PER_SECOND: u64 = 1_000;

/// The parts of a block that the probe needs.
#[derive(Clone, Copy, Deserialize)]
struct Head {
    number: U64,
    timestamp: U64,
}

/// The probe of one endpoint.
pub(super) struct Probe<'a> {
    endpoint: &'a Endpoint,
    config: &'a ChainConfig,
    findings: Vec<Finding>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, config: &'a ChainConfig) -> Self {
        Self {
            endpoint,
            config,
            findings: Vec::new(),
        }
    }

    /// Makes all checks that fit into this time.
    pub(super) async fn run(mut self, time_max: Duration) -> EndpointProbe {
        let is_whole = tokio::time::timeout(time_max, self.check()).await.is_ok();
        let text = match is_whole {
            true => "not checked, because an earlier check failed".to_owned(),
            false => format!("not checked within {} s", time_max.as_secs()),
        };
        let missing = Check::ALL
            .into_iter()
            .filter(|check| self.findings.iter().all(|found| found.check != *check));
        let missing: Vec<_> = missing.collect();
        for check in missing {
            self.note(check, Verdict::Unknown, text.clone(), None);
        }
        self.findings.sort_by_key(|finding| finding.check);
        EndpointProbe {
            chain_id: self.config.chain_id,
            endpoint: self.endpoint.label().to_owned(),
            priority: self.endpoint.priority(),
            findings: self.findings,
        }
    }

    async fn check(&mut self) {
        if !self.check_reachable().await {
            return;
        }
        self.check_latency().await;
        let Some(head) = self.check_head().await else { return };
        self.check_clock(head);
        let number = head.number.to();
        self.check_log_range(number).await;
        self.check_batches().await;
        self.check_archive(number).await;
        self.check_push().await;
    }

    fn note(&mut self, check: Check, verdict: Verdict, text: impl Into<String>, remedy: Option<String>) {
        self.findings.push(Finding {
            check,
            verdict,
            text: printable(&text.into()),
            remedy,
        });
    }

    fn fails(&mut self, check: Check, verdict: Verdict, error: &RequestError) {
        self.note(check, verdict, error.to_string(), Some(self.remedy(error)));
    }

    /// The remedy for a failed request.
    fn remedy(&self, error: &RequestError) -> String {
        let chain_id = self.config.chain_id;
        match error {
            RequestError::WrongChain { actual, .. } => {
                format!("correct the address in [chains.{chain_id}], or write it into [chains.{actual}]")
            }
            RequestError::Unreachable { .. } | RequestError::Lost { .. } => {
                format!("check that the node runs, and check host and port in [chains.{chain_id}] and the firewall")
            }
            RequestError::Tls(_) => "check the endpoint's certificate, and the certificates of this machine".to_owned(),
            RequestError::Timeout { .. } => {
                format!("check the node's load and the network, or raise chains.{chain_id}.request_timeout_ms")
            }
            RequestError::Status { status: 401..=403, .. } => {
                format!("check the key in the address or the headers of the endpoint in [chains.{chain_id}]")
            }
            error if error.is_rate_limit() => {
                format!("set requests_per_second for the endpoint in [chains.{chain_id}], or buy a higher rate")
            }
            RequestError::TooLarge { .. } | RequestError::CutOff { .. } => {
                format!("raise chains.{chain_id}.response_bytes_max, or use another endpoint")
            }
            _ => {
                format!("check that the address in [chains.{chain_id}] is a JSON-RPC endpoint, or use another endpoint")
            }
        }
    }

    /// Returns whether other checks are possible.
    async fn check_reachable(&mut self) -> bool {
        match self.endpoint.reach().await {
            Ok(()) => {
                self.note(Check::Reachable, Verdict::Ok, "the endpoint answers", None);
                let text = format!("{}", self.config.chain_id);
                self.note(Check::ChainId, Verdict::Ok, text, None);
                true
            }
            Err(error @ RequestError::WrongChain { .. }) => {
                self.note(Check::Reachable, Verdict::Ok, "the endpoint answers", None);
                self.fails(Check::ChainId, Verdict::Failure, &error);
                false
            }
            Err(error) => {
                self.fails(Check::Reachable, Verdict::Failure, &error);
                false
            }
        }
    }

    async fn check_latency(&mut self) {
        let mut taken = Vec::with_capacity(LATENCY_REQUESTS);
        for _ in 0..LATENCY_REQUESTS {
            let began = Instant::now();
            if let Err(error) = self.ask("eth_blockNumber", "[]".to_owned()).await {
                return self.fails(Check::Latency, Verdict::Warning, &error);
            }
            taken.push(began.elapsed());
        }
        taken.sort_unstable();
        let median = taken[taken.len() / 2];
        let text = format!("{} ms, the median of {LATENCY_REQUESTS} requests", millis(median));
        match median > LATENCY_MAX {
            true => {
                let remedy =
                    "use an endpoint that is nearer to this machine, and give this one a higher priority number";
                self.note(Check::Latency, Verdict::Warning, text, Some(remedy.to_owned()));
            }
            false => self.note(Check::Latency, Verdict::Ok, text, None),
        }
    }

    async fn check_head(&mut self) -> Option<Head> {
        let answer = self.ask("eth_getBlockByNumber", r#"["latest",false]"#.to_owned()).await;
        let head = match answer.and_then(|answer| parse::<Head>(&answer)) {
            Ok(head) => head,
            Err(error) => {
                self.fails(Check::Head, Verdict::Failure, &error);
                return None;
            }
        };
        let age = age_ms(head) / MS_PER_SECOND;
        let text = format!("block {}, {age} s old", head.number);
        let stall = self.config.head_stall_seconds;
        match age > stall {
            true => {
                let remedy = format!(
                    "wait until the node is in sync, or use another endpoint; on a chain with rarer blocks, raise \
                     chains.{}.head_stall_seconds",
                    self.config.chain_id
                );
                self.note(Check::Head, Verdict::Warning, text, Some(remedy));
            }
            false => self.note(Check::Head, Verdict::Ok, text, None),
        }
        Some(head)
    }

    fn check_clock(&mut self, head: Head) {
        let ahead = timestamp_ms(head).saturating_sub(SystemClock::new().now_ms());
        let age = age_ms(head) / MS_PER_SECOND;
        if ahead > CLOCK_AHEAD_MAX_MS {
            let text = format!(
                "the newest block is {} s ahead of this machine's clock",
                ahead / MS_PER_SECOND
            );
            let remedy = "synchronise this machine's clock, for example with chrony or systemd-timesyncd";
            self.note(Check::Clock, Verdict::Failure, text, Some(remedy.to_owned()));
        } else if age > self.config.head_stall_seconds {
            let text = "the newest block is too old for a comparison";
            self.note(Check::Clock, Verdict::Unknown, text, None);
        } else {
            let text = format!("this machine's clock is {age} s after the newest block");
            self.note(Check::Clock, Verdict::Ok, text, None);
        }
    }

    async fn check_log_range(&mut self, head: u64) {
        let configured = self.endpoint.max_log_range_blocks();
        let widths = configured.into_iter().chain(
            LOG_RANGES
                .into_iter()
                .filter(|width| configured.is_none_or(|max| *width < max)),
        );
        let mut refusal = None;
        for width in widths.collect::<Vec<_>>() {
            let from = head.saturating_sub(width - 1);
            // No contract has this address, so that the answer is short.
            let filter = format!(
                r#"[{{"fromBlock":"{from:#x}","toBlock":"{head:#x}","address":"{}","topics":["{}"]}}]"#,
                Address::ZERO,
                B256::ZERO
            );
            let answer = self.ask("eth_getLogs", filter).await;
            match answer.and_then(|answer| parse::<Vec<IgnoredAny>>(&answer)) {
                Ok(_) => return self.note_log_range(head - from + 1, configured, refusal),
                Err(
                    error @ (RequestError::Answer { .. } | RequestError::Status { .. } | RequestError::Timeout { .. }),
                ) => {
                    refusal.get_or_insert((width, error));
                }
                Err(error) => return self.fails(Check::LogRange, Verdict::Failure, &error),
            }
        }
        if let Some((_, error)) = refusal {
            self.fails(Check::LogRange, Verdict::Failure, &error);
        }
    }

    fn note_log_range(&mut self, width: u64, configured: Option<u64>, refusal: Option<(u64, RequestError)>) {
        let text = format!("eth_getLogs answers for {width} blocks");
        match refusal {
            None => self.note(Check::LogRange, Verdict::Ok, text, None),
            Some((refused, error)) => {
                let text = format!("{text}, and not for {refused}: {error}");
                let change = if configured.is_some() { "lower" } else { "set" };
                let remedy = format!(
                    "{change} max_log_range_blocks of the endpoint in [chains.{}] to {width}",
                    self.config.chain_id
                );
                self.note(Check::LogRange, Verdict::Warning, text, Some(remedy));
            }
        }
    }

    async fn check_batches(&mut self) {
        if self.endpoint.supports_push() {
            let text = "not needed: over this connection, requests do not wait for each other";
            return self.note(Check::Batches, Verdict::Ok, text, None);
        }
        match self.endpoint.answers_batches().await {
            Ok(()) => self.note(Check::Batches, Verdict::Ok, "the endpoint answers batches", None),
            Err(error) => {
                let text = format!("the endpoint answers no batches, so nexum sends one request at a time: {error}");
                let remedy = "use another plan or another provider if modules send many requests";
                self.note(Check::Batches, Verdict::Warning, text, Some(remedy.to_owned()));
            }
        }
    }

    async fn check_archive(&mut self, head: u64) {
        let mut requests = 0;
        // Depths below the head.
        let (mut has, mut lacks) = match (self.has_state(head).await, self.has_state(0).await) {
            (Ok(true), Ok(true)) => {
                let text = "the endpoint has the state of every block";
                return self.note(Check::Archive, Verdict::Ok, text, None);
            }
            (Ok(true), Ok(false)) => (0, head),
            (Ok(false), _) => {
                let text = "the endpoint does not give the state of its newest block";
                let remedy = "use another endpoint for modules that read contracts".to_owned();
                return self.note(Check::Archive, Verdict::Warning, text, Some(remedy));
            }
            (Err(error), _) | (_, Err(error)) => return self.fails(Check::Archive, Verdict::Unknown, &error),
        };
        while lacks - has > 1 + has / 10 && requests < ARCHIVE_REQUESTS_MAX {
            requests += 1;
            let between = (has + 1).saturating_mul(lacks).isqrt().clamp(has + 1, lacks - 1);
            match self.has_state(head - between).await {
                Ok(true) => has = between,
                Ok(false) => lacks = between,
                Err(error) => return self.fails(Check::Archive, Verdict::Unknown, &error),
            }
        }
        let text = format!(
            "the endpoint has the state of about {} blocks, from block {} on",
            has + 1,
            head - has
        );
        let remedy = || "use an archive endpoint for modules that read the state of older blocks".to_owned();
        match has < self.config.reorg_depth_max {
            true => self.note(Check::Archive, Verdict::Warning, text, Some(remedy())),
            false => self.note(Check::Archive, Verdict::Ok, text, Some(remedy())),
        }
    }

    /// Whether the endpoint has the state after this block.
    async fn has_state(&self, number: u64) -> Result<bool, RequestError> {
        let params = format!(r#"["{}","{number:#x}"]"#, Address::ZERO);
        match self.ask("eth_getBalance", params).await {
            Ok(balance) => Ok(balance.get() != "null"),
            Err(error) if error.is_rate_limit() => Err(error),
            Err(RequestError::Answer { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn check_push(&mut self) {
        if !self.endpoint.supports_push() {
            let text = format!(
                "http has no push: nexum polls every {} ms",
                self.config.poll_interval_ms
            );
            return self.note(Check::Push, Verdict::Ok, text, None);
        }
        match self.endpoint.heads().await {
            Ok(Some(_)) => self.note(Check::Push, Verdict::Ok, "the endpoint announces new blocks", None),
            Ok(None) => {
                let text = format!(
                    "eth_subscribe is refused: nexum polls every {} ms",
                    self.config.poll_interval_ms
                );
                let remedy = "use another endpoint if modules need each block at once";
                self.note(Check::Push, Verdict::Warning, text, Some(remedy.to_owned()));
            }
            Err(error) => self.fails(Check::Push, Verdict::Warning, &error),
        }
    }

    async fn ask(&self, method: &'static str, params: String) -> Answer {
        let params = RawValue::from_string(params).map_err(|_| RequestError::Internal)?;
        self.endpoint.request(&(method.into(), params)).await
    }
}

fn timestamp_ms(head: Head) -> u64 {
    head.timestamp.to::<u64>().saturating_mul(MS_PER_SECOND)
}

/// The age of a block by this machine's clock, in milliseconds. 0 for a block that is ahead of it.
fn age_ms(head: Head) -> u64 {
    SystemClock::new().now_ms().saturating_sub(timestamp_ms(head))
}
