//! What the operator has a module's runner do, between two events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nexum_config::topic::ChainTopic;
use tokio::sync::oneshot;

use super::failures::attempt;
use super::handle::report;
use super::status::Wanted;
use super::{Failures, ModuleStatus, Runner, settled};
use crate::BoxError;
use crate::bus::source::Followed;
use crate::event::{EventId, Handler};
use crate::module::instance::{Before, Failure};
use crate::module::loader::Module;
use crate::state::{Changes, DeadLetter};
use crate::store::committer::CommitError;

/// How many attempts at an event are kept that the operator has tried again and again: the last ones.
const ATTEMPTS_KEPT_MAX: usize = 16;

/// Something to do between two events.
pub(super) enum Order {
    /// Forget the instance and the failures, and go on.
    Restart(Done),
    /// Hand in what there is, and wait to be started.
    Stop(Done),
    /// Go on.
    Start(Done),
    /// Go on with another module in this one's place.
    Reload(Arc<Module>, BTreeMap<ChainTopic, Followed>, Done),
    /// Try an event again that is a dead letter.
    Retry(EventId, Done),
    /// Forget an event that is a dead letter.
    Skip(EventId, Done),
}

/// Where the outcome goes.
pub(super) type Done = oneshot::Sender<Result<(), OrderError>>;

/// Why a module's runner did not do what it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The new component's `init` did not return ok. The old one goes on.
    #[error("`init` of the new component failed, and the old one goes on: {0}")]
    Init(Box<Failure>),
    /// The event failed again.
    #[error("the event failed again: {0}")]
    Failed(Box<Failure>),
    /// There is no such dead letter.
    #[error("the module has no dead letter {0}")]
    NoLetter(EventId),
    /// It is dead, stopped, or waits for the state store.
    #[error("the module does not run")]
    NotRunning,
    /// It is dead.
    #[error("the module is dead: restart it")]
    Dead,
    /// The state store failed; what was to be done may be done or not.
    #[error("the state store failed")]
    Store(#[source] BoxError),
    /// The module has been removed, or nexum stops.
    #[error("the module is no longer there")]
    Gone,
}

/// Its name alone: what else there is can be long.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart(_) => "Restart",
            Self::Stop(_) => "Stop",
            Self::Start(_) => "Start",
            Self::Reload(..) => "Reload",
            Self::Retry(..) => "Retry",
            Self::Skip(..) => "Skip",
        })
    }
}

impl ModuleStatus {
    /// Has the module go on with a new instance, and forget what failed: a dead one at the event at which it died. A stopped
    /// one is started.
    ///
    /// # Errors
    ///
    /// When the module is no longer there.
    pub async fn restart(&self) -> Result<(), OrderError> {
        self.want(Wanted::Running);
        self.obeyed(Order::Restart).await
    }

    /// Has the module finish the event in hand, and then wait until it is started again. It keeps its place in every chain.
    ///
    /// # Errors
    ///
    /// When the module is no longer there.
    pub async fn stop(&self) -> Result<(), OrderError> {
        self.want(Wanted::Stopped);
        self.obeyed(Order::Stop).await
    }

    /// Has a stopped module go on where it was.
    ///
    /// # Errors
    ///
    /// When the module is dead, or no longer there.
    pub async fn start(&self) -> Result<(), OrderError> {
        self.want(Wanted::Running);
        self.obeyed(Order::Start).await
    }

    /// Tries an event again that is a dead letter, between two others. If it goes well, what it did and the end of the dead
    /// letter are one transaction; if not, the dead letter has one attempt more.
    ///
    /// # Errors
    ///
    /// When the event fails again, or could not be tried.
    pub async fn retry(&self, letter: EventId) -> Result<(), OrderError> {
        self.obeyed(|done| Order::Retry(letter, done)).await
    }

    /// Forgets an event that is a dead letter.
    ///
    /// # Errors
    ///
    /// When there is none such, or the store fails.
    pub async fn skip(&self, letter: EventId) -> Result<(), OrderError> {
        self.obeyed(|done| Order::Skip(letter, done)).await
    }

    /// Goes on with another module in this one's place, which has its topics in `followed`.
    pub(crate) async fn reload(
        &self,
        module: Arc<Module>,
        followed: BTreeMap<ChainTopic, Followed>,
    ) -> Result<(), OrderError> {
        self.obeyed(|done| Order::Reload(module, followed, done)).await
    }

    async fn obeyed(&self, order: impl FnOnce(Done) -> Order) -> Result<(), OrderError> {
        let (done, outcome) = oneshot::channel();
        self.order(order(done));
        outcome.await.unwrap_or(Err(OrderError::Gone))
    }
}

impl Runner {
    pub(super) async fn obey(&mut self, order: Order) {
        let (done, outcome) = match order {
            Order::Restart(done) => (done, self.restart().await),
            Order::Stop(done) => (done, self.stop().await),
            Order::Start(done) => (done, if self.is_dead { Err(OrderError::Dead) } else { Ok(()) }),
            Order::Reload(module, followed, done) => (done, self.reload(module, &followed).await),
            Order::Retry(letter, done) => (done, self.retry(letter).await),
            Order::Skip(letter, done) => (done, self.skip(letter).await),
        };
        // Whoever asked may have left.
        let _ = done.send(outcome);
    }

