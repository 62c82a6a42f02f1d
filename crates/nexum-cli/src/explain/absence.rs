//! Why a module has no attempt at an event: from its state, and from the logs of the block.

mod nearest;

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_config::manifest::{CatchUp, Subscription};
use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainTopic, Topic};
use nexum_core::source::{Log, Replay};
use nexum_core::state::Cursors;
use nexum_core::state::admin;
use nexum_core::store::{self, StateStore, StoreError};
use nexum_core::supervisor::{SteerError, SupervisorHandle};
use nexum_core::{Condition, HostHandle, ModuleStatus, Stage, TopicPosition};
use nexum_ledger::Reader;

use super::question::Question;
use crate::protocol::explain::{Answer, Explanation, NearestMiss};
use crate::report::{count, time};

/// The running daemon, for a question that the ledger cannot answer.
pub(crate) struct Running<'a> {
    pub(crate) host: &'a HostHandle,
    pub(crate) supervisor: &'a SupervisorHandle,
    pub(crate) store: &'a Arc<dyn StateStore>,
    pub(crate) reader: Reader,
}

/// Why there is no attempt.
struct Reason {
    answer: Answer,
    text: String,
    nearest_miss: Option<NearestMiss>,
}

fn reason(answer: Answer, text: String) -> Reason {
    Reason {
        answer,
        text,
        nearest_miss: None,
    }
}

