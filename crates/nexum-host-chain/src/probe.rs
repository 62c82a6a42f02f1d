//! Checks of endpoints for an operator: the abilities of each endpoint, and remedies.
//!
//! A probe uses connections of its own, and changes nothing in the health of endpoints in use. It
//! sends at most about thirty requests to an endpoint, one after the other. It sends nothing to the places of
//! `[[chains.<id>.submit]]`, which take transactions alone.

mod checks;

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use nexum_config::topic::ChainId;

use self::checks::Probe;
use crate::config::ChainConfig;
use crate::rpc::endpoints::Endpoints;

/// The longest probe of one endpoint: three answers just before the default `request_timeout_ms`. All
/// endpoints are probed at the same time.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(30);

/// The findings about one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointProbe {
    /// The chain.
    pub chain_id: ChainId,
    /// Scheme, host and port, made unique within the chain.
    pub endpoint: String,
    /// The configured priority.
    pub priority: u32,
    /// One finding per check, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The verdict.
    pub verdict: Verdict,
    /// The finding in one line, without a secret.
    pub text: String,
    /// The remedy. None if there is nothing to do.
    pub remedy: Option<String>,
}

/// A verdict, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The check was not possible.
    Unknown,
    /// nexum works, but worse or slower than it could.
    Warning,
    /// nexum cannot use the endpoint.
    Failure,
}

/// A property of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Whether the endpoint accepts a connection and answers.
    Reachable,
    /// Whether the endpoint serves the configured chain.
    ChainId,
    /// The time to an answer.
    Latency,
    /// The number and the age of the newest block.
    Head,
    /// The machine's clock against the time of the newest block.
    Clock,
    /// The widest range of blocks in one `eth_getLogs`.
    LogRange,
    /// Whether the endpoint answers several requests in one message.
    Batches,
    /// The oldest block whose state the endpoint has.
    Archive,
    /// Whether the endpoint announces new blocks.
    Push,
}

impl Check {
    /// All checks, in the order of a probe.
    pub const ALL: [Self; 9] = [
        Self::Reachable,
        Self::ChainId,
        Self::Latency,
        Self::Head,
        Self::Clock,
        Self::LogRange,
        Self::Batches,
        Self::Archive,
        Self::Push,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reachable => "reachable",
            Self::ChainId => "chain id",
            Self::Latency => "latency",
            Self::Head => "head",
            Self::Clock => "clock",
            Self::LogRange => "log range",
            Self::Batches => "batches",
            Self::Archive => "archive",
            Self::Push => "push",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failure => "failure",
        })
    }
}

impl EndpointProbe {
    /// The worst verdict.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap_or(Verdict::Unknown)
    }
}

/// Probes all endpoints of these chains, at the same time, each for at most [`PROBE_TIME_MAX`].
pub async fn probe(configs: &[ChainConfig]) -> Vec<EndpointProbe> {
    let of_chain = |config: &ChainConfig| {
        let endpoints = Endpoints::new(config);
        let probes = endpoints.all().iter().cloned().map(|endpoint| {
            let config = config.clone();
            async move { Probe::new(&endpoint, &config).run(PROBE_TIME_MAX).await }
        });
        probes.collect::<Vec<_>>()
    };
    join_all(configs.iter().flat_map(of_chain)).await
}
