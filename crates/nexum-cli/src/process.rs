//! The runtime of a command, and the signals that end it.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::Refusal;

/// How long a command waits for blocking tasks at its end. Every commit has ended before. A compilation or a slow disk may be left.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// A shell adds this to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// Runs a future to its end on the threads of a new runtime.
///
/// # Errors
///
/// Fails if the system starts no threads.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::of(&error))?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(SHUTDOWN);
    Ok(output)
}

/// Raises the number of files that the process may open to the system's highest: modules with files
/// of their own hold up to 64 for each instance, and many systems begin with 1,024.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "nexum cannot raise the number of files that it may open");
    }
}

/// The variables with which systemd addresses this process. A child that has them could report in its
/// name.
const SERVICE_VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
];

/// Takes from a child process the variables that are for this process alone.
pub(crate) fn without_service(command: &mut std::process::Command) {
    for name in SERVICE_VARIABLES {
        command.env_remove(name);
    }
}

/// The signals that end a command. They no longer kill the process once this exists.
pub(crate) struct Termination {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Termination {
    /// SIGINT and SIGTERM.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a handler.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// SIGINT, SIGTERM and SIGHUP, for a command that ends with its terminal and has children to end.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a handler.
    #[cfg(feature = "author")]
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Ok(Self {
            hangup: Some(signal(SignalKind::hangup())?),
            ..Self::new()?
        })
    }

    /// Waits for one of the signals, and returns the exit code that a shell gives a program which the signal ended.
    pub(crate) async fn received(&mut self) -> u8 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => None,
            }
        };
        let kind = tokio::select! {
            Some(()) = self.interrupt.recv() => SignalKind::interrupt(),
            Some(()) = self.terminate.recv() => SignalKind::terminate(),
            Some(()) = hangup => SignalKind::hangup(),
            // No signal can arrive any more.
            else => match std::future::pending::<Infallible>().await {},
        };
        u8::try_from(SIGNALLED + kind.as_raw_value()).unwrap_or(u8::MAX)
    }
}
