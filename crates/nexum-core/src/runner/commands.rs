//! Commands of the operator, which a runner applies between two events.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::topic::ChainTopic;

use super::effects::Intents;
use super::failures::{attempt, report};
use super::feed::settled;
use super::lifecycle::Life;
use super::mailbox::{Agreement, Command, CommandError, Replacement, Switch, TargetState};
use super::recording::{exceeded, with_effects};
use super::transaction::ResolveFailed;
use super::{Condition, Failures, ModuleStatus, Runner, Stage};
use crate::bus::source::TopicHandle;
use crate::capability::effects::EFFECT;
use crate::event::{EventId, Handler};
use crate::ledger::Outcome;
use crate::module::call::HandlerContext;
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::state::{self, Changes, DeadLetter, Effect, Resolution};
use crate::store::committer::CommitError;

impl ModuleStatus {
    /// Restarts the module with a new instance and clears its failures. A dead module continues
    /// with the event at which it died. A stopped module starts.
    ///
    /// # Errors
    ///
    /// Fails if the module has been removed, or if the store fails.
    pub async fn restart(&self) -> Result<(), CommandError> {
        self.check_owned()?;
        self.mailbox.set_target(TargetState::Running);
        self.mailbox.send(Command::Restart).await
    }

    /// Keeps a module that has not started from its first event, until a start. Its runner is not strict:
    /// it starts when the operator wants it to.
    pub(crate) fn begin_stopped(&self) {
        self.mailbox.set_target(TargetState::Stopped);
    }

    /// Lets a module that has not started handle its first event.
    pub(crate) fn begin_running(&self) {
        self.mailbox.set_target(TargetState::Running);
    }

    /// Fails if this process does not run the module.
    ///
    /// # Errors
    ///
    /// [`CommandError::Standby`], with the reason.
    pub fn check_owned(&self) -> Result<(), CommandError> {
        let Condition { stage, reason, .. } = self.condition();
        match stage {
            Stage::Standby => Err(CommandError::Standby(reason.text)),
            _ => Ok(()),
        }
    }

    /// Stops the module after its current event, until a start. The module keeps its position in
    /// every chain.
    ///
    /// # Errors
    ///
    /// Fails if the module has been removed.
    pub async fn stop(&self) -> Result<(), CommandError> {
        self.check_owned()?;
        self.mailbox.set_target(TargetState::Stopped);
        self.mailbox.send(Command::Stop).await
    }

    /// Starts a stopped module at its position.
    ///
    /// # Errors
    ///
    /// Fails if the module is dead or has been removed.
    pub async fn start(&self) -> Result<(), CommandError> {
        self.check_owned()?;
        self.mailbox.set_target(TargetState::Running);
        self.mailbox.send(Command::Start).await
    }

    /// Retries a dead letter between two events. After a success, one transaction commits the
    /// handler's changes and removes the dead letter. After a failure, the dead letter gains one
    /// attempt.
    ///
    /// # Errors
    ///
    /// Fails if the event fails again, or if the module cannot handle it now.
    pub async fn retry(&self, letter: EventId) -> Result<(), CommandError> {
        self.check_owned()?;
        self.mailbox.send(|done| Command::Retry(letter, done)).await
    }

    /// Deletes a dead letter.
    ///
    /// # Errors
    ///
    /// Fails if the module has no dead letter with this id, or if the store fails.
    pub async fn skip(&self, letter: EventId) -> Result<(), CommandError> {
        self.check_owned()?;
        self.mailbox.send(|done| Command::Skip(letter, done)).await
    }

    /// Changes the record of an effect as the operator says.
    ///
    /// # Errors
    ///
    /// Fails if the module has no such record, or if the store fails.
    pub async fn resolve_effect(&self, effect: Effect, resolution: Resolution) -> Result<(), CommandError> {
        self.check_owned()?;
        let effect = Box::new(effect);
        self.mailbox
            .send(|done| Command::Resolve(effect, resolution, done))
            .await
    }

    /// Replaces the module with another one, whose topics are in `followed`. The runner calls
    /// `switch` when it takes the new module, and drops it if it does not. With an `agreement`, it takes the
    /// module only if the other runners of the agreement take theirs.
    pub(crate) async fn reload(
        &self,
        module: Arc<Module>,
        followed: BTreeMap<ChainTopic, TopicHandle>,
        switch: Switch,
        agreement: Option<Agreement>,
    ) -> Result<(), CommandError> {
        let replacement = Replacement {
            module,
            followed,
            switch,
            agreement,
        };
        self.check_owned()?;
        self.mailbox.send(|done| Command::Reload(replacement, done)).await
    }
}

