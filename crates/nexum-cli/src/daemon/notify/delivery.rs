//! Deliveries with retries.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::backoff::wait;
use nexum_core::source::{Extent, Outage};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{DELIVERED, FAILED, Receiver, TARGET, count};

/// The most attempts to deliver one message. With the waits they take about a minute, in which a
/// service restarts. A message that arrives much later helps no one, and others wait behind it.
const ATTEMPTS_MAX: u32 = 6;

/// The wait after the first failure, and the longest wait.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Delivers the messages of a queue, in order, until the queue is closed.
pub(super) async fn deliver_all(receiver: Arc<Receiver>, mut queue: mpsc::Receiver<Arc<String>>) {
    let begun = Instant::now();
    let mut outage = Outage::default();
    while let Some(body) = queue.recv().await {
        let mut attempt = 0;
        let outcome = loop {
            attempt += 1;
            let Err(failed) = receiver.deliver(&body).await else {
                break DELIVERED;
            };
            if let Some(Extent { seconds, attempts }) = outage.failed(begun.elapsed()) {
                tracing::error!(
                    target: TARGET,
                    receiver = receiver.label(),
                    error = failed.text,
                    seconds,
                    attempts,
                    hint = "correct [notify], and test it with `nexum notify test`",
                    "a notification cannot be delivered"
                );
            }
            if failed.is_final || attempt == ATTEMPTS_MAX {
                break FAILED;
            }
            sleep(wait(WAIT_MIN, WAIT_MAX, attempt)).await;
        };
        count(outcome, 1);
        if outcome == DELIVERED
            && let Some(Extent { seconds, attempts }) = outage.ended(begun.elapsed())
        {
            tracing::info!(
                target: TARGET,
                receiver = receiver.label(),
                seconds,
                attempts,
                "notifications can be delivered again"
            );
        }
    }
}
