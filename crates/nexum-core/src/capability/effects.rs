//! The effects of a module, for capabilities.

use std::convert::Infallible;
use std::sync::Arc;

use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;

use super::View;
use crate::bindings::nexum::host::types::HostError;
use crate::clock::Clock;
use crate::event::Handler;
use crate::state::RowChanges;
use crate::state::scope::BudgetExhausted;
use crate::state::scope::journal::{
    EffectCall, EffectError, EffectOutcome, EffectPlan, Journal, Place, PreparedEffect, Sending,
};

/// The target of the records about effects.
pub(crate) const EFFECT: &str = "nexum::effect";

/// The journal of the current handler call. A capability has every effect through it: a request that changes
/// something outside nexum. The journal outlives no handler call.
#[derive(Clone)]
pub struct EffectJournal {
    journal: Journal,
    /// The place of the effect among the host calls.
    place: Place,
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
        let nothing = std::future::ready(Ok::<_, Infallible>(None));
        let Ok(plan) = self.plan(call, nothing).await?;
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
        self.plan(call, async { prepare.await.map(Some) }).await
    }

    async fn plan<E>(
        &self,
        call: &EffectCall<'_>,
        prepare: impl Future<Output = Result<Option<PreparedEffect>, E>>,
    ) -> Result<Result<EffectPlan, E>, EffectError> {
        self.journal.name_effect(self.place, call);
        let of = (self.place.call, self.handler);
        let plan = self.journal.begin_with(of, call, self.clock.now_ms(), prepare).await?;
        self.journal.tape_effect(self.place, |tape, place| match &plan {
            Ok(EffectPlan::Answered(answer)) => tape.told(place, Ok(answer)),
            Ok(EffectPlan::Denied(_)) | Err(_) => tape.withdraw(place),
            Ok(EffectPlan::Send(_) | EffectPlan::Failed(_)) => {}
        });
        if let Ok(plan) = &plan {
            self.report(call, plan);
        }
        Ok(plan)
    }

    /// Notes the answer of the guest to the effect for the ledger, in the form of
    /// [`EffectPlan::Answered`] or [`EffectPlan::Failed`]. A call is necessary for an answer other than the one in
    /// [`settle`](Self::settle). `answer` runs only if the ledger gets answers.
    pub fn told(&self, answer: impl FnOnce() -> Result<Vec<u8>, HostError>) {
        self.journal.tape_effect(self.place, |tape, place| {
            let answer = answer();
            tape.told(place, answer.as_deref().map_err(Clone::clone));
        });
    }

    /// [`told`](Self::told) for an answer that has secrets, which `answer` leaves out.
    pub fn told_in_part(&self, answer: impl FnOnce() -> Result<Vec<u8>, HostError>) {
        self.told(answer);
        self.journal.tape_effect(self.place, |tape, _| tape.leave_out());
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
        if let EffectOutcome::Done(answer) = &outcome {
            self.journal
                .tape_effect(self.place, |tape, place| tape.told(place, Ok(answer)));
        }
        self.journal.settle(sending, outcome, self.clock.now_ms());
    }
}
