//! The conditions that need the operator: when they begin, last and end.
//!
//! They follow from the state of modules, chains and the store, which one task reads. No code that
//! fails has to report its failure here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nexum_core::Stage;
use nexum_core::supervisor::SupervisorHandle;

use crate::protocol::conditions::{ConditionKind, Phase};
use crate::protocol::health::Problem;
use crate::protocol::modules::RefusedModule;
use crate::report::count;

/// The time after which a condition that lasts is reported again.
const REPEAT_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long a chain or the store has to fail before the failure is reported, and to work before its
/// end is: a node that restarts takes about as long.
const HOLD: Duration = Duration::from_secs(10);

/// A condition that needs the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: ConditionKind,
    /// The module, or the file of a refused module whose entry has no name.
    pub(super) module: Option<String>,
    pub(super) chain: Option<u64>,
    pub(super) account: Option<String>,
    /// The condition and its reason, in one line.
    pub(super) text: String,
    /// The begin, in milliseconds since the Unix epoch, if the state has it.
    pub(super) since_ms: Option<u64>,
    /// The next step, with a command.
    pub(super) hint: String,
}

/// The subject of a condition, which has one condition of a kind at a time.
type Key = (ConditionKind, Option<String>, Option<u64>, Option<String>);

impl Condition {
    fn key(&self) -> Key {
        (self.kind, self.module.clone(), self.chain, self.account.clone())
    }

    /// How long the condition has to last, or to be gone, before it is reported.
    fn hold(&self) -> Duration {
        match self.kind {
            ConditionKind::ChainOutage | ConditionKind::StoreFailure => HOLD,
            ConditionKind::ModuleDead
            | ConditionKind::DeadLetters
            | ConditionKind::ModuleRefused
            | ConditionKind::AccountHalted => Duration::ZERO,
        }
    }
}

/// A report about a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) phase: Phase,
    pub(super) condition: Condition,
    /// The begin of the condition, in milliseconds since the Unix epoch.
    pub(super) since_ms: u64,
}

/// The conditions that hold, with the time of their reports.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    known: BTreeMap<Key, Known>,
}

#[derive(Debug)]
struct Known {
    condition: Condition,
    since_ms: u64,
    /// Since when the condition holds, or is gone, without an interruption.
    turned: Duration,
    is_gone: bool,
    reported: Option<Duration>,
}

impl Conditions {
    /// Compares the conditions that hold now with the known ones. `now` is a time that never steps
    /// back, `now_ms` the milliseconds since the Unix epoch.
    pub(super) fn look(&mut self, current: Vec<Condition>, now: Duration, now_ms: u64) -> Vec<Change> {
        let mut missing: BTreeSet<_> = self.known.keys().cloned().collect();
        for condition in current {
            let key = condition.key();
            missing.remove(&key);
            let known = self.known.entry(key).or_insert_with(|| Known {
                since_ms: condition.since_ms.unwrap_or(now_ms),
                condition: condition.clone(),
                turned: now,
                is_gone: false,
                reported: None,
            });
            if std::mem::take(&mut known.is_gone) {
                known.turned = now;
            }
            known.since_ms = condition.since_ms.unwrap_or(known.since_ms);
            known.condition = condition;
        }
        for key in missing {
            if let Some(known) = self.known.get_mut(&key)
                && !std::mem::replace(&mut known.is_gone, true)
            {
                known.turned = now;
            }
        }
        let mut changes = Vec::new();
        self.known.retain(|_, known| {
            let phase = known.due(now);
            changes.extend(phase.map(|phase| known.report(phase, now)));
            // A condition that has never been reported ends without a report.
            !(known.is_gone && (phase == Some(Phase::Ended) || known.reported.is_none()))
        });
        changes
    }
}

impl Known {
    /// The report that is due.
    fn due(&self, now: Duration) -> Option<Phase> {
        let is_settled = now.saturating_sub(self.turned) >= self.condition.hold();
        match self.reported {
            None => (!self.is_gone && is_settled).then_some(Phase::Began),
            Some(_) if self.is_gone => is_settled.then_some(Phase::Ended),
            Some(reported) => (now.saturating_sub(reported) >= REPEAT_AFTER).then_some(Phase::Lasts),
        }
    }

    fn report(&mut self, phase: Phase, now: Duration) -> Change {
        self.reported = Some(now);
        let mut condition = self.condition.clone();
        if phase == Phase::Ended {
            condition.text = format!("this has ended: {}", condition.text);
            condition.hint = "nothing is left to do; `nexum events` shows when it began".to_owned();
        }
        Change {
            phase,
            condition,
            since_ms: self.since_ms,
        }
    }
}

