//! The watchdog: systemd restarts a nexum that makes no progress.
//!
//! Each message follows a proof of progress, not a timer alone: a new task has run on a worker of the
//! runtime, and the supervisor has answered a request. The message itself needs a thread for blocking
//! work. A module, a chain or a disk that hangs is no reason for a restart, and stops no message.

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::HostHandle;
use sd_notify::NotifyState;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::notify::Notifier;

/// Sends messages twice in each interval that systemd asks for. Never returns. Sends nothing if systemd
/// asks for none.
pub(super) async fn report(host: &HostHandle, stop: &CancellationToken, notifier: &Notifier) -> Infallible {
    match sd_notify::watchdog_enabled() {
        Some(interval) if notifier.is_supervised() => {
            // systemd gives a positive time.
            let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let tick = async || {
                ticks.tick().await;
            };
            let send = async || notifier.send(vec![NotifyState::Watchdog]).await;
            beat(tick, async || progresses(host, stop).await, send).await
        }
        _ => std::future::pending().await,
    }
}

/// Calls `send` after each `tick`, but not before `progresses` has returned.
async fn beat(mut tick: impl AsyncFnMut(), progresses: impl AsyncFn(), send: impl AsyncFn()) -> Infallible {
    loop {
        tick().await;
        progresses().await;
        send().await;
    }
}

/// Returns when the runtime and the supervisor have made progress. A supervisor that stops has a
/// deadline of its own, so it need not answer.
async fn progresses(host: &HostHandle, stop: &CancellationToken) {
    let mut task = JoinSet::new();
    task.spawn(async {});
    task.join_next().await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = host.supervisor().responds() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// How many messages are sent after these ticks and proofs of progress.
    async fn sent(ticks: usize, proofs: usize) -> u32 {
        let (ticks, proofs, sent) = (Semaphore::new(ticks), Semaphore::new(proofs), AtomicU32::new(0));
        let take = async |permits: &Semaphore| permits.acquire().await.unwrap().forget();
        let count = async || {
            sent.fetch_add(1, Ordering::Relaxed);
        };
        let beats = beat(async || take(&ticks).await, async || take(&proofs).await, count);
        tokio::select! {
            biased;
            never = beats => match never {},
            // The permits are there, so the first poll takes all of them.
            () = std::future::ready(()) => sent.load(Ordering::Relaxed),
        }
    }

    #[tokio::test]
    async fn each_message_needs_a_tick_and_a_proof_of_progress() {
        assert_eq!(sent(3, 3).await, 3);
        assert_eq!(sent(3, 0).await, 0);
        assert_eq!(sent(3, 1).await, 1);
        assert_eq!(sent(0, 3).await, 0);
    }
}
