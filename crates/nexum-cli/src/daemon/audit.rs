//! Audit records: the sender of each command, the reason, and the outcome.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::feed::AUDIT;
use super::peer::Peer;
use crate::error_code::ErrorCode;

/// The outcome of a command that succeeded.
const OK: &str = "ok";

/// The outcome of a command whose connection ended before it was carried out.
const CUT_OFF: &str = "cut-off";

/// The outcomes of commands to a module that does not exist.
const UNKNOWN: [ErrorCode; 2] = [ErrorCode::ModuleNotFound, ErrorCode::StateNotFound];

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A process on the socket.
    Process(Peer),
    /// A client with the token, at this address.
    Token(SocketAddr),
    /// SIGHUP. The system does not name its sender.
    Hangup,
    /// The system does not tell.
    Unknown,
}

/// `uid 1000`, `token` or `SIGHUP`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(Peer { uid: Some(uid), .. }) => write!(f, "uid {uid}"),
            Self::Token(_) => f.write_str("token"),
            Self::Hangup => f.write_str("SIGHUP"),
            Self::Process(_) | Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The sender of a request and the reason: an argument of a handler.
#[derive(Clone, Debug)]
pub(crate) struct By(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    actor: Actor,
    reason: Option<String>,
    command: Arc<str>,
    /// The event of a dead letter or of an effect.
    event: Option<String>,
    /// The number of the effect among those of its event.
    effect: Option<u32>,
    record: Mutex<Record>,
}

/// The handler's contribution to the record.
#[derive(Debug, Default)]
struct Record {
    /// The command, if it is not the operation.
    command: Option<&'static str>,
    module: Option<String>,
    /// The file of a module that is being loaded.
    file: Option<String>,
    /// Whether the response writes no record.
    is_left_out: bool,
}

/// A request that can be a command.
pub(super) struct Asked {
    pub(super) actor: Actor,
    pub(super) reason: Option<String>,
    /// The operation.
    pub(super) command: Arc<str>,
    pub(super) module: Option<String>,
    /// The event of a dead letter or of an effect.
    pub(super) event: Option<String>,
    /// The number of the effect among those of its event.
    pub(super) effect: Option<u32>,
    /// Whether the request only reads, and needs no record.
    pub(super) is_read: bool,
}

impl By {
    pub(super) fn of(asked: Asked) -> Self {
        let Asked {
            actor,
            reason,
            command,
            module,
            event,
            effect,
            is_read,
        } = asked;
        Self(Arc::new(Inner {
            actor,
            reason,
            command,
            event,
            effect,
            record: Mutex::new(Record {
                module,
                is_left_out: is_read,
                ..Record::default()
            }),
        }))
    }

    /// The sender of this command is SIGHUP.
    pub(crate) fn hangup(command: &str) -> Self {
        Self(Arc::new(Inner {
            actor: Actor::Hangup,
            reason: None,
            command: command.into(),
            event: None,
            effect: None,
            record: Mutex::default(),
        }))
    }

    pub(crate) fn actor(&self) -> Actor {
        self.0.actor
    }

    /// The command and its sender, for operators whose commands wait for it.
    pub(crate) fn holds(&self, command: &str) -> String {
        format!("{command} by {}", self.0.actor)
    }

    /// The operator's reason, of a bounded length, without control characters.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Names the module that the command concerns, if the path does not name it. The name replaces that of a file.
    pub(crate) fn concerns(&self, module: impl Into<String>) {
        let mut record = self.0.record.lock();
        record.module = Some(module.into());
        record.file = None;
    }

    /// Names the file of a module whose name is not known yet.
    pub(crate) fn names_file(&self, file: &Path) {
        self.0.record.lock().file = Some(file.display().to_string());
    }

    /// Names the command, if one path has several.
    pub(crate) fn is(&self, command: &'static str) {
        self.0.record.lock().command = Some(command);
    }

    /// Says whether the request changes anything. One that changes nothing needs no record.
    pub(crate) fn changes_state(&self, changes: bool) {
        self.0.record.lock().is_left_out = !changes;
    }

    /// The command continues after the response begins. Returns the record, to write at its end.
    pub(crate) fn continues(&self) -> Pending {
        self.changes_state(false);
        Pending(Some(self.clone()))
    }

    /// Writes the record, unless its handler left it out.
    pub(super) fn ended(&self, outcome: Result<(), &str>) {
        if !self.0.record.lock().is_left_out {
            self.write(outcome.err().unwrap_or(OK));
        }
    }

    fn write(&self, outcome: &str) {
        let Inner {
            actor,
            command,
            event,
            effect,
            record,
            ..
        } = &*self.0;
        let record = record.lock();
        // A name that no module has gets no row among the events of a module.
        let is_module = !UNKNOWN.iter().any(|code| code.word() == outcome);
        let (module, name) = match is_module {
            true => (record.module.as_deref(), None),
            false => (None, record.module.as_deref()),
        };
        let (pid, address) = match actor {
            Actor::Process(peer) => (peer.pid, None),
            Actor::Token(address) => (None, Some(address.to_string())),
            Actor::Hangup | Actor::Unknown => (None, None),
        };
        tracing::info!(
            target: AUDIT,
            by = %actor,
            pid,
            address,
            command = record.command.unwrap_or(command),
            module,
            name,
            file = record.file.as_deref(),
            event,
            effect,
            reason = self.reason(),
            outcome,
            "command"
        );
    }
}

/// The record of a command that has not ended.
pub(crate) struct Pending(Option<By>);

impl Pending {
    /// Writes the record of a command that ended well, or with the code of an error.
    pub(crate) fn ended(mut self, outcome: Result<(), &str>) {
        if let Some(by) = self.0.take() {
            by.write(outcome.err().unwrap_or(OK));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(by) = self.0.take() {
            by.write(CUT_OFF);
        }
    }
}