/// The conditions that hold now. `halted` has the accounts from which nexum sends nothing.
pub(super) fn current(
    supervisor: &SupervisorHandle,
    refused: Vec<RefusedModule>,
    halted: Vec<Problem>,
) -> Vec<Condition> {
    supervisor.look();
    let mut found = Vec::new();
    let mut store_failure = None;
    for status in supervisor.modules() {
        let name = status.name().as_str();
        let about = |kind, text: String, since_ms, hint: String| Condition {
            kind,
            module: Some(name.to_owned()),
            chain: None,
            account: None,
            text,
            since_ms,
            hint,
        };
        let reason = status.reason();
        // The text of a failure can have a backtrace.
        let text = reason.text.lines().next().unwrap_or_default();
        let since_ms = Some(reason.since_ms);
        match status.stage() {
            Stage::Dead => found.push(about(
                ConditionKind::ModuleDead,
                format!("the module is dead: {text}"),
                since_ms,
                format!("read `nexum logs {name}`, remove the cause, and run `nexum module restart {name}`"),
            )),
            Stage::Stalled if store_failure.is_none() => {
                store_failure = Some(Condition {
                    module: None,
                    ..about(
                        ConditionKind::StoreFailure,
                        format!("the state store failed, and modules wait for it: {text}"),
                        since_ms,
                        "free disk space or repair the disk; `nexum status` shows the modules that wait".to_owned(),
                    )
                });
            }
            _ => {}
        }
        let letters = status.dead_letters();
        if letters > 0 {
            let events = count(letters, "event");
            found.push(about(
                ConditionKind::DeadLetters,
                format!("the module failed to handle {events}, and continues without"),
                None,
                format!("list the events with `nexum dead-letter list {name}`, and retry or skip them"),
            ));
        }
    }
    found.extend(store_failure);
    found.extend(
        supervisor
            .troubled_chains()
            .into_iter()
            .map(|(chain, reason)| Condition {
                kind: ConditionKind::ChainOutage,
                module: None,
                chain: Some(chain),
                account: None,
                text: format!("nexum cannot follow chain {chain}: {}", reason.text),
                since_ms: Some(reason.since_ms),
                hint: "`nexum chains` shows the endpoints, and `nexum status` the modules that wait".to_owned(),
            }),
    );
    found.extend(refused.into_iter().map(
        |RefusedModule {
             name, reason, since_ms, ..
         }| Condition {
            kind: ConditionKind::ModuleRefused,
            module: Some(name),
            chain: None,
            account: None,
            text: format!("nexum refused the module: {reason}"),
            since_ms: Some(since_ms),
            hint: "correct its files, check them with `nexum check`, and run `nexum module load`".to_owned(),
        },
    ));
    found.extend(halted.into_iter().map(|problem| {
        let account = problem.account.unwrap_or_default();
        let chain = problem.chain.map(|chain| format!(" on chain {chain}"));
        Condition {
            kind: ConditionKind::AccountHalted,
            module: None,
            chain: problem.chain,
            text: format!("account {account}{}: {}", chain.unwrap_or_default(), problem.reason),
            since_ms: problem.since_ms,
            hint: format!("look at the account, and run `nexum account sync {account}`"),
            account: Some(account),
        }
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: ConditionKind, module: &str) -> Condition {
        Condition {
            kind,
            module: Some(module.to_owned()),
            chain: None,
            account: None,
            text: "t".to_owned(),
            since_ms: None,
            hint: "h".to_owned(),
        }
    }

    /// Looks each second while `holds` is true, and returns the seconds of the reports.
    fn reports(kind: ConditionKind, until: u64, holds: impl Fn(u64) -> bool) -> Vec<(u64, Phase, u64)> {
        let mut conditions = Conditions::default();
        let mut found = Vec::new();
        for second in 0..until {
            let current = holds(second).then(|| condition(kind, "m"));
            let changes = conditions.look(
                current.into_iter().collect(),
                Duration::from_secs(second),
                second * 1_000,
            );
            found.extend(
                changes
                    .into_iter()
                    .map(|change| (second, change.phase, change.since_ms)),
            );
        }
        found
    }

    #[test]
    fn a_condition_is_reported_when_it_begins_once_an_hour_and_when_it_ends() {
        let found = reports(ConditionKind::ModuleDead, 10_000, |second| (5..8_000).contains(&second));
        assert_eq!(
            found,
            [
                (5, Phase::Began, 5_000),
                (3_605, Phase::Lasts, 5_000),
                (7_205, Phase::Lasts, 5_000),
                (8_000, Phase::Ended, 5_000)
            ]
        );
    }

    #[test]
    fn an_outage_has_to_last_and_its_end_too() {
        let found = reports(ConditionKind::ChainOutage, 200, |second| {
            // Seconds 20 to 25, and then 50 to 100 with a pause.
            (20..25).contains(&second) || ((50..100).contains(&second) && second != 80)
        });
        assert_eq!(found, [(60, Phase::Began, 50_000), (110, Phase::Ended, 50_000)]);
    }

    #[test]
    fn each_subject_has_its_own_condition() {
        let mut conditions = Conditions::default();
        let current = |names: &[&str]| {
            names
                .iter()
                .map(|name| condition(ConditionKind::ModuleDead, name))
                .collect()
        };
        let mut look = |names: &[&str], second| {
            let changes = conditions.look(current(names), Duration::from_secs(second), second);
            let change = |change: Change| (change.phase, change.condition.module.unwrap_or_default());
            changes.into_iter().map(change).collect::<Vec<_>>()
        };
        assert_eq!(look(&["a"], 0), [(Phase::Began, "a".to_owned())]);
        assert_eq!(look(&["a", "b"], 1), [(Phase::Began, "b".to_owned())]);
        assert_eq!(look(&["b"], 2), [(Phase::Ended, "a".to_owned())]);
        assert_eq!(look(&["a", "b"], 3), [(Phase::Began, "a".to_owned())]);
    }
}
