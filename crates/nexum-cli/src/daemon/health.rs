//! Whether everything that should run runs: for `/readyz`, for `/v1/health`, and for systemd.

use std::time::Duration;

use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::source::SourceReport;
use nexum_core::{Condition, HostHandle, ModuleStatus, Stage, TopicPosition};

use super::refused::Refused;
use crate::configure::HealthBounds;
use crate::protocol::health::{Health, Problem};
use crate::protocol::modules::why_loading;
use crate::report::count;

/// The most characters of a reason: the first frames of a trap.
const REASON_CHARS_MAX: usize = 2_048;

/// Looks at the modules and chains of the daemon.
#[derive(Clone)]
pub(crate) struct HealthCheck {
    host: HostHandle,
    refused: Refused,
}

impl HealthCheck {
    pub(crate) fn new(host: HostHandle, refused: Refused) -> Self {
        Self { host, refused }
    }

    /// The state of the daemon.
    pub(crate) fn look(&self, bounds: HealthBounds) -> Health {
        let problems = self.problems(bounds);
        let positions = self
            .host
            .modules()
            .into_iter()
            .flat_map(|status| blocks_behind(&status));
        let ages = self
            .host
            .chain_reports()
            .into_iter()
            .filter_map(|chain| head_age_ms(&chain));
        Health {
            is_healthy: problems.is_empty(),
            problems,
            modules: self.host.all().len(),
            blocks_behind: positions.map(|(_, behind)| behind).max(),
            head_age_ms: ages.max(),
        }
    }

    /// All problems. There is one until every module has started or is refused.
    pub(crate) fn problems(&self, bounds: HealthBounds) -> Vec<Problem> {
        // First, so that a module that starts meanwhile is in one of the lists.
        let loading = self.host.loading();
        let modules = self.host.modules();
        let mut problems = Vec::new();
        if !self.refused.is_complete() {
            // Until then, some modules may be unknown here.
            problems.push(Problem {
                module: None,
                chain: None,
                reason: "modules are being loaded".to_owned(),
                since_ms: None,
            });
        }
        let refused = self.refused.missing(&self.host).into_iter();
        problems.extend(refused.map(|refused| of_module(refused.name, format!("refused: {}", refused.reason), None)));
        for loading in loading {
            let name = &loading.meta.name;
            if self.host.get(name).is_err() {
                let reason = format!("loading: {}", why_loading(&loading));
                problems.push(of_module(name.to_string(), reason, Some(loading.since_ms)));
            }
        }
        problems.extend(modules.iter().filter_map(|status| of_stage(status)));
        if let Some(most) = bounds.behind {
            problems.extend(modules.iter().flat_map(|status| too_far_behind(status, most)));
        }
        problems.extend(self.of_chains(bounds.head_age));
        problems
    }

    fn of_chains(&self, head_age: Option<Duration>) -> Vec<Problem> {
        let lost = self.host.troubled_chains();
        let mut problems = Vec::new();
        for chain in self.host.chain_reports() {
            let problem = |reason: &str, since_ms| Problem {
                module: None,
                chain: Some(chain.chain_id),
                reason: cut(reason),
                since_ms,
            };
            if let Some(reason) = lost.get(&chain.chain_id) {
                let since_ms = chain.trouble.as_ref().map(|trouble| trouble.since_ms);
                problems.push(problem(reason, since_ms));
            } else if let Some(most) = head_age {
                match head_age_ms(&chain) {
                    None => problems.push(problem("nexum has read no block", None)),
                    Some(age) if u128::from(age) > most.as_millis() => {
                        let (age, most) = (age / 1_000, most.as_secs());
                        problems.push(problem(&format!("the head is {age} s old, over {most} s"), None));
                    }
                    Some(_) => {}
                }
            }
        }
        problems
    }
}

fn of_module(name: String, reason: String, since_ms: Option<u64>) -> Problem {
    Problem {
        module: Some(name),
        chain: None,
        reason: cut(&reason),
        since_ms,
    }
}

/// The problem of a module that should run and does not.
fn of_stage(status: &ModuleStatus) -> Option<Problem> {
    let Condition { stage, reason, .. } = status.condition();
    match stage {
        Stage::Starting | Stage::WaitingForChain | Stage::Backoff | Stage::Stalled | Stage::Dead => {
            let text = format!("{stage}: {}", reason.text);
            Some(of_module(status.name().to_string(), text, Some(reason.since_ms)))
        }
        // The operator stopped a stopped module.
        _ => None,
    }
}

/// The problems of a module that has more blocks to handle than `most`.
fn too_far_behind(status: &ModuleStatus, most: u64) -> Vec<Problem> {
    let is_too_far = |(_, behind): &(String, u64)| *behind > most;
    let problem = |(chain, behind): (String, u64)| {
        let reason = format!(
            "{} behind the head of chain {chain}, over {most}",
            count(behind, "block")
        );
        of_module(status.name().to_string(), reason, None)
    };
    blocks_behind(status)
        .into_iter()
        .filter(is_too_far)
        .map(problem)
        .collect()
}

/// The chains in which the module has a position, with the blocks that it has still to handle. None for a module that
/// the operator stopped.
fn blocks_behind(status: &ModuleStatus) -> Vec<(String, u64)> {
    if status.stage() == Stage::Stopped {
        return Vec::new();
    }
    let behind = |position| match position {
        TopicPosition::Chain(position) => Some((position.topic.to_string(), position.behind?)),
        TopicPosition::Schedule(_) => None,
    };
    status.positions().into_iter().filter_map(behind).collect()
}

/// The age of a chain's head, in milliseconds. 0 for a head in the future. None without a head.
fn head_age_ms(chain: &SourceReport) -> Option<u64> {
    let head = chain.head?;
    Some(SystemClock::new().now_ms().saturating_sub(head.timestamp_ms))
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
