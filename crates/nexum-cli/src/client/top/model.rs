//! Everything that the screen shows: the last answers of the daemon, the recent past, and the operator's choices.

use std::collections::HashMap;

use super::past::Past;
use crate::client::status::needs_operator;
use crate::client::stream::Followed;
use crate::protocol::chains::Chain;
use crate::protocol::events::{EventKind, EventRecord};
use crate::protocol::health::Health;
use crate::protocol::limits::Usage;
use crate::protocol::logs::GapReason;
use crate::protocol::modules::Module;
use crate::report::Refusals;

/// The answers of the daemon to one look.
pub(super) struct Answers {
    pub(super) modules: Vec<Module>,
    pub(super) chains: Vec<Chain>,
    pub(super) health: Health,
    /// The limits of the opened module.
    pub(super) limits: Vec<Usage>,
}

/// The time without an answer of the daemon.
pub(super) struct Outage {
    pub(super) since_ms: u64,
    /// The time of the next answer. None while the daemon does not answer.
    pub(super) until_ms: Option<u64>,
    pub(super) why: String,
}

/// The time for which the screen says that the daemon answers again.
const NEWS_MS: u64 = 10 * 60 * 1_000;

/// The time after the end of an outage in which the stream of events still reports the restart.
const SAME_OUTAGE_MS: u64 = 10_000;

impl Outage {
    /// Whether the daemon does not answer, or only recently does again.
    pub(super) fn is_news(&self, now_ms: u64) -> bool {
        self.until_ms
            .is_none_or(|until_ms| now_ms.saturating_sub(until_ms) < NEWS_MS)
    }
}

/// The order of the modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The modules that need the operator first.
    #[default]
    Need,
    Name,
    Behind,
    Rate,
    Latency,
    Memory,
    DeadLetters,
}

/// The part of the screen below the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    #[default]
    List,
    /// The list, while the operator types the filter.
    Filter,
    /// The selected module.
    Module,
    Help,
}

/// Everything that the screen shows.
pub(super) struct Model {
    pub(super) answers: Answers,
    pub(super) at_ms: u64,
    pub(super) outage: Option<Outage>,
    pub(super) pasts: HashMap<String, Past>,
    /// The time at which the last condition that needed the operator ended.
    pub(super) ended_ms: Option<u64>,
    pub(super) view: View,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    /// The name of the selected module.
    pub(super) selected: Option<String>,
    pub(super) has_colours: bool,
    /// Whether the screen has to change.
    pub(super) is_changed: bool,
}

impl Model {
    pub(super) fn new(answers: Answers, has_colours: bool, now_ms: u64) -> Self {
        let mut model = Self {
            answers,
            at_ms: now_ms,
            outage: None,
            pasts: HashMap::new(),
            ended_ms: None,
            view: View::default(),
            sort: Sort::default(),
            is_reversed: false,
            filter: String::new(),
            selected: None,
            has_colours,
            is_changed: true,
        };
        model.sample();
        model
    }

    /// Takes the result of a look.
    pub(super) fn take(&mut self, looked: Result<Answers, Refusals>, now_ms: u64) {
        self.is_changed = true;
        match looked {
            Ok(answers) => {
                (self.answers, self.at_ms) = (answers, now_ms);
                if let Some(outage) = &mut self.outage {
                    outage.until_ms.get_or_insert(now_ms);
                }
                self.sample();
            }
            Err(refusals) => {
                let lasting = self.outage.take().filter(|outage| outage.until_ms.is_none());
                self.outage = Some(Outage {
                    since_ms: lasting.map_or(now_ms, |outage| outage.since_ms),
                    until_ms: None,
                    why: refusals.errors().collect::<Vec<_>>().join("; "),
                });
            }
        }
    }

    /// Adds the counts of the last look to the past of each module, and forgets the modules that are gone.
    fn sample(&mut self) {
        let mut before = std::mem::take(&mut self.pasts);
        for module in &self.answers.modules {
            let mut past = before.remove(&module.name).unwrap_or_default();
            past.sample(module.handled, self.at_ms);
            self.pasts.insert(module.name.clone(), past);
        }
    }

