//! The task that looks at the conditions, and reports their changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, Unit, describe_gauge, gauge};
use nexum_core::logged;
use tokio::time::Instant;

use super::api::ApiState;
use super::conditions::{self, Change, Conditions};
use super::feed::{CONDITION_BEGAN, CONDITION_ENDED, CONDITION_LASTS};
use super::levels::CONDITION;
use super::records::Selection;
use crate::protocol::conditions::{ConditionKind, Phase};

/// The interval of the looks: a condition is news for hours, and a look costs microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Gauge: the modules that nexum refused at the start, and that are still wanted and not loaded.
const REFUSED: &str = "nexum_modules_refused";

/// Reports conditions that begin, last and end: as records for `nexum events`, and to the receivers of
/// `[notify]`.
pub(super) struct Alerts {
    conditions: Conditions,
    begun: Instant,
    refused: Gauge,
}

impl Alerts {
    pub(super) fn new() -> Self {
        describe_gauge!(
            REFUSED,
            Unit::Count,
            "modules refused at the start and not loaded since"
        );
        Self {
            conditions: Conditions::default(),
            begun: Instant::now(),
            refused: gauge!(REFUSED),
        }
    }

    /// Looks at the conditions. Never returns.
    pub(super) async fn attend(&mut self, api: &ApiState) -> Infallible {
        let mut turns = tokio::time::interval(LOOK_EVERY);
        loop {
            turns.tick().await;
            self.look(api);
        }
    }

    /// Looks once more, because the run may have ended with a condition, and waits for the last
    /// messages.
    pub(super) async fn finish(mut self, api: &ApiState, has_failed: bool) {
        if has_failed {
            self.look(api);
        }
        api.notifier.finish().await;
    }

    fn look(&mut self, api: &ApiState) {
        let refused = api.refused.missing(&api.host);
        self.refused.set(refused.len() as f64);
        let current = conditions::current(&api.supervisor, refused, api.transactions.halted());
        let changes = self
            .conditions
            .look(current, self.begun.elapsed(), api.records.now_ms());
        for change in changes {
            let event = match change.condition.kind {
                ConditionKind::DeadLetters => last_dead_letter(api, change.condition.module.as_deref()),
                _ => None,
            };
            record(&change, event.as_deref());
            api.notifier.send(change, event);
        }
    }
}

/// The id of the module's last event that became a dead letter, if its record is still kept.
fn last_dead_letter(api: &ApiState, module: Option<&str>) -> Option<String> {
    let selection = Selection {
        module: module.map(Arc::from),
        wants: Arc::new(|record| record.name == logged::DEAD_LETTER),
    };
    let (found, _) = api.records.last(&selection, 1);
    found.first()?.event.as_deref().map(str::to_owned)
}

/// Makes the record of a change. It is below INFO, because the code that fails logs its failure too.
fn record(change: &Change, event: Option<&str>) {
    let Change {
        phase,
        condition,
        since_ms,
    } = change;
    let (kind, module, chain) = (condition.kind.word(), condition.module.as_deref(), condition.chain);
    let account = condition.account.as_deref();
    let (hint, text) = (condition.hint.as_str(), condition.text.as_str());
    macro_rules! record {
        ($name:ident) => {
            tracing::debug!(name: $name, target: CONDITION, kind, module, chain, account, event, since_ms, hint, "{text}")
        };
    }
    match phase {
        Phase::Began => record!(CONDITION_BEGAN),
        Phase::Ended => record!(CONDITION_ENDED),
        Phase::Lasts | Phase::Test => record!(CONDITION_LASTS),
    }
}
