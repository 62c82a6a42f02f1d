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
            let send = async || notifier.send(vec![NotifyState::Watchdog]).await;
            beat(interval / 2, async || progresses(host, stop).await, send).await
        }
        _ => std::future::pending().await,
    }
}

/// Calls `send` once in each `interval`, each time after `progresses` has returned.
async fn beat(interval: Duration, progresses: impl AsyncFn(), send: impl AsyncFn()) -> Infallible {
    // systemd gives a positive time.
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
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

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sends_nothing_while_nothing_progresses() {
        let (progress, sent) = (Notify::new(), AtomicU32::new(0));
        let interval = Duration::from_secs(10);
        let count = async || drop(sent.fetch_add(1, Ordering::Relaxed));
        let beats = beat(interval, async || progress.notified().await, count);
        let test = async {
            tokio::time::sleep(interval * 10).await;
            assert_eq!(sent.load(Ordering::Relaxed), 0);
            progress.notify_one();
            tokio::time::sleep(interval * 10).await;
            assert_eq!(sent.load(Ordering::Relaxed), 1);
        };
        tokio::select! {
            never = beats => match never {},
            () = test => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sends_once_in_each_interval() {
        let sent = AtomicU32::new(0);
        let interval = Duration::from_secs(10);
        let count = async || drop(sent.fetch_add(1, Ordering::Relaxed));
        let test = tokio::time::sleep(interval * 4 + interval / 2);
        tokio::select! {
            never = beat(interval, async || {}, count) => match never {},
            () = test => {}
        }
        // One at the start, and one after each interval.
        assert_eq!(sent.load(Ordering::Relaxed), 5);
    }
}
