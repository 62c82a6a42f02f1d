//! The stage of a module, with its reason.

use std::error::Error;
use std::sync::Arc;

use nexum_config::topic::ChainTopic;

use super::ModuleStatus;
use crate::bus::report::Trouble;
use crate::bus::source::SourceError;
use crate::ledger::{Entry, Ledger, StageEntry};
use crate::logged;
use crate::reason::Reason;
use crate::runner::stage::Stage;

/// The progress of a module that catches up with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaying {
    /// The topic.
    pub topic: ChainTopic,
    /// The number of the first replayed block.
    pub from: u64,
    /// The number of the last block that the module has read.
    pub at: u64,
    /// The number of the last block to read, as far as nexum knows now.
    pub to: u64,
}

/// The stage of a module, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The stage.
    pub stage: Stage,
    /// The reason of the stage, and the time since which the module is in it. The text of a failure
    /// can have several lines.
    pub reason: Reason,
    /// The time of the next attempt in [`Stage::Backoff`], and of the next attempt to reach the chain in
    /// [`Stage::WaitingForChain`], in milliseconds since the Unix epoch. `None` if nexum does not know it.
    pub next_try_ms: Option<u64>,
}

/// The parts of a module's condition, which change together. The runner writes its own stage. The
/// others hold only while that is [`Stage::Running`].
#[derive(Debug)]
pub(super) struct Shown {
    own: Condition,
    replaying: Vec<Replaying>,
    /// The begin of the replay, in milliseconds since the Unix epoch.
    replaying_since_ms: u64,
    /// The topics of which the source cannot deliver the next blocks.
    unreadable: Vec<(ChainTopic, Reason)>,
    /// The trouble of a chain.
    trouble: Option<Trouble>,
    /// Why the module is behind.
    behind: Option<Reason>,
}

impl Shown {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            own: Condition::new(Stage::Starting, words(Stage::Starting), now_ms),
            replaying: Vec::new(),
            replaying_since_ms: now_ms,
            unreadable: Vec::new(),
            trouble: None,
            behind: None,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.own.stage {
            // nexum counts no failed attempt while the chain has trouble.
            Stage::Running | Stage::Backoff if self.trouble.is_some() => Stage::WaitingForChain,
            Stage::Running if !self.unreadable.is_empty() => Stage::WaitingForChain,
            Stage::Running if !self.replaying.is_empty() => Stage::Replaying,
            Stage::Running if self.behind.is_some() => Stage::Behind,
            stage => stage,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let stage = self.stage();
        let trouble = self.trouble.as_ref().filter(|_| stage == Stage::WaitingForChain);
        let reason = match (stage, trouble) {
            (_, Some(trouble)) => Some(trouble.clone().into()),
            _ if stage == self.own.stage => return self.own.clone(),
            (Stage::WaitingForChain, _) => self.unreadable.first().map(|(_, reason)| reason.clone()),
            (Stage::Replaying, _) => Some(self.progress()),
            _ => self.behind.clone(),
        };
        Condition {
            stage,
            reason: reason.unwrap_or_else(|| self.own.reason.clone()),
            next_try_ms: trouble.and_then(|trouble| trouble.next_try_ms),
        }
    }

    fn progress(&self) -> Reason {
        let one = |one: &Replaying| format!("chain {}: block {} of {}", one.topic, one.at, one.to);
        let all: Vec<_> = self.replaying.iter().map(one).collect();
        Reason {
            text: all.join(", ").into(),
            since_ms: self.replaying_since_ms,
        }
    }

    pub(super) fn replaying(&self) -> &[Replaying] {
        &self.replaying
    }

    /// Whether the module reads all topics from their logs.
    pub(super) fn is_live(&self) -> bool {
        self.replaying.is_empty() && self.unreadable.is_empty()
    }

    /// Whether the runner handles events.
    pub(super) fn is_running(&self) -> bool {
        self.own.stage == Stage::Running
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Enters a stage of the runner. A stage that continues keeps its begin.
    pub(super) fn enter(&mut self, stage: Stage, text: &str, now_ms: u64) {
        let continues = self.own.stage == stage;
        let since_ms = if continues { self.own.reason.since_ms } else { now_ms };
        self.own = Condition::new(stage, text, since_ms);
    }

    /// Enters a stage since this time.
    pub(super) fn enter_since(&mut self, stage: Stage, error: &(dyn Error + 'static), since_ms: u64) {
        self.own = Condition {
            stage,
            reason: Reason::new(error, since_ms),
            next_try_ms: None,
        };
    }

    /// Enters [`Stage::Backoff`] until this time.
    pub(super) fn back_off(&mut self, text: &str, now_ms: u64, next_try_ms: u64) {
        self.own = Condition {
            next_try_ms: Some(next_try_ms),
            ..Condition::new(Stage::Backoff, text, now_ms)
        };
    }

    /// Records that [`Stage::Running`] begins, after another condition of a module that runs.
    pub(super) fn begin_to_run(&mut self, now_ms: u64) {
        self.own.reason.since_ms = now_ms;
    }

    /// Records how the module reads a topic: the range of its replay, and the failure of its source.
    pub(super) fn set_reading(
        &mut self,
        topic: ChainTopic,
        range: Option<(u64, u64, u64)>,
        failed: Option<&SourceError>,
        now_ms: u64,
    ) {
        if self.replaying.is_empty() {
            self.replaying_since_ms = now_ms;
        }
        self.replaying.retain(|one| one.topic != topic);
        let range = range.map(|(from, at, to)| Replaying { topic, from, at, to });
        self.replaying.extend(range);
        let earlier = self.unreadable.iter().position(|(unreadable, _)| *unreadable == topic);
        let earlier = earlier.map(|index| self.unreadable.remove(index).1.since_ms);
        let reason = failed.map(|error| Reason::new(error, earlier.unwrap_or(now_ms)));
        self.unreadable.extend(reason.map(|reason| (topic, reason)));
    }

    /// Forgets all topics except these.
    pub(super) fn retain_topics(&mut self, topics: &std::collections::BTreeSet<ChainTopic>) {
        self.replaying.retain(|one| topics.contains(&one.topic));
        self.unreadable.retain(|(topic, _)| topics.contains(topic));
    }

    /// Records the trouble of the module's chains. Returns whether something has changed.
    pub(super) fn set_trouble(&mut self, trouble: Option<Trouble>) -> bool {
        let has_changed = self.trouble != trouble;
        self.trouble = trouble;
        has_changed
    }

    /// Records why the module is behind. A reason that continues keeps its begin. Returns whether
    /// something has changed.
    pub(super) fn set_behind(&mut self, behind: Option<Arc<str>>, now_ms: u64) -> bool {
        let since_ms = self.behind.as_ref().map_or(now_ms, |earlier| earlier.since_ms);
        let behind = behind.map(|text| Reason { text, since_ms });
        let has_changed = self.behind != behind;
        self.behind = behind;
        has_changed
    }
}

impl Condition {
    fn new(stage: Stage, text: &str, since_ms: u64) -> Self {
        let reason = Reason {
            text: text.into(),
            since_ms,
        };
        Self {
            stage,
            reason,
            next_try_ms: None,
        }
    }
}

/// The reason of a stage that needs no further one.
pub(super) fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Starting => "`init` has not returned yet",
        Stage::Running => "the module handles events as they arrive",
        Stage::Stopped => "the operator stopped the module",
        stage => stage.words(),
    }
}

