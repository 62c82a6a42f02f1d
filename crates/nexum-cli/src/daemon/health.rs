//! Whether everything that should run runs: for `/readyz`, for `/v1/health`, and for systemd.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::source::{EndpointReport, EndpointState, SourceReport, Trouble};
use nexum_core::state::Act;
use nexum_core::supervisor::RunningModule;
use nexum_core::{Condition, HostHandle, ModuleEntry, ModuleStatus, Stage, TopicPosition};

use super::node::Node;
use super::refused::Refused;
use crate::compose::TransactionsInUse;
use crate::configure::HealthBounds;
use crate::protocol::event_part::whole_ms;
use crate::protocol::health::{Health, Problem};
use crate::protocol::modules::why_loading;
use crate::report::{count, time};

/// The most characters of a reason: the first frames of a trap.
const REASON_CHARS_MAX: usize = 2_048;

/// Looks at the modules and chains of the daemon.
#[derive(Clone)]
pub(crate) struct HealthCheck {
    host: HostHandle,
    refused: Refused,
    node: Node,
    transactions: TransactionsInUse,
    ledger: Option<nexum_ledger::Handle>,
}

impl HealthCheck {
    pub(crate) fn new(
        host: HostHandle,
        refused: Refused,
        node: Node,
        transactions: TransactionsInUse,
        ledger: Option<nexum_ledger::Handle>,
    ) -> Self {
        Self {
            host,
            refused,
            node,
            transactions,
            ledger,
        }
    }

    /// The state of the daemon.
    pub(crate) fn look(&self, bounds: HealthBounds) -> Health {
        let mut problems = self.problems(bounds);
        problems.extend(self.suspended());
        problems.extend(self.transactions.halted());
        let (all, modules) = (self.host.all(), self.host.modules());
        let behind = modules.iter().flat_map(|status| blocks_behind(status));
        // Unknown if one of them is.
        let behind: Option<Vec<_>> = behind.map(|(_, behind)| behind).collect();
        let ages = self.used_chains().into_iter().filter_map(|chain| head_age_ms(&chain));
        Health {
            is_healthy: problems.is_empty(),
            problems,
            idle: self.idle(&modules),
            notes: self.notes(&modules),
            modules: all.len(),
            modules_total: all.len() + self.not_loaded(),
            dead_letters: modules.iter().map(|status| status.dead_letters()).sum(),
            blocks_behind: behind.and_then(|behind| behind.into_iter().max()),
            head_age_ms: ages.max(),
        }
    }

    /// Brings the metrics of modules and chains up to date, so that they agree with the health.
    pub(crate) fn refresh(&self) {
        self.host.look();
    }

    /// The problems that keep nexum from being ready. There is one until every module has started or is
    /// refused. Without suspended modules, because only a query ends a suspension, and without halted accounts, because
    /// everything else runs.
    pub(crate) fn problems(&self, bounds: HealthBounds) -> Vec<Problem> {
        self.host.look();
        // First, so that a module that starts meanwhile is in one of the lists.
        let loading = self.host.loading();
        let holder = self.host.supervisor().loads_holder();
        let modules = self.host.modules();
        let mut problems = Vec::new();
        if !self.refused.is_complete() {
            // Until then, some modules may be unknown here.
            problems.push(Problem {
                reason: "modules are being loaded".to_owned(),
                since_ms: Some(self.refused.begun_ms()),
                ..Problem::default()
            });
        }
        problems.extend(self.node.absence().map(|reason| Problem {
            reason: cut(&reason.text),
            since_ms: Some(reason.since_ms).filter(|since_ms| *since_ms > 0),
            ..Problem::default()
        }));
        let refused = self.refused.missing(&self.host).into_iter();
        problems.extend(refused.map(|refused| {
            let reason = format!("refused: {}", refused.reason);
            of_module(refused.name, reason, refused.since_ms)
        }));
        for loading in loading {
            let name = &loading.meta.name;
            if self.host.get(name).is_err() {
                let reason = format!("loading: {}", why_loading(&loading, holder.as_deref()));
                problems.push(of_module(name.to_string(), reason, loading.since_ms));
            }
        }
        let troubled = self.host.troubled_chains();
        let waits = |status: &&Arc<ModuleStatus>| awaited(status, &troubled).next().is_some();
        let others = modules.iter().filter(|status| !waits(status));
        problems.extend(others.filter_map(|status| of_stage(status)));
        if let Some(most) = bounds.behind {
            problems.extend(modules.iter().flat_map(|status| too_far_behind(status, most)));
        }
        problems.extend(self.of_chains(&modules, &troubled, bounds.head_age));
        problems
    }

