//! A runner's mailbox: its target state, and the commands that it applies between two events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nexum_config::topic::ChainTopic;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc, oneshot};

use super::call::Invocation;
use crate::BoxError;
use crate::bus::source::TopicHandle;
use crate::event::EventId;
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::state::{Effect, Resolution};

/// The most waiting commands. An operator waits for the outcome of each, so few wait at once.
const COMMANDS_MAX: usize = 16;

/// The target state of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TargetState {
    Running,
    /// The operator stopped the module, and may start it again.
    Stopped,
    /// The module's runner ends, and never starts again.
    Ended,
}

impl TargetState {
    const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Ended];
}

/// A command that a runner applies between two events.
pub(super) enum Command {
    /// Discard the instance, clear the failures, and continue.
    Restart(Done),
    /// Commit the waiting changes, and wait for a start.
    Stop(Done),
    /// Continue.
    Start(Done),
    /// Continue with another module.
    Reload(Replacement, Done),
    /// Retry a dead letter.
    Retry(EventId, Done),
    /// Delete a dead letter.
    Skip(EventId, Done),
    Resolve(Box<Effect>, Resolution, Done),
}

/// Another module for a runner.
pub(super) struct Replacement {
    pub(super) module: Arc<Module>,
    /// The module's topics.
    pub(super) followed: BTreeMap<ChainTopic, TopicHandle>,
    pub(super) switch: Switch,
    /// The agreement with other runners, if the module is one of several.
    pub(super) agreement: Option<Agreement>,
}

/// The agreement of several runners that all of them take their new modules, or none.
#[derive(Debug)]
pub(crate) struct Agreement {
    ready: oneshot::Sender<()>,
    decision: oneshot::Receiver<bool>,
}

/// The side of an [`Agreement`] that decides. Dropping it decides that no runner takes its new module.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Completes when the runner can take its new module.
    pub(crate) ready: oneshot::Receiver<()>,
    decide: oneshot::Sender<bool>,
}

impl Agreement {
    pub(crate) fn new() -> (Self, Decision) {
        let ((is_ready, ready), (decide, decision)) = (oneshot::channel(), oneshot::channel());
        let agreement = Self {
            ready: is_ready,
            decision,
        };
        (agreement, Decision { ready, decide })
    }

    /// Waits for the decision, and returns whether the runner takes its new module. The other runners
    /// finish their events meanwhile, each within its deadline.
    pub(super) async fn reached(self) -> bool {
        self.ready.send(()).is_ok() && self.decision.await.unwrap_or(false)
    }
}

impl Decision {
    /// Lets the runner take its new module.
    pub(crate) fn agree(self) {
        // A runner that has ended takes no module.
        let _ = self.decide.send(true);
    }
}

/// The exchange of the other parts of a module, at the moment at which the runner takes the new
/// module.
pub(crate) type Switch = Box<dyn FnOnce() + Send>;

/// The sender of a command's outcome. After a drop, the caller gets [`CommandError::Gone`].
pub(super) type Done = oneshot::Sender<Result<(), CommandError>>;

/// An error of a command to a module's runner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The new component's `init` did not return ok. The old component continues.
    #[error("`init` of the new component failed, and the old component continues: {0}")]
    Init(Box<Failure>),
    /// Another module of the same change did not start. The old component continues.
    #[error("another module of the same change did not start, and the old component continues")]
    Withdrawn,
    /// The event failed again.
    #[error("the event failed again: {0}")]
    Failed(Box<Failure>),
    /// The module has no dead letter with this id.
    #[error("the module has no dead letter {0}")]
    NoLetter(EventId),
    /// The module has no record of this effect.
    #[error("the module has no effect {number} of {event}")]
    NoEffect {
        /// The event.
        event: EventId,
        /// The number of the effect.
        number: u32,
    },
    /// The module is dead, stopped, or waits for the state store.
    #[error("the module is not running")]
    NotRunning,
    /// This process does not run the module, for this reason.
    #[error("this node does not run the module: {0}")]
    Standby(Arc<str>),
    /// The module is dead.
    #[error("the module is dead: restart it")]
    Dead,
    /// The state store failed. The command may or may not have taken effect.
    #[error("the state store failed")]
    Store(#[source] BoxError),
    /// The module has been removed, another node takes it over, or nexum stops.
    #[error("the module has been removed or moved to another node, or nexum is stopping")]
    Gone,
}

/// `Debug` shows only the name, because the content can be long.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart(_) => "Restart",
            Self::Stop(_) => "Stop",
            Self::Start(_) => "Start",
            Self::Reload(..) => "Reload",
            Self::Retry(..) => "Retry",
            Self::Skip(..) => "Skip",
            Self::Resolve(..) => "Resolve",
        })
    }
}

/// The runner's end of the mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: mpsc::Receiver<Command>,
    signals: Arc<Signals>,
}