impl ModuleStatus {
    /// Makes the record of a new stage. It is below INFO, because the code that fails logs its failure
    /// too.
    pub(super) fn log_stage(&self, Condition { stage, reason, .. }: &Condition) {
        tracing::debug!(
            name: logged::STAGE_CHANGED,
            target: logged::STAGE,
            module = self.name.as_str(),
            stage = stage.name(),
            reason = &*reason.text,
            since_ms = reason.since_ms,
            "the module is {stage}"
        );
        if let Some(ledger) = self.ledger.get() {
            ledger.push(Entry::Stage(StageEntry {
                module: self.name.to_string(),
                stage: stage.words().to_owned(),
                reason: reason.text.to_string(),
            }));
        }
    }

    /// Records later stages in a ledger.
    pub(in crate::runner) fn report_to(&self, ledger: Ledger) {
        // A runner has one ledger for its whole life.
        let _ = self.ledger.set(ledger);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TOPIC: ChainTopic = ChainTopic {
        chain_id: 31_337,
        finality: nexum_config::topic::Finality::Latest,
    };

    fn is(shown: &Shown, stage: Stage, text: &str, since_ms: u64) {
        let condition = shown.condition();
        let found = (condition.stage, &*condition.reason.text, condition.reason.since_ms);
        assert_eq!((found, shown.stage()), ((stage, text, since_ms), stage));
    }

    #[test]
    fn each_stage_has_the_reason_of_the_first_condition_that_holds() {
        let mut shown = Shown::new(1);
        is(&shown, Stage::Starting, "`init` has not returned yet", 1);
        shown.enter(Stage::Running, words(Stage::Running), 2);
        shown.enter(Stage::Running, words(Stage::Running), 3);
        is(&shown, Stage::Running, "the module handles events as they arrive", 2);
        assert!(shown.set_behind(Some("chain 99 %".into()), 4));
        assert!(!shown.set_behind(Some("chain 99 %".into()), 5));
        is(&shown, Stage::Behind, "chain 99 %", 4);
        shown.set_reading(TOPIC, Some((1, 500, 9_000)), None, 6);
        shown.set_reading(TOPIC, Some((1, 501, 9_000)), None, 7);
        is(&shown, Stage::Replaying, "chain 31337: block 501 of 9000", 6);
        let error = SourceError::new(31_337, "no answer");
        shown.set_reading(TOPIC, None, Some(&error), 8);
        shown.set_reading(TOPIC, None, Some(&error), 9);
        is(&shown, Stage::WaitingForChain, "chain 31337: no answer", 8);
        let trouble = Trouble {
            text: "chain 31337: 2 of 2 endpoints down".into(),
            since_ms: 7,
            next_try_ms: Some(15),
        };
        assert!(shown.set_trouble(Some(trouble.clone())));
        assert!(!shown.set_trouble(Some(trouble)));
        let down = |shown: &Shown| {
            is(shown, Stage::WaitingForChain, "chain 31337: 2 of 2 endpoints down", 7);
            assert_eq!(shown.condition().next_try_ms, Some(15));
        };
        down(&shown);
        shown.back_off("attempt 3 of 5", 12, 20);
        down(&shown);
        shown.enter(Stage::WaitingForChain, "chain 31337: no answer so far", 13);
        down(&shown);
        shown.set_trouble(None);
        is(&shown, Stage::WaitingForChain, "chain 31337: no answer so far", 13);
        shown.back_off("attempt 3 of 5", 12, 20);
        is(&shown, Stage::Backoff, "attempt 3 of 5", 12);
        assert_eq!(shown.condition().next_try_ms, Some(20));
        shown.enter(Stage::Running, words(Stage::Running), 21);
        shown.retain_topics(&BTreeSet::new());
        shown.set_behind(Some("chain 97 %".into()), 22);
        is(&shown, Stage::Behind, "chain 97 %", 4);
    }
}
