//! The answers of the endpoints to a probe, as findings.

use crate::report::findings::{Area, Finding};

/// The age of a head from which the endpoint, or the whole chain, probably stands still: ten blocks
/// of Ethereum.
const HEAD_AGE_MS_MAX: u64 = 120_000;

/// How many blocks an endpoint may be behind another one of its chain. `nexum-host-chain` ranks an
/// endpoint last from this distance on.
const BLOCKS_BEHIND_MAX: u64 = 16;

/// The smallest range of `eth_getLogs` without a warning. With less, a replay of a day of Ethereum
/// takes more than 72 requests.
const LOGS_BLOCKS_MIN: u64 = 100;

/// The longest median of the latency without a warning. A handler with ten reads in a row then takes
/// five seconds of the default deadline of ten.
const LATENCY_MS_MAX: u64 = 500;

/// How far a head's time may be ahead of the machine's clock: nodes accept blocks up to 15 seconds
/// from the future.
const AHEAD_MS_MAX: u64 = 15_000;

/// A question that an endpoint answers, does not answer, or was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked<T> {
    Answered(T),
    /// The endpoint's error, without secrets.
    Failed(String),
    /// Why nexum did not ask.
    Skipped(String),
}

/// The newest block of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: u64,
}

/// The answers of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    /// The chain id of the configuration.
    pub(crate) chain_id: u64,
    /// Scheme, host and port.
    pub(crate) endpoint: String,
    /// The chain id that the endpoint reports. If this failed, nexum asked nothing else.
    pub(crate) reported_id: Asked<u64>,
    pub(crate) head: Asked<Head>,
    /// The most blocks of an `eth_getLogs` request that the endpoint answered.
    pub(crate) logs_blocks: Asked<u64>,
    /// Whether the endpoint answers a batch of requests.
    pub(crate) batches: Asked<bool>,
    /// The depth below the head of the oldest block whose state the endpoint has, of the depths that
    /// nexum asked for.
    pub(crate) state_blocks: Asked<u64>,
    /// The median and the longest latency, in milliseconds.
    pub(crate) latency_ms: Asked<(u64, u64)>,
}

/// The findings about all endpoints at the time `now_ms`, and about the clock.
pub(crate) fn findings(probed: &[Probed], now_ms: u64) -> Vec<Finding> {
    let each = probed.iter().flat_map(|one| one.findings(probed, now_ms));
    each.chain([clock(probed, now_ms)]).collect()
}

impl Probed {
    fn findings(&self, all: &[Self], now_ms: u64) -> Vec<Finding> {
        let (area, subject) = (Area::Endpoints, self.subject());
        let first = match &self.reported_id {
            Asked::Answered(id) if *id == self.chain_id => {
                area.ok(&subject, format!("answers, with the chain id {id}"))
            }
            Asked::Answered(id) => {
                let (chain, text) = (self.chain_id, format!("answers with the chain id {id}"));
                let remedy = format!("move the endpoint to [chains.{id}], or give an endpoint of chain {chain}");
                return vec![area.failure(&subject, text).with_remedy(remedy)];
            }
            Asked::Failed(error) => {
                let remedy = format!(
                    "curl -sS {}, and check the address, the key and the firewall",
                    self.endpoint
                );
                return vec![
                    area.failure(&subject, format!("does not answer: {error}"))
                        .with_remedy(remedy),
                ];
            }
            Asked::Skipped(reason) => return vec![area.unknown(&subject, format!("was not asked: {reason}"))],
        };
        let question = |name: &str, finding: Result<Finding, String>| {
            finding.unwrap_or_else(|reason| area.unknown(&subject, format!("{name}: {reason}")))
        };
        vec![
            first,
            question("head", self.head.get().map(|head| self.head(head, all, now_ms))),
            question("eth_getLogs", self.logs_blocks.get().map(|blocks| self.logs(blocks))),
            question("batches", self.batches.get().map(|batches| self.batches(batches))),
            question(
                "state of old blocks",
                self.state_blocks.get().map(|blocks| self.state(blocks)),
            ),
            question("latency", self.latency_ms.get().map(|latency| self.latency(latency))),
        ]
    }

