//! Sends messages to systemd.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::source::{Extent, Outage};
use parking_lot::Mutex;
use sd_notify::NotifyState;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// The variable with the socket of systemd.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Sends messages to the socket that systemd names. Clones share the reports of failures.
#[derive(Clone)]
pub(super) struct Notifier {
    is_supervised: bool,
    failures: Arc<Mutex<Outage>>,
    began: Instant,
}

impl Notifier {
    /// The socket that the environment of this process names.
    pub(super) fn of_environment() -> Self {
        Self {
            is_supervised: std::env::var_os(SOCKET).is_some_and(|socket| !socket.is_empty()),
            failures: Arc::default(),
            began: Instant::now(),
        }
    }

    /// Whether there is a socket.
    pub(super) fn is_supervised(&self) -> bool {
        self.is_supervised
    }

    /// Sends messages together. Waits while the socket is full. Logs a failure.
    pub(super) async fn send(&self, messages: Vec<NotifyState<'_>>) {
        if !self.is_supervised || messages.is_empty() {
            return;
        }
        let text: Vec<_> = messages.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        // A full socket blocks the sender.
        let sent = spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&text)])).await;
        let sent = sent.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        self.report(sent.err());
    }

    fn report(&self, error: Option<std::io::Error>) {
        let now: Duration = self.began.elapsed();
        let mut failures = self.failures.lock();
        match error {
            Some(error) => {
                if let Some(Extent { seconds, attempts }) = failures.failed(now) {
                    tracing::warn!(%error, seconds, attempts, "systemd takes no messages from nexum");
                }
            }
            None => {
                if let Some(Extent { seconds, attempts }) = failures.ended(now) {
                    tracing::info!(seconds, attempts, "systemd takes messages from nexum again");
                }
            }
        }
    }
}
