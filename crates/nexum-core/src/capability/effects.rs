//! The effects of a module, for capabilities.

use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;

use super::View;
use crate::clock::Clock;
use crate::event::Handler;
use crate::state::RowChanges;
use crate::state::scope::BudgetExhausted;
use crate::state::scope::journal::{
    EffectCall, EffectError, EffectOutcome, EffectPlan, Journal, PreparedEffect, Sending,
};

/// The target of the records about effects.
pub(crate) const EFFECT: &str = "nexum::effect";

/// The journal of the current handler call. A capability has every effect through it: a request that changes
/// something outside nexum. The journal outlives no handler call.
#[derive(Clone)]
pub struct EffectJournal {
    journal: Journal,
    /// The number of the handler call.
    call: u64,
    /// The place of the effect among the host calls. `None` if the handler call has no transcript.
    place: Option<usize>,
    handler: Handler,
    module: ModuleName,
    clock: Arc<dyn Clock>,
}

impl<S> View<'_, S> {
    /// Takes one effect from the event's budget, and gives the journal for it. The journal also serves a task that
    /// continues beside the guest.
    ///
    /// # Errors
    ///
    /// Fails if the event has used up its effects. The host function returns the error as its trap.
    pub fn effect(&mut self) -> Result<EffectJournal, BudgetExhausted> {
        self.scope.spend(Limit::Effects, 1)?;
        Ok(EffectJournal {
            journal: self.scope.journal().clone(),
            call: self.scope.journal().call(),
            place: self.scope.journal().begin_effect(),
            handler: self.scope.handler(),
            module: self.meta.name.clone(),
            clock: self.meta.clock.clone(),
        })
    }
}

impl EffectJournal {
    /// Plans an effect. When the plan is to send the request, its record is durable with all earlier changes of the
    /// module, and this process may run the module.
    ///
    /// # Errors
    ///
    /// Fails if the handler may not have the effect, and the handler call then fails. The host function returns the
    /// error as its trap.
    pub async fn begin(&self, call: &EffectCall<'_>) -> Result<EffectPlan, EffectError> {
        self.journal.name_effect(self.call, self.place, call);
        let of = (self.call, self.handler);
        let plan = self.journal.begin(of, call, self.clock.now_ms()).await?;
        self.report(call, &plan);
        Ok(plan)
    }

    /// [`Self::begin`] for an effect that nexum itself carries out: its record becomes durable together with rows of
    /// the capability, and with its answer. `prepare` makes them. It runs if no earlier attempt has had the effect,
    /// and if it fails, there is no effect.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`]; inside, the error of `prepare`.
    pub async fn begin_with<E>(
        &self,
        call: &EffectCall<'_>,
        prepare: impl Future<Output = Result<PreparedEffect, E>>,
    ) -> Result<Result<EffectPlan, E>, EffectError> {
        self.journal.name_effect(self.call, self.place, call);
        let of = (self.call, self.handler);
        let prepare = async { prepare.await.map(Some) };
        let plan = self.journal.begin_with(of, call, self.clock.now_ms(), prepare).await?;
        if let Ok(plan) = &plan {
            self.report(call, plan);
        }
        Ok(plan)
    }

    /// Makes durable that nexum does not carry out an effect of [`Self::begin_with`] after all, together with rows of
    /// the capability. Another attempt may have the effect.
    ///
    /// # Errors
    ///
    /// Fails if the commit fails, and the handler call then fails. The host function returns the error as its trap.
    pub async fn refuse(&self, sending: Sending, rows: RowChanges) -> Result<(), EffectError> {
        self.journal.refuse(sending, rows, self.clock.now_ms()).await
    }

    fn report(&self, call: &EffectCall<'_>, plan: &EffectPlan) {
        if let EffectPlan::Answered(_) = plan {
            tracing::info!(
                target: EFFECT,
                module = self.module.as_str(),
                event = self.handler.event().map(tracing::field::display),
                kind = call.kind,
                to = call.target,
                "an earlier attempt has had this effect, so nexum answers without a request"
            );
        }
    }

    /// Records the outcome of an effect.
    pub fn settle(&self, sending: Sending, outcome: EffectOutcome) {
        self.journal.settle(sending, outcome, self.clock.now_ms());
    }
}
