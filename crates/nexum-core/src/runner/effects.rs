//! A runner's part of its module's effects.

use super::feed::Feed;
use super::feed::settled;
use super::{Runner, Transaction};
use crate::capability::effects::EFFECT;
use crate::module::instance::CommitIntents;
use crate::state::{Effect, EffectChanges, EffectState, Part};
use crate::store::Batch;
use crate::store::committer::CommitError;

/// Makes the intents of a handler's effects durable.
pub(super) struct Intents<'a> {
    transaction: &'a mut Transaction,
    feeds: &'a [Feed],
    /// The failure of a commit, which ends the handler call.
    pub(super) failed: Option<CommitError>,
}

impl<'a> Intents<'a> {
    pub(super) fn new(transaction: &'a mut Transaction, feeds: &'a [Feed]) -> Self {
        Self {
            transaction,
            feeds,
            failed: None,
        }
    }
}

impl CommitIntents for Intents<'_> {
    async fn commit(&mut self, effects: Vec<Effect>, rows: Batch, transcript: Option<Part>) -> bool {
        let settled = settled(self.feeds);
        let committed = self
            .transaction
            .commit_intent(effects, rows, transcript, &settled)
            .await;
        self.failed = committed.err();
        self.failed.is_none()
    }
}

impl Runner {
    /// Commits what a failed handler call has left: the outcomes of its effects.
    pub(super) async fn commit_effects(&mut self, effects: Option<Box<EffectChanges>>) -> Result<(), CommitError> {
        let Some(effects) = effects else { return Ok(()) };
        self.count_effects(&effects);
        let committed = self.transaction.commit_effects(*effects, &settled(&self.feeds)).await;
        self.show_effects();
        committed
    }

    /// Counts the outcomes of a handler call's effects, and reports those of earlier attempts that the module's
    /// state does not know.
    pub(super) fn count_effects(&self, effects: &EffectChanges) {
        let metrics = &self.status.metrics;
        for effect in &effects.set {
            metrics.effect(&effect.kind, effect.state.name());
        }
        for effect in &effects.stranded {
            self.report_stranded(effect, "a later attempt at its event went another way");
        }
    }

    /// Reports the stranded effects that no event adopts any more, and shows how many effects are in doubt.
    pub(super) fn show_effects(&mut self) {
        self.status.set_effects_in_doubt(self.transaction.effects_in_doubt());
        for effect in self.transaction.take_lost_effects() {
            self.report_stranded(&effect, "a reorganisation removed its event, and no new event has it");
        }
    }

    fn report_stranded(&self, effect: &Effect, reason: &str) {
        self.status.metrics.stranded_effect();
        let outcome = match &effect.state {
            EffectState::Done(_) => "it has happened",
            _ => "it may have happened",
        };
        tracing::warn!(
            target: EFFECT,
            module = self.module.meta.name.as_str(),
            event = %effect.event,
            effect = effect.number,
            kind = effect.kind,
            to = effect.target,
            "an effect is stranded: {outcome}, and the module's state does not know it, because {reason}"
        );
    }
}