    /// Takes a message of the stream. Returns whether the daemon's answers have changed since the last look.
    pub(super) fn happened(&mut self, followed: Followed<EventRecord>) -> bool {
        let event = match followed {
            Followed::Record(event) => event,
            Followed::Gap(gap) => {
                if gap.why == GapReason::Restarted && !self.knows_outage() {
                    self.outage = Some(Outage {
                        since_ms: self.at_ms,
                        until_ms: None,
                        why: gap.words(),
                    });
                }
                self.is_changed = true;
                return true;
            }
        };
        match event.kind {
            EventKind::Handled | EventKind::Failed | EventKind::DeadLetter => {
                if let Some(past) = event.module.as_ref().and_then(|name| self.pasts.get_mut(name)) {
                    past.add(event);
                }
                false
            }
            EventKind::ConditionEnded => {
                self.ended_ms = self.ended_ms.max(Some(event.at_ms));
                true
            }
            _ => true,
        }
    }

    /// Whether the daemon does not answer, or has begun to again just now.
    fn knows_outage(&self) -> bool {
        let is_over = |until_ms: u64| self.at_ms.saturating_sub(until_ms) > SAME_OUTAGE_MS;
        let outage = self.outage.as_ref();
        outage.is_some_and(|outage| outage.until_ms.is_none_or(|until_ms| !is_over(until_ms)))
    }

    /// The time of the last change of a module, a chain or a condition.
    pub(super) fn calm_since_ms(&self) -> Option<u64> {
        let modules = self.answers.modules.iter().filter_map(|module| module.reason_since_ms);
        let chains = self.answers.chains.iter();
        let chains = chains.filter_map(|chain| chain.following.as_ref().map(|following| following.since_ms));
        modules.chain(chains).chain(self.ended_ms).max()
    }

    /// The modules that match the filter, in the operator's order.
    pub(super) fn shown(&self) -> Vec<&Module> {
        let wanted = self.filter.to_lowercase();
        let matches = |module: &&Module| {
            let text = format!("{} {}", module.name, module.stage);
            text.to_lowercase().contains(&wanted)
        };
        let mut shown: Vec<_> = self.answers.modules.iter().filter(matches).collect();
        let past = |module: &Module| self.pasts.get(&module.name);
        // The largest first; the names are in alphabetical order.
        let key = |module: &Module| match self.sort {
            Sort::Name => 0.0,
            Sort::Need => f64::from(u8::from(needs_operator(module, self.at_ms))),
            Sort::Behind => behind(module).map_or(-1.0, |behind| behind as f64),
            Sort::Rate => past(module).and_then(|past| past.rates.back()).copied().unwrap_or(-1.0),
            Sort::Latency => past(module).and_then(Past::took_us).map_or(-1.0, |took| took as f64),
            Sort::Memory => module.memory_bytes as f64,
            Sort::DeadLetters => module.dead_letters as f64,
        };
        shown.sort_by(|one, other| key(other).total_cmp(&key(one)).then_with(|| one.name.cmp(&other.name)));
        if self.is_reversed {
            shown.reverse();
        }
        shown
    }

    /// The position of the selected module among the shown ones.
    pub(super) fn selected_in(&self, shown: &[&Module]) -> usize {
        let is_selected = |module: &&Module| Some(&module.name) == self.selected.as_ref();
        shown.iter().position(is_selected).unwrap_or(0)
    }

    /// The module whose details the screen shows.
    pub(super) fn opened(&self) -> Option<String> {
        self.selected.clone().filter(|_| self.view == View::Module)
    }
}

/// The most blocks that the module is behind on one of its chains.
pub(super) fn behind(module: &Module) -> Option<u64> {
    let chains = module.events.iter().flat_map(|events| &events.chains);
    chains.filter_map(|chain| chain.behind).max()
}

/// The largest lag of the module on one of its chains, in milliseconds.
pub(super) fn lag_ms(module: &Module) -> Option<u64> {
    let chains = module.events.iter().flat_map(|events| &events.chains);
    chains.filter_map(|chain| chain.lag_ms).max()
}