    fn subject(&self) -> String {
        format!("{} {}", self.chain_id, self.endpoint)
    }

    fn head(&self, head: Head, all: &[Self], now_ms: u64) -> Finding {
        let (area, subject) = (Area::Endpoints, self.subject());
        let of_chain = all.iter().filter(|other| other.chain_id == self.chain_id);
        let best = of_chain
            .filter_map(|other| other.head.get().ok())
            .map(|head| head.number)
            .max();
        let behind = best.unwrap_or_default().saturating_sub(head.number);
        let age_ms = now_ms.saturating_sub(head.timestamp_ms);
        let text = format!("head {}, {} old", head.number, seconds(age_ms));
        if behind > BLOCKS_BEHIND_MAX {
            let text = format!(
                "{text}, {behind} blocks behind another endpoint of chain {}",
                self.chain_id
            );
            return area
                .failure(subject, text)
                .with_remedy("wait until the node has synchronised, or remove the endpoint");
        }
        match age_ms > HEAD_AGE_MS_MAX {
            true => area
                .warning(subject, text)
                .with_remedy("compare the head with a block explorer: either the node or the chain stands still"),
            false => area.ok(subject, text),
        }
    }

    fn logs(&self, blocks: u64) -> Finding {
        let (area, subject) = (Area::Endpoints, self.subject());
        let text = format!("eth_getLogs answers {blocks} blocks");
        match blocks < LOGS_BLOCKS_MIN {
            true => area
                .warning(subject, text)
                .with_remedy("a module that catches up takes long with this endpoint: add one with a larger range"),
            false => area.ok(subject, text),
        }
    }

    fn batches(&self, batches: bool) -> Finding {
        let (area, subject) = (Area::Endpoints, self.subject());
        match batches {
            true => area.ok(subject, "answers batches"),
            false => area
                .warning(subject, "refuses batches, so nexum sends each request alone")
                .with_remedy("allow batches at the node, or expect more requests"),
        }
    }

    fn state(&self, blocks: u64) -> Finding {
        let text = format!("has the state of {blocks} blocks below its head");
        Area::Endpoints.ok(self.subject(), text)
    }

    fn latency(&self, (median, longest): (u64, u64)) -> Finding {
        let (area, subject) = (Area::Endpoints, self.subject());
        let text = format!("latency {median} ms in the median, {longest} ms at most");
        match median > LATENCY_MS_MAX {
            true => area
                .warning(subject, text)
                .with_remedy("give a nearer endpoint, or `priority` to a faster one"),
            false => area.ok(subject, text),
        }
    }
}

impl<T: Copy> Asked<T> {
    /// The answer, or why there is none.
    fn get(&self) -> Result<T, String> {
        match self {
            Self::Answered(answer) => Ok(*answer),
            Self::Failed(error) => Err(error.clone()),
            Self::Skipped(reason) => Err(format!("was not asked: {reason}")),
        }
    }
}

/// Compares the clock with the newest head. A block from the future means that the clock is slow. A
/// fast clock only makes heads older, so the age of heads shows it.
fn clock(probed: &[Probed], now_ms: u64) -> Finding {
    let (area, subject) = (Area::Clock, "system clock");
    let heads = probed.iter().filter_map(|one| Some((one, one.head.get().ok()?)));
    let Some((newest, head)) = heads.max_by_key(|(_, head)| head.timestamp_ms) else {
        return area.unknown(subject, "no endpoint gave a head to compare the clock with");
    };
    let of = format!("head {} of chain {}", head.number, newest.chain_id);
    let remedy = "timedatectl set-ntp true";
    match head.timestamp_ms.checked_sub(now_ms).filter(|ahead| *ahead > 0) {
        Some(ahead) if ahead > AHEAD_MS_MAX => area
            .failure(
                subject,
                format!("is at least {} slow: {of} is from the future", seconds(ahead)),
            )
            .with_remedy(remedy),
        _ if now_ms.saturating_sub(head.timestamp_ms) > HEAD_AGE_MS_MAX => area
            .unknown(
                subject,
                format!("the newest block, {of}, is too old to compare the clock with"),
            )
            .with_remedy(remedy),
        _ => area.ok(subject, format!("agrees with {of}")),
    }
}

