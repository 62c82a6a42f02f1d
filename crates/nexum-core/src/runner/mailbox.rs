//! A runner's mailbox: what it is meant to do, and the commands that it applies between two events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nexum_config::topic::ChainTopic;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::BoxError;
use crate::bus::source::TopicHandle;
use crate::event::EventId;
use crate::module::instance::Failure;
use crate::module::loader::Module;

/// How many commands may wait: each is of an operator who waits for its outcome.
const COMMANDS_MAX: usize = 16;

/// What a module is meant to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wanted {
    Running,
    /// The operator stopped it, and may start it again.
    Stopped,
    /// Its runner ends, for good.
    Ended,
}

impl Wanted {
    const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Ended];
}

/// Something to do between two events.
pub(super) enum Command {
    /// Discard the instance, forget the failures, and go on.
    Restart(Done),
    /// Commit what waits, and wait for a start.
    Stop(Done),
    /// Go on.
    Start(Done),
    /// Go on with another module in this one's place.
    Reload(Arc<Module>, BTreeMap<ChainTopic, TopicHandle>, Done),
    /// Retry an event that is a dead letter.
    Retry(EventId, Done),
    /// Forget an event that is a dead letter.
    Skip(EventId, Done),
}

/// Where the outcome goes.
pub(super) type Done = oneshot::Sender<Result<(), CommandError>>;

/// Why a module's runner did not apply a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The new component's `init` did not return ok. The old one goes on.
    #[error("`init` of the new component failed, and the old one goes on: {0}")]
    Init(Box<Failure>),
    /// The event failed again.
    #[error("the event failed again: {0}")]
    Failed(Box<Failure>),
    /// There is no such dead letter.
    #[error("the module has no dead letter {0}")]
    NoLetter(EventId),
    /// The module is dead, stopped, or waits for the state store.
    #[error("the module does not run")]
    NotRunning,
    /// The module is dead.
    #[error("the module is dead: restart it")]
    Dead,
    /// The state store failed. Whether the command took effect is unknown.
    #[error("the state store failed")]
    Store(#[source] BoxError),
    /// The module has been removed, or nexum stops.
    #[error("the module is no longer there")]
    Gone,
}

/// The name alone: the content can be long.
impl fmt::Debug for Command {
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

/// The runner's side.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: mpsc::Receiver<Command>,
    signals: Arc<Signals>,
}

/// The side of those who command the runner.
#[derive(Debug)]
pub(super) struct MailboxSender {
    commands: mpsc::Sender<Command>,
    signals: Arc<Signals>,
}

/// What both sides share.
#[derive(Debug)]
struct Signals {
    wanted: AtomicU8,
    /// Whether there is a command, or a change of what is wanted, that the runner has not seen.
    interrupted: AtomicBool,
    wake: Arc<Notify>,
}

/// A mailbox for a module that is wanted running.
pub(super) fn mailbox() -> (MailboxSender, Mailbox) {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    let signals = Arc::new(Signals {
        wanted: AtomicU8::new(Wanted::Running as u8),
        interrupted: AtomicBool::new(false),
        wake: Arc::new(Notify::new()),
    });
    let sender = MailboxSender {
        commands: sender,
        signals: signals.clone(),
    };
    let receiver = Mailbox {
        commands: receiver,
        signals,
    };
    (sender, receiver)
}

impl MailboxSender {
    /// Has the runner do this after the event in hand. Nothing follows [`Wanted::Ended`].
    pub(super) fn want(&self, wanted: Wanted) {
        let wanted_now = &self.signals.wanted;
        wanted_now
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now != Wanted::Ended as u8).then_some(wanted as u8)
            })
            .ok();
        self.signals.interrupt();
    }

    /// Has the runner apply a command after the event in hand, and returns the outcome.
    ///
    /// # Errors
    ///
    /// Those of the command, and [`CommandError::Gone`] where the runner has ended or is about to.
    pub(super) async fn send(&self, command: impl FnOnce(Done) -> Command) -> Result<(), CommandError> {
        if self.signals.wanted() == Wanted::Ended {
            return Err(CommandError::Gone);
        }
        let (done, outcome) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| CommandError::Gone)?;
        self.signals.interrupt();
        outcome.await.unwrap_or(Err(CommandError::Gone))
    }
}

impl Mailbox {
    /// What the module is meant to do now.
    pub(super) fn wanted(&self) -> Wanted {
        self.signals.wanted()
    }

    /// Wakes the runner: for everything that has something for it.
    pub(super) fn wake(&self) -> &Arc<Notify> {
        &self.signals.wake
    }

    /// Whether there is something to do that has nothing to do with events.
    pub(super) fn is_interrupted(&self) -> bool {
        self.signals.interrupted.load(Ordering::Acquire)
    }

    /// Waits until [`Self::is_interrupted`].
    pub(super) async fn interrupted(&self) {
        while !self.is_interrupted() {
            self.signals.wake.notified().await;
        }
    }

    /// Takes every command that waits. A later command, and a later change of what is wanted, interrupts again.
    pub(super) fn take_commands(&mut self) -> Vec<Command> {
        self.signals.interrupted.store(false, Ordering::Release);
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }
}

impl Signals {
    fn wanted(&self) -> Wanted {
        let wanted = self.wanted.load(Ordering::Acquire);
        let known = Wanted::ALL.into_iter().find(|known| *known as u8 == wanted);
        known.unwrap_or(Wanted::Ended)
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}