impl Runner {
    /// Applies a command and sends its outcome to the caller. A runner that is about to end applies
    /// none: the caller gets [`CommandError::Gone`].
    pub(super) async fn apply(&mut self, command: Command) {
        if self.mailbox.target() == TargetState::Ended {
            return;
        }
        let (done, outcome) = match command {
            Command::Restart(done) => (done, self.restart().await),
            Command::Stop(done) => {
                // A start may have arrived after the stop.
                if self.mailbox.target() == TargetState::Stopped {
                    self.stop().await;
                }
                (done, Ok(()))
            }
            Command::Start(done) => match self.life {
                Life::Dead => (done, Err(CommandError::Dead)),
                _ => (done, Ok(())),
            },
            Command::Reload(replacement, done) => (done, self.reload(replacement).await),
            Command::Retry(letter, done) => (done, self.retry(letter).await),
            Command::Skip(letter, done) => (done, self.skip(letter).await),
            Command::Resolve(effect, resolution, done) => (done, self.resolve(*effect, resolution).await),
        };
        // The caller may have left.
        let _ = done.send(outcome);
    }

    async fn restart(&mut self) -> Result<(), CommandError> {
        self.discard_instance().await;
        self.revive();
        if self.life.is_ready() {
            let flushed = self.transaction.flush(&settled(&self.feeds)).await;
            self.committed(flushed).await?;
            self.begin_again();
            if self.awaited.is_empty() {
                self.status
                    .enter_for(Stage::Starting, "the operator restarted the module");
            }
        }
        Ok(())
    }

    async fn reload(&mut self, replacement: Replacement) -> Result<(), CommandError> {
        let Replacement {
            module,
            followed,
            switch,
            agreement,
        } = replacement;
        // A module that waits for its chains calls its first `init` after the wait.
        let is_running = self.mailbox.target() == TargetState::Running && self.awaited.is_empty();
        if is_running && !self.life.is_ready() {
            let reloaded = self.transaction.reload().await;
            reloaded.map_err(|error| CommandError::Store(error.into()))?;
        }
        let context = self.transaction.context();
        let started = match is_running {
            true => {
                let started = self.start(module.clone(), context).await;
                let started = self.begun(started).await?;
                Some(started.map_err(|failure| {
                    report(&module, Handler::Init, &failure, 1);
                    CommandError::Init(Box::new(failure))
                })?)
            }
            false => None,
        };
        if let Some(agreement) = agreement
            && !agreement.reached().await
        {
            if let Some((instance, _)) = started {
                instance.discard().await;
            }
            return Err(CommandError::Withdrawn);
        }
        self.discard_instance().await;
        self.status.set_module(module.clone());
        switch();
        self.module = module;
        self.record_new_module();
        self.follow(&followed, false);
        self.revive();
        self.failures = Failures::default();
        let Some((instance, changes)) = started else {
            return Ok(());
        };
        if !self.life.is_ready() {
            self.begin_again();
        }
        self.status.enter_for(Stage::Starting, "nexum reloaded the module");
        self.adopt(instance);
        self.commit(changes).await
    }

    async fn retry(&mut self, id: EventId) -> Result<(), CommandError> {
        let letter = self.letter(id).await?;
        if !self.life.is_ready() || self.mailbox.target() != TargetState::Running {
            return Err(CommandError::NotRunning);
        }
        self.start_now().await?;
        let context = self.transaction.context_of(id).await;
        let failures = u32::try_from(letter.attempts.len()).unwrap_or(u32::MAX);
        let context = HandlerContext {
            failures,
            is_recorded: self.records_inputs(),
            ..context.map_err(|error| CommandError::Store(error.into()))?
        };
        let Some(instance) = self.life.instance() else {
            return Err(CommandError::NotRunning);
        };
        let mut intents = Intents::new(&mut self.transaction, &self.feeds);
        let result = instance.on_event(id, &letter.event, context, &mut intents).await;
        if let Some(error) = intents.failed {
            self.transaction.save_later(instance.effects().as_deref());
            return self.committed(Err(error)).await;
        }
        let used = self.status.ran(instance);
        let effects = result.is_err().then(|| instance.effects()).flatten();
        let attempt = failures.saturating_add(1);
        self.note_due(0);
        let draft = with_effects(
            self.draft((id, &letter.event), attempt, &used, &result),
            effects.as_deref(),
        );
        let (changes, outcome) = match result {
            Ok(changes) => {
                if let Some(effects) = &changes.effects {
                    self.count_effects(effects);
                }
                self.status.count_handled(id);
                self.record(draft, Outcome::Handled);
                (changes.without_letter(&letter), Ok(()))
            }
            Err(Failure::Store(reason)) => {
                // The store failed, not the module, so this does not count as an attempt.
                let kept = self.commit_effects(effects).await;
                self.committed(kept).await?;
                self.discard_instance().await;
                return Err(CommandError::Store(reason.into()));
            }
            Err(failure) => {
                let kept = self.commit_effects(effects).await;
                self.committed(kept).await?;
                self.discard_instance().await;
                let (error, exceeded) = (failure.to_string(), exceeded(&failure));
                self.record(draft, Outcome::DeadLetter { error, exceeded });
                self.count_failed(Handler::OnEvent(id), &failure, attempt, None);
                report(&self.module, Handler::OnEvent(id), &failure, attempt);
                let again = self.again(&letter, &failure);
                let changes = self.transaction.context().with_letter(id, Some(&letter), Some(&again));
                (changes, Err(CommandError::Failed(Box::new(failure))))
            }
        };
        self.commit(changes).await?;
        self.show_dead_letters();
        self.show_effects();
        outcome
    }