    async fn restart(&mut self) -> Result<(), OrderError> {
        self.discard_instance().await;
        self.revive();
        if self.is_ready {
            let settled = self.ledger.settle(&settled(&self.feeds)).await;
            self.committed(settled).await?;
            self.begin_again();
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), OrderError> {
        // It may have been started again since.
        if self.status.wanted() == Wanted::Stopped {
            self.rest().await;
        }
        Ok(())
    }

    async fn reload(
        &mut self,
        module: Arc<Module>,
        followed: &BTreeMap<ChainTopic, Followed>,
    ) -> Result<(), OrderError> {
        let is_wanted = self.status.wanted() == Wanted::Running;
        if is_wanted && !self.is_ready {
            let reloaded = self.ledger.reload().await;
            reloaded.map_err(|error| OrderError::Store(error.into()))?;
        }
        let before = self.ledger.before();
        let started = match is_wanted {
            true => Some(self.start(module.clone(), before).await.map_err(|failure| {
                report(&module, Handler::Init, &failure, 1);
                OrderError::Init(Box::new(failure))
            })?),
            false => None,
        };
        self.discard_instance().await;
        self.status.set_module(module.clone());
        self.module = module;
        self.follow(followed);
        self.revive();
        self.failures = Failures::default();
        let Some((instance, changes)) = started else {
            return Ok(());
        };
        if !self.is_ready {
            self.begin_again();
        }
        self.adopt(instance);
        self.keep(changes).await
    }

    async fn retry(&mut self, id: EventId) -> Result<(), OrderError> {
        let letter = self.letter(id).await?;
        if !self.is_ready || self.status.wanted() != Wanted::Running {
            return Err(OrderError::NotRunning);
        }
        let before = self.ledger.before();
        if self.instance.is_none() {
            let (instance, changes) = self
                .start(self.module.clone(), before)
                .await
                .map_err(|failure| OrderError::Failed(Box::new(failure)))?;
            self.adopt(instance);
            self.keep(changes).await?;
        }
        let Some(instance) = &mut self.instance else {
            return Err(OrderError::NotRunning);
        };
        let before = Before {
            failures: u32::try_from(letter.attempts.len()).unwrap_or(u32::MAX),
            ..self.ledger.before()
        };
        let result = instance.on_event(id, &letter.event, before).await;
        self.status.ran(instance);
        let (changes, outcome) = match result {
            Ok(changes) => {
                self.status.count_handled(id.kind);
                (changes.without_letter(&letter), Ok(()))
            }
            Err(Failure::Store(reason)) => {
                // No fault of the module's, and no attempt.
                self.discard_instance().await;
                return Err(OrderError::Store(reason.into()));
            }
            Err(failure) => {
                self.discard_instance().await;
                self.status.count_failed(&failure);
                let tried = letter.attempts.len() as u32;
                report(&self.module, Handler::OnEvent(id), &failure, tried.saturating_add(1));
                let again = self.again(&letter, &failure);
                let changes = self.ledger.before().with_letter(id, Some(&letter), Some(&again));
                (changes, Err(OrderError::Failed(Box::new(failure))))
            }
        };
        self.keep(changes).await?;
        self.show_dead_letters();
        outcome
    }

    async fn skip(&mut self, id: EventId) -> Result<(), OrderError> {
        if !self.is_ready {
            let reloaded = self.ledger.reload().await;
            reloaded.map_err(|error| OrderError::Store(error.into()))?;
        }
        let letter = self.letter(id).await?;
        let changes = self.ledger.before().with_letter(id, Some(&letter), None);
        self.keep(changes).await?;
        self.show_dead_letters();
        Ok(())
    }

    /// A dead letter, with which the store has everything that came before it.
    async fn letter(&mut self, id: EventId) -> Result<DeadLetter, OrderError> {
        let letter = self.ledger.dead_letter(id).await;
        let letter = letter.map_err(|error| OrderError::Store(error.into()))?;
        letter.ok_or(OrderError::NoLetter(id))
    }

    fn again(&self, letter: &DeadLetter, failure: &Failure) -> DeadLetter {
        let meta = &self.module.meta;
        let mut again = letter.clone();
        again
            .attempts
            .push(attempt(failure, meta.clock.now_ms(), meta.recorder.take_records()));
        let surplus = again.attempts.len().saturating_sub(ATTEMPTS_KEPT_MAX);
        again.attempts.drain(..surplus);
        again
    }

    /// Commits what has nothing to do with how far the module has come.
    async fn keep(&mut self, changes: Changes) -> Result<(), OrderError> {
        let kept = self
            .ledger
            .keep(changes, None, None, false, &settled(&self.feeds))
            .await;
        self.committed(kept).await
    }

    /// After a commit that was not made nobody knows what the store has: that is read again before anything else is done.
    async fn committed(&mut self, result: Result<(), CommitError>) -> Result<(), OrderError> {
        if let Err(error) = result {
            self.discard_instance().await;
            self.is_ready = false;
            return Err(OrderError::Store(error.into()));
        }
        Ok(())
    }

    fn revive(&mut self) {
        if std::mem::take(&mut self.is_dead) {
            self.status.live();
        }
    }
}