    /// The number of modules that are wanted or configured, and not loaded.
    fn not_loaded(&self) -> usize {
        let loading = self.host.loading().into_iter();
        let loading = loading.filter(|loading| self.host.get(&loading.meta.name).is_err());
        loading.count() + self.refused.missing(&self.host).len() + self.host.absent().len()
    }

    /// The modules that are not to run.
    fn idle(&self, modules: &[Arc<ModuleStatus>]) -> Vec<Problem> {
        let rows = self.host.operator_rows();
        let stopped = modules.iter().filter(|status| status.stage() == Stage::Stopped);
        let stopped = stopped.map(|status| {
            let act = rows.get(status.name()).and_then(|row| row.stopped.as_ref());
            let reason = format!("stopped{}", act.map(by).unwrap_or_default());
            of_module(status.name().to_string(), reason, status.reason().since_ms)
        });
        let absent = self.host.absent().into_iter().map(|absent| {
            let ModuleEntry { name, config } = absent.entry;
            let name = name.map_or_else(|| config.path.shown().display().to_string(), |name| name.to_string());
            let reason = match &absent.removed {
                Some(act) => format!("removed{}", by(act)),
                None => format!("disabled (`enabled = false` in {})", config.source),
            };
            of_module(name, reason, absent.since_ms)
        });
        stopped.chain(absent).collect()
    }

    /// The ledger that is not stored, the late transactions, the dead letters, the effects in doubt, and the endpoints that nexum cannot use while it uses others.
    fn notes(&self, modules: &[Arc<ModuleStatus>]) -> Vec<Problem> {
        let mut notes = self.transactions.late(SystemClock::new().now_ms());
        notes.extend(
            self.ledger
                .iter()
                .filter_map(nexum_ledger::Handle::trouble)
                .map(|trouble| Problem {
                    reason: cut(&format!("the event ledger is not stored: {}", trouble.text)),
                    since_ms: Some(trouble.since_ms),
                    ..Problem::default()
                }),
        );
        for status in modules {
            let (name, letters, effects) = (status.name(), status.dead_letters(), status.effects_in_doubt());
            let letters =
                (letters > 0).then(|| format!("{}: `nexum dead-letter list {name}`", count(letters, "dead letter")));
            let effects = (effects > 0).then(|| {
                format!(
                    "{} in doubt: `nexum effect list {name} --unknown`",
                    count(effects, "effect")
                )
            });
            notes.extend([letters, effects].into_iter().flatten().map(|reason| Problem {
                module: Some(name.to_string()),
                reason,
                ..Problem::default()
            }));
        }
        for chain in self.used_chains().into_iter().filter(|chain| chain.trouble.is_none()) {
            let (all, unusable) = (
                chain.endpoints.len(),
                chain.endpoints.iter().filter(is_unusable).count(),
            );
            if unusable > 0 {
                notes.push(Problem {
                    chain: Some(chain.chain_id),
                    reason: format!("{unusable} of {all} endpoints cannot be used: `nexum chains`"),
                    ..Problem::default()
                });
            }
        }
        notes
    }

    /// The modules whose queries are suspended.
    fn suspended(&self) -> Vec<Problem> {
        let suspended = |module: RunningModule| {
            let suspension = module.queries.as_ref()?.suspension()?;
            let (_, meta) = module.origin()?;
            let reason = format!("queries suspended: {}", suspension.reason);
            Some(of_module(meta.name.to_string(), reason, suspension.since_ms))
        };
        self.host.all().into_iter().filter_map(suspended).collect()
    }

    /// The chains that loaded modules follow or need. nexum follows no others.
    fn used_chains(&self) -> Vec<SourceReport> {
        let used: BTreeSet<_> = self.host.modules().iter().flat_map(|status| chains(status)).collect();
        let mut chains = self.host.chain_reports();
        chains.retain(|chain| used.contains(&chain.chain_id));
        chains
    }