    /// Creates an instance if there is none. Retries nothing.
    pub(super) async fn start_now(&mut self) -> Result<(), CommandError> {
        if self.life.instance().is_some() {
            return Ok(());
        }
        let context = self.transaction.context();
        let started = self.start(self.module.clone(), context).await;
        let started = self.begun(started).await?;
        let (instance, changes) = started.map_err(|failure| CommandError::Failed(Box::new(failure)))?;
        self.adopt(instance);
        self.commit(changes).await
    }

    async fn skip(&mut self, id: EventId) -> Result<(), CommandError> {
        if !self.life.is_ready() {
            let reloaded = self.transaction.reload().await;
            reloaded.map_err(|error| CommandError::Store(error.into()))?;
        }
        let letter = self.letter(id).await?;
        let changes = self.transaction.context().with_letter(id, Some(&letter), None);
        self.commit(changes).await?;
        self.record_dropped(id);
        self.show_dead_letters();
        Ok(())
    }

    async fn resolve(&mut self, effect: Effect, resolution: Resolution) -> Result<(), CommandError> {
        if !self.life.is_ready() {
            let reloaded = self.transaction.reload().await;
            reloaded.map_err(|error| CommandError::Store(error.into()))?;
        }
        let Effect { event, number, .. } = effect;
        let outcome = match &resolution {
            Resolution::Done(_) => "it has happened",
            Resolution::NotSent => "it has not happened",
        };
        let resolved = self
            .transaction
            .resolve_effect(effect, resolution, &settled(&self.feeds))
            .await;
        match resolved {
            Ok(true) => {}
            Ok(false) => return Err(CommandError::NoEffect { event, number }),
            Err(ResolveFailed::Read(error)) => return Err(CommandError::Store(error.into())),
            Err(ResolveFailed::Commit(error)) => return self.committed(Err(error)).await,
        }
        tracing::info!(
            target: EFFECT,
            module = self.module.meta.name.as_str(),
            %event,
            effect = number,
            "the operator says about an effect: {outcome}"
        );
        self.show_effects();
        Ok(())
    }

    /// Returns a dead letter. All earlier changes are in the store.
    async fn letter(&mut self, id: EventId) -> Result<DeadLetter, CommandError> {
        let letter = self.transaction.dead_letter(id).await;
        let letter = letter.map_err(|error| CommandError::Store(error.into()))?;
        letter.ok_or(CommandError::NoLetter(id))
    }

    fn again(&self, letter: &DeadLetter, failure: &Failure) -> DeadLetter {
        let meta = &self.module.meta;
        let mut again = letter.clone();
        let attempt = attempt(failure, meta.clock.now_ms(), meta.recorder.take_records());
        state::add(&mut again.attempts, attempt);
        again
    }

    /// Commits changes that do not belong to an event, so they move no cursor.
    async fn commit(&mut self, changes: Changes) -> Result<(), CommandError> {
        let committed = self
            .transaction
            .commit(changes, None, None, false, &settled(&self.feeds))
            .await;
        self.committed(committed).await
    }

    /// Handles a failed commit of `init`.
    async fn begun<T>(&mut self, started: Result<T, CommitError>) -> Result<T, CommandError> {
        match started {
            Ok(started) => Ok(started),
            Err(error) => match self.committed(Err(error)).await {
                Err(error) => Err(error),
                Ok(()) => Err(CommandError::NotRunning),
            },
        }
    }

    /// Handles the result of a commit. After a failed commit only the store has the true state, so
    /// the runner reloads it before its next step.
    async fn committed(&mut self, result: Result<(), CommitError>) -> Result<(), CommandError> {
        if let Err(error) = result {
            self.discard_instance().await;
            if self.life.is_ready() {
                self.life = Life::Starting { was_off: false };
            }
            return Err(CommandError::Store(error.into()));
        }
        Ok(())
    }
}