fn seconds(ms: u64) -> String {
    format!("{} s", ms / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::findings::{self, Verdict};

    const COLUMNS: u16 = 120;
    const NOW: u64 = 1_800_000_000_000;

    fn good(endpoint: &str) -> Probed {
        Probed {
            chain_id: 1,
            endpoint: endpoint.to_owned(),
            reported_id: Asked::Answered(1),
            head: Asked::Answered(Head {
                number: 21_000_000,
                timestamp_ms: NOW - 4_000,
            }),
            logs_blocks: Asked::Answered(10_000),
            batches: Asked::Answered(true),
            state_blocks: Asked::Answered(100_000),
            latency_ms: Asked::Answered((24, 80)),
        }
    }

    /// The findings that are not ok.
    fn faults(probed: &[Probed]) -> Vec<Finding> {
        let mut found = super::findings(probed, NOW);
        found.retain(|finding| finding.state != Verdict::Ok);
        found
    }

    #[test]
    fn a_good_endpoint_has_no_fault() {
        let found = super::findings(&[good("https://a.example:443")], NOW);
        assert_eq!(faults(&[good("https://a.example:443")]).len(), 0);
        insta::assert_snapshot!(findings::text(&found, Some(COLUMNS)));
    }

    #[test]
    fn each_fault_of_an_endpoint_has_a_finding_with_its_remedy() {
        let late = Head {
            number: 20_999_983,
            timestamp_ms: NOW - 204_000,
        };
        let probed = [
            good("https://a.example:443"),
            Probed {
                reported_id: Asked::Failed("connection refused".to_owned()),
                ..good("http://down.example:8545")
            },
            Probed {
                reported_id: Asked::Answered(5),
                ..good("http://other.example:8545")
            },
            Probed {
                head: Asked::Answered(late),
                logs_blocks: Asked::Answered(10),
                batches: Asked::Answered(false),
                state_blocks: Asked::Failed("missing trie node".to_owned()),
                latency_ms: Asked::Answered((900, 1_200)),
                ..good("http://slow.example:8545")
            },
        ];
        let found = faults(&probed);
        let without_remedy = found.iter().filter(|finding| finding.remedy.is_none());
        assert!(without_remedy.clone().all(|finding| finding.state == Verdict::Unknown));
        insta::assert_snapshot!(findings::text(&found, Some(COLUMNS)));
    }

    #[test]
    fn a_head_from_the_future_is_a_slow_clock() {
        let with_head = |timestamp_ms| Probed {
            head: Asked::Answered(Head {
                number: 7,
                timestamp_ms,
            }),
            ..good("http://a.example:8545")
        };
        for (timestamp_ms, state, text) in [
            (NOW + 15_000, Verdict::Ok, "agrees with head 7 of chain 1"),
            (
                NOW + 16_000,
                Verdict::Failure,
                "is at least 16 s slow: head 7 of chain 1 is from the future",
            ),
            (
                NOW - 121_000,
                Verdict::Unknown,
                "the newest block, head 7 of chain 1, is too old to compare the clock with",
            ),
        ] {
            let found = clock(&[with_head(timestamp_ms)], NOW);
            assert_eq!((found.state, found.text.as_str()), (state, text));
        }
        let found = clock(&[], NOW);
        assert_eq!(found.state, Verdict::Unknown);
    }
}