    fn of_chains(
        &self,
        modules: &[Arc<ModuleStatus>],
        troubled: &BTreeMap<ChainId, Trouble>,
        head_age: Option<Duration>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for chain in self.used_chains() {
            let problem = |reason: &str, since_ms| Problem {
                chain: Some(chain.chain_id),
                reason: cut(reason),
                since_ms: Some(since_ms),
                ..Problem::default()
            };
            if let Some(trouble) = troubled.get(&chain.chain_id) {
                let waits = |status: &&Arc<ModuleStatus>| awaited(status, troubled).any(|id| id == chain.chain_id);
                let waiting = modules.iter().filter(waits);
                problems.push(Problem {
                    waiting: waiting.map(|status| status.name().to_string()).collect(),
                    next_try_ms: trouble.next_try_ms,
                    ..problem(&trouble.text, trouble.since_ms)
                });
            } else if let Some(most) = head_age {
                let most_ms = whole_ms(most);
                match (chain.head, head_age_ms(&chain)) {
                    (Some(head), Some(age_ms)) if age_ms > most_ms => {
                        let reason = format!("the head is {} s old, over {} s", age_ms / 1_000, most.as_secs());
                        problems.push(problem(&reason, head.timestamp_ms.saturating_add(most_ms)));
                    }
                    (Some(_), _) => {}
                    (None, _) => problems.push(problem("nexum has read no block", self.refused.begun_ms())),
                }
            }
        }
        problems
    }
}

/// Whether nexum avoids the endpoint.
fn is_unusable(endpoint: &&EndpointReport) -> bool {
    match endpoint.state {
        EndpointState::Behind { .. }
        | EndpointState::Rested { .. }
        | EndpointState::Paused { .. }
        | EndpointState::WrongChain { .. } => true,
        EndpointState::InUse { .. } | EndpointState::Standby { .. } | EndpointState::Untested => false,
    }
}

/// The circumstances of an operator's command, in brackets.
fn by(act: &Act) -> String {
    let reason = act.reason.as_ref().map(|reason| format!(": {reason}"));
    format!(" (by {}, at {}{})", act.by, time(act.at_ms), reason.unwrap_or_default())
}

fn of_module(name: String, reason: String, since_ms: u64) -> Problem {
    Problem {
        module: Some(name),
        reason: cut(&reason),
        since_ms: Some(since_ms),
        ..Problem::default()
    }
}

/// The chains in trouble for which the module waits. Their problems name the module.
fn awaited(status: &ModuleStatus, troubled: &BTreeMap<ChainId, Trouble>) -> impl Iterator<Item = ChainId> {
    let chains = match status.stage() {
        Stage::WaitingForChain => chains(status),
        _ => BTreeSet::new(),
    };
    chains.into_iter().filter(|chain_id| troubled.contains_key(chain_id))
}

/// The problem of a module that should run and does not.
fn of_stage(status: &ModuleStatus) -> Option<Problem> {
    let Condition {
        stage,
        reason,
        next_try_ms,
    } = status.condition();
    match stage {
        Stage::Starting | Stage::WaitingForChain | Stage::Backoff | Stage::Stalled | Stage::Dead => {
            let text = format!("{stage}: {}", reason.text);
            Some(Problem {
                next_try_ms,
                ..of_module(status.name().to_string(), text, reason.since_ms)
            })
        }
        // The operator stopped a stopped module.
        _ => None,
    }
}

/// The problems of a module that has more blocks to handle than `most`. Their time is that of the module's
/// condition, because nexum does not record when a module exceeded a bound of a client.
fn too_far_behind(status: &ModuleStatus, most: u64) -> Vec<Problem> {
    let problem = |(chain, behind): (String, Option<u64>)| {
        let behind = behind.filter(|behind| *behind > most)?;
        let reason = format!(
            "{} behind the head of chain {chain}, over {most}",
            count(behind, "block")
        );
        let since_ms = status.condition().reason.since_ms;
        Some(of_module(status.name().to_string(), reason, since_ms))
    };
    blocks_behind(status).into_iter().filter_map(problem).collect()
}

/// The chains of the module, with the blocks that it has still to handle if nexum knows their number. None for a module
/// that the operator stopped, or that another node runs.
fn blocks_behind(status: &ModuleStatus) -> Vec<(String, Option<u64>)> {
    if let Stage::Stopped | Stage::Standby = status.stage() {
        return Vec::new();
    }
    let behind = |position| match position {
        TopicPosition::Chain(position) => Some((position.topic.to_string(), position.behind)),
        TopicPosition::Schedule(_) => None,
    };
    status.positions().into_iter().filter_map(behind).collect()
}

/// The chains that the module follows or needs.
fn chains(status: &ModuleStatus) -> BTreeSet<ChainId> {
    let module = status.module();
    let subscriptions = module.subscriptions.iter();
    let followed = subscriptions.filter_map(|subscription| subscription.chain_id());
    followed.chain(module.required_chains.iter().copied()).collect()
}

/// The age of a chain's head, in milliseconds. 0 for a head in the future. None without a head.
fn head_age_ms(chain: &SourceReport) -> Option<u64> {
    let head = chain.head?;
    Some(SystemClock::new().now_ms().saturating_sub(head.timestamp_ms))
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