impl Running<'_> {
    /// Adds to an explanation without attempts why there is none.
    ///
    /// # Errors
    ///
    /// If the state store cannot be read.
    pub(crate) async fn explain(
        &self,
        question: &Question,
        explanation: Explanation,
    ) -> Result<Explanation, StoreError> {
        if !explanation.handlings.is_empty() {
            return Ok(Explanation {
                handlings: explanation.handlings.into_iter().map(|one| self.settled(one)).collect(),
                ..explanation
            });
        }
        let has_lost = !explanation.missing.is_empty();
        let reason = match question {
            Question::Module(name) => self.of_module(name).await?,
            Question::Block(name, block) => self.of_block(name, *block, None, has_lost).await?,
            Question::Event { id, number } => self.of_event(id, *number, has_lost).await?,
        };
        Ok(Explanation {
            answer: reason.answer,
            summary: reason.text,
            nearest_miss: reason.nearest_miss,
            ..explanation
        })
    }

    /// Says whether a reorganisation can still revert a handling.
    fn settled(&self, mut one: crate::protocol::explain::Explained) -> crate::protocol::explain::Explained {
        let depth = one.handling.chain.and_then(|chain| {
            let source = self.supervisor.source(chain)?;
            Some((source.report().head?.number, source.reorg_depth_max()))
        });
        one.settled = one
            .handling
            .block
            .zip(depth)
            .map(|(block, (head, depth))| head >= block.saturating_add(depth));
        one
    }

    async fn of_event(&self, id: &str, number: u64, has_lost: bool) -> Result<Reason, StoreError> {
        let chain = id.split([':', '@']).next().and_then(|chain| chain.parse().ok());
        let follows = |status: &Arc<ModuleStatus>| {
            let module = status.module();
            chain.is_some() && module.subscriptions.iter().any(|one| one.chain_id() == chain)
        };
        let modules: Vec<_> = self.host.modules().into_iter().filter(follows).collect();
        let mut reasons = Vec::new();
        for module in &modules {
            reasons.push(self.of_block(module.name(), number, chain, has_lost).await?);
        }
        let text: Vec<_> = reasons.iter().map(|reason| reason.text.clone()).collect();
        let first = reasons.into_iter().next();
        Ok(first.map_or_else(
            || {
                reason(
                    Answer::NotMatched,
                    format!("no module gets {id}: none subscribes to its chain or schedule"),
                )
            },
            |first| Reason {
                text: text.join("; "),
                ..first
            },
        ))
    }

    async fn of_module(&self, name: &ModuleName) -> Result<Reason, StoreError> {
        match self.supervisor.module(name) {
            Ok(status) => {
                let why = self
                    .standing(&status)
                    .unwrap_or_else(|| "it waits for its first event".to_owned());
                Ok(reason(
                    Answer::NotReached,
                    format!("{name} has no event in the ledger: {why}"),
                ))
            }
            Err(error) => self.absent(name, &error).await,
        }
    }

    async fn of_block(
        &self,
        name: &ModuleName,
        block: u64,
        chain: Option<u64>,
        has_lost: bool,
    ) -> Result<Reason, StoreError> {
        self.host.look();
        let status = match self.supervisor.module(name) {
            Ok(status) => status,
            Err(error) => return self.absent(name, &error).await,
        };
        let module = status.module();
        let is_wanted = |topic: &ChainTopic| chain.is_none_or(|chain| topic.chain_id == chain);
        let topics = module.subscriptions.iter().filter_map(|one| match one.topic() {
            Topic::Chain(topic) => Some(topic),
            Topic::Schedule(_) => None,
        });
        let topics: BTreeSet<_> = topics.filter(is_wanted).collect();
        let cursors = self.cursors(name).await?;
        let mut first_reason = None;
        for topic in topics {
            let reason = self.of_topic(&status, topic, &cursors, block, has_lost).await;
            // A block below the start of one chain can be one of another chain.
            if !matches!(reason.answer, Answer::BeforeStart) {
                return Ok(reason);
            }
            first_reason.get_or_insert(reason);
        }
        Ok(first_reason.unwrap_or_else(|| {
            reason(
                Answer::NotMatched,
                format!("{name} gets no blocks: its subscriptions are ticks of schedules"),
            )
        }))
    }

    async fn of_topic(
        &self,
        status: &ModuleStatus,
        topic: ChainTopic,
        cursors: &Cursors,
        block: u64,
        has_lost: bool,
    ) -> Reason {
        let (name, module) = (status.name(), status.module());
        let subscriptions = module
            .subscriptions
            .iter()
            .filter(|one| one.topic() == Topic::Chain(topic));
        let subscriptions: Vec<&Subscription> = subscriptions.collect();
        let cursor = cursors.get(topic.into());
        let live_from = cursor.map(|cursor| cursor.live_from);
        let first = |one: &&Subscription| one.from_block().or(live_from);
        let position = status.positions().into_iter().find_map(|position| match position {
            TopicPosition::Chain(position) if position.topic == topic => Some(position),
            _ => None,
        });
        let (at, head) = position.map_or((None, None), |position| (position.at, position.head));
        if let Some(first) = subscriptions.iter().filter_map(first).min()
            && block < first
        {
            let text = format!("block {block} is before the first one of {name} on chain {topic}, which is {first}");
            return reason(Answer::BeforeStart, text);
        }
        if at.is_none_or(|at| at < block) {
            let mut text = format!("{name} has not reached block {block} of chain {topic}");
            if let Some(head) = head.filter(|head| *head < block) {
                text += &format!(": the newest block that nexum has read is {head}");
            } else if let Some(at) = at {
                text += &format!(": it is at block {at}");
            }
            if let Some(why) = self.standing(status) {
                text += &format!("; {why}");
            }
            return reason(Answer::NotReached, text);
        }
        let is_begun = |one: &&&Subscription| first(one).is_none_or(|first| first <= block);
        let begun: Vec<_> = subscriptions.iter().filter(is_begun).copied().collect();
        let blocks = begun.iter().find_map(|one| match one {
            Subscription::Block(block) => Some(block.catch_up),
            _ => None,
        });
        if blocks == Some(CatchUp::All) {
            return self.unrecorded(name, topic, block, has_lost);
        }
        let logs = match self.logs(topic, block).await {
            Ok(logs) => logs,
            Err(error) => {
                let text = format!(
                    "the ledger has no attempt of {name} at block {block}, and nexum cannot read the block's logs: {error}"
                );
                return reason(Answer::NotInLedger, text);
            }
        };
        let matches = |one: &&Subscription| match one {
            Subscription::Logs(wanted) => logs.iter().any(|log| wanted.filter.matches(&log.address, &log.topics)),
            _ => false,
        };
        if begun.iter().any(matches) {
            return self.unrecorded(name, topic, block, has_lost);
        }
        if blocks.is_some() {
            let text = format!("{name} gets only the newest of the blocks that it has missed, and {block} was not it");
            return reason(Answer::Skipped, text);
        }
        let mut text = format!("no log of block {block} of chain {topic} matched a subscription of {name}");
        let nearest_miss = nearest::miss(&begun, &logs);
        match &nearest_miss {
            Some(miss) => text += &format!(": {}", miss.difference),
            None => text += ": the block has no logs",
        }
        Reason {
            answer: Answer::NotMatched,
            text,
            nearest_miss,
        }
    }

    /// Why the ledger has nothing about an event that the module has handled or skipped.
    fn unrecorded(&self, name: &ModuleName, topic: ChainTopic, block: u64, has_lost: bool) -> Reason {
        let first = self.reader.first_of(name.as_str(), topic.into()).ok().flatten();
        if first.is_none_or(|first| block < first) {
            let begins = first.map_or_else(
                || "has no event of that chain".to_owned(),
                |first| format!("begins with block {first}"),
            );
            let text = format!("{name} is past block {block} of chain {topic}, and the ledger of {name} {begins}");
            return reason(Answer::BeforeLedger, text);
        }
        if has_lost {
            let text = format!(
                "{name} is past block {block} of chain {topic}, and the ledger lacks entries: the one about this block \
                 is among them"
            );
            return reason(Answer::Lost, text);
        }
        let text = format!("{name} is past block {block} of chain {topic}, and the ledger has no attempt at it");
        reason(Answer::NotInLedger, text)
    }

    /// All logs of a block.
    async fn logs(&self, topic: ChainTopic, block: u64) -> Result<Vec<Log>, String> {
        let source = self
            .supervisor
            .source(topic.chain_id)
            .ok_or("its chain has no source")?;
        let wanted = Replay {
            numbers: block..=block,
            blocks: false,
            filters: Arc::from([LogFilter::default()]),
        };
        let replayed = source.replay(&wanted).await.map_err(|error| error.to_string())?;
        Ok(replayed.blocks.iter().flat_map(|block| block.logs.clone()).collect())
    }

    async fn cursors(&self, name: &ModuleName) -> Result<Cursors, StoreError> {
        let name = name.clone();
        let read = move |store: &dyn StateStore| admin::summary(&*store.view()?, &name);
        let summary = store::blocking(self.store, read).await?;
        Ok(summary.map(|summary| summary.cursors).unwrap_or_default())
    }

    /// Why a module does not go on. `None` if it does.
    fn standing(&self, status: &ModuleStatus) -> Option<String> {
        let Condition { stage, reason, .. } = status.condition();
        let name = status.name();
        match stage {
            Stage::Running => None,
            Stage::Stopped => {
                let rows = self.host.operator_rows();
                let act = rows.get(name).and_then(|row| row.stopped.as_ref());
                let by = act
                    .map(|act| format!(" {act}, at {}", time(act.at_ms)))
                    .unwrap_or_default();
                Some(format!("the module was stopped{by}: `nexum module start {name}`"))
            }
            // The text of a failure can have a backtrace.
            stage => {
                let text = reason.text.lines().next().unwrap_or_default();
                Some(format!("the module is {stage}: {text}"))
            }
        }
    }

    /// Why a module handles no events here.
    async fn absent(&self, name: &ModuleName, error: &SteerError) -> Result<Reason, StoreError> {
        if let SteerError::NoEvents(_) = error {
            return Ok(reason(
                Answer::NotMatched,
                format!("{name} answers queries, and gets no events"),
            ));
        }
        if self.host.is_loading(name) {
            return Ok(reason(Answer::NotReached, format!("{name} is being loaded")));
        }
        let module = name.clone();
        let read = move |store: &dyn StateStore| admin::summary(&*store.view()?, &module);
        let summary = store::blocking(self.store, read).await?;
        Ok(match summary {
            Some(summary) => {
                let by = summary.operator.and_then(|row| row.removed);
                let by = by
                    .map(|act| format!(" (removed {act}, at {})", time(act.at_ms)))
                    .unwrap_or_default();
                reason(Answer::NotReached, format!("{name} is not loaded{by}: {error}"))
            }
            None => {
                let known: Vec<_> = self
                    .host
                    .all()
                    .iter()
                    .filter_map(|one| Some(one.origin()?.1.name.to_string()))
                    .collect();
                let known = format!("{}: {}", count(known.len(), "module"), known.join(", "));
                reason(
                    Answer::UnknownModule,
                    format!("there is no module {name}; the daemon has {known}"),
                )
            }
        })
    }
}