/// The senders' end of the mailbox.
#[derive(Debug)]
pub(super) struct MailboxSender {
    commands: mpsc::Sender<Command>,
    /// The permit to offer a call. Callers get it in their order.
    turns: Semaphore,
    signals: Arc<Signals>,
}

/// The state that both ends share.
#[derive(Debug)]
struct Signals {
    target: AtomicU8,
    /// Whether there is a command, or a new target state, that the runner has not read.
    interrupted: AtomicBool,
    /// The call of a function that waits for the runner. It is not a command, because many calls
    /// would otherwise keep the runner from its events.
    call: Mutex<Option<Invocation>>,
    wake: Arc<Notify>,
}

/// The permit to offer a call to the runner. One call has it at a time.
#[derive(Debug)]
pub(crate) struct Turn<'a>(#[expect(dead_code, reason = "dropping it ends the turn")] SemaphorePermit<'a>);

/// A call that an end of the mailbox has not taken yet. Dropping it withdraws the call.
pub(super) struct Offered<'a>(&'a Signals);

/// Creates the mailbox of a module with the target state [`TargetState::Running`].
pub(super) fn mailbox() -> (MailboxSender, Mailbox) {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    let signals = Arc::new(Signals {
        target: AtomicU8::new(TargetState::Running as u8),
        interrupted: AtomicBool::new(false),
        call: Mutex::default(),
        wake: Arc::new(Notify::new()),
    });
    let sender = MailboxSender {
        commands: sender,
        turns: Semaphore::new(1),
        signals: signals.clone(),
    };
    let receiver = Mailbox {
        commands: receiver,
        signals,
    };
    (sender, receiver)
}

impl MailboxSender {
    /// Sets the target state, which the runner reads after its current event. [`TargetState::Ended`] is
    /// final.
    pub(super) fn set_target(&self, target: TargetState) {
        let current = &self.signals.target;
        current
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now != TargetState::Ended as u8).then_some(target as u8)
            })
            .ok();
        self.signals.interrupt();
    }

    /// Sends a command, which the runner applies after its current event, and returns the outcome.
    ///
    /// # Errors
    ///
    /// Returns the command's errors, and [`CommandError::Gone`] if the runner has ended or is about
    /// to end.
    pub(super) async fn send(&self, command: impl FnOnce(Done) -> Command) -> Result<(), CommandError> {
        if self.signals.target() == TargetState::Ended {
            return Err(CommandError::Gone);
        }
        let (done, outcome) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| CommandError::Gone)?;
        self.signals.interrupt();
        outcome.await.unwrap_or(Err(CommandError::Gone))
    }
}

impl MailboxSender {
    /// Waits for the permit to offer a call.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        // No code closes the semaphore.
        self.turns.acquire().await.ok().map(Turn)
    }

    /// The permit to offer a call, if no other call has it.
    pub(super) fn try_turn(&self) -> Option<Turn<'_>> {
        self.turns.try_acquire().ok().map(Turn)
    }

    /// Offers a call to the runner. The caller has the [`Turn`].
    pub(super) fn offer(&self, call: Invocation) -> Offered<'_> {
        *self.signals.call.lock() = Some(call);
        self.signals.wake.notify_one();
        Offered(&self.signals)
    }
}

impl Offered<'_> {
    /// Withdraws the call. Returns whether the runner had not taken it.
    pub(super) fn withdraw(self) -> bool {
        self.0.call.lock().take().is_some()
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.0.call.lock().take();
    }
}

impl Mailbox {
    /// Takes the call that waits.
    pub(super) fn take_call(&self) -> Option<Invocation> {
        self.signals.call.lock().take()
    }

    /// The module's target state.
    pub(super) fn target(&self) -> TargetState {
        self.signals.target()
    }

    /// The notification that wakes the runner, for all sources of its work.
    pub(super) fn wake(&self) -> &Arc<Notify> {
        &self.signals.wake
    }

    /// Whether a command or a new target state waits.
    pub(super) fn is_interrupted(&self) -> bool {
        self.signals.interrupted.load(Ordering::Acquire)
    }

    /// Waits until [`Self::is_interrupted`].
    pub(super) async fn interrupted(&self) {
        while !self.is_interrupted() {
            self.signals.wake.notified().await;
        }
    }

    /// Takes all waiting commands. A later command, or a later target state, interrupts again.
    pub(super) fn take_commands(&mut self) -> Vec<Command> {
        self.signals.interrupted.store(false, Ordering::Release);
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }
}

/// A call that waits for a runner which has ended has no result.
impl Drop for Mailbox {
    fn drop(&mut self) {
        self.take_call();
    }
}

impl Signals {
    fn target(&self) -> TargetState {
        let target = self.target.load(Ordering::Acquire);
        let known = TargetState::ALL.into_iter().find(|known| *known as u8 == target);
        known.unwrap_or(TargetState::Ended)
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}
