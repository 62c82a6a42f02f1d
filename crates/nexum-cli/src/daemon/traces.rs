//! Traces over OTLP: the entries of the event ledger as spans.
//!
//! The task that takes the entries of the ledger hands them to [`Traces::observer`], which never waits. A
//! task of its own makes spans of them and sends these. A collector that is slow or fails costs traces, which
//! are counted, and neither an event nor an entry of the ledger.

mod collector;
mod delivery;
mod handling;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter};
use nexum_core::ledger::{AttemptEntry, Entry};
use nexum_ledger::Observer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::collector::Collector;
use self::delivery::Delivery;
use crate::configure::TracesConfig;
use crate::report::Refusal;

/// The target of records about traces.
const TARGET: &str = "nexum::traces";

/// Counter: attempts at events by the `outcome` of their spans, which is one of [`OUTCOMES`].
const ATTEMPTS: &str = "nexum_traced_attempts_total";

const EXPORTED: &str = "exported";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";
const OUTCOMES: [&str; 3] = [EXPORTED, FAILED, DROPPED];

/// The most attempts whose spans wait for the collector: those of a minute of a busy chain with a hundred modules. Most
/// take a kilobyte, and one with the longest list of host calls takes 25.
const WAITING_MAX: usize = 8_192;

/// How long the daemon waits at its end for spans that are on their way.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// The export of traces, if the operator named an endpoint.
pub(super) struct Traces(Option<Export>);

struct Export {
    queue: Arc<Queue>,
    /// Taken by the task.
    delivery: Option<(mpsc::Receiver<Box<AttemptEntry>>, Delivery)>,
    task: JoinSet<()>,
    /// Cancelled at the end of the daemon.
    ending: CancellationToken,
}

/// The attempts whose spans wait for the collector.
struct Queue(parking_lot::Mutex<Option<mpsc::Sender<Box<AttemptEntry>>>>);

impl Traces {
    /// The export to this endpoint, which begins with [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// If nexum cannot make an HTTP client for the endpoint.
    pub(super) fn new(config: Option<TracesConfig>) -> Result<Self, Refusal> {
        let Some(config) = config else { return Ok(Self(None)) };
        describe_counter!(
            ATTEMPTS,
            Unit::Count,
            "attempts at events, by what became of their spans"
        );
        // Prometheus sees no increase in a series that begins with the first lost span.
        for outcome in OUTCOMES {
            count(outcome, 0);
        }
        tracing::info!(target: TARGET, endpoint = %config.url, "nexum exports traces");
        let ending = CancellationToken::new();
        let (queue, attempts) = Queue::new(WAITING_MAX);
        let delivery = Delivery::new(Collector::new(config)?, ending.clone());
        Ok(Self(Some(Export {
            queue: Arc::new(queue),
            delivery: Some((attempts, delivery)),
            task: JoinSet::new(),
            ending,
        })))
    }

    /// The observer of the ledger's entries, if traces are exported.
    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        let export = self.0.as_ref()?;
        Some(export.queue.clone())
    }

    /// Starts the task that sends the spans. It needs the runtime.
    pub(super) fn start(&mut self) {
        if let Some(export) = &mut self.0
            && let Some((attempts, delivery)) = export.delivery.take()
        {
            export.task.spawn(delivery.deliver_all(attempts));
        }
    }

    /// Waits until the collector has all spans, for at most [`FINISH_TIME_MAX`].
    pub(super) async fn finish(self) {
        let Some(mut export) = self.0 else { return };
        export.queue.close();
        export.ending.cancel();
        let delivered = async { while export.task.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIME_MAX, delivered).await.is_err() {
            tracing::warn!(target: TARGET, "nexum ends before the collector has all traces");
        }
    }
}

impl Queue {
    /// A queue for this many attempts.
    fn new(waiting_max: usize) -> (Self, mpsc::Receiver<Box<AttemptEntry>>) {
        let (sender, attempts) = mpsc::channel(waiting_max);
        (Self(parking_lot::Mutex::new(Some(sender))), attempts)
    }

    fn close(&self) {
        self.0.lock().take();
    }
}

impl Observer for Queue {
    fn observe(&self, entries: &[(u64, Entry)]) {
        let queue = self.0.lock();
        let Some(queue) = &*queue else { return };
        let attempts = entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Attempt(attempt) => Some(attempt),
            Entry::Inputs(_) | Entry::Reverted(_) | Entry::Stage(_) | Entry::Dropped(_) | Entry::Lost(_) => None,
        });
        let mut dropped = 0;
        for attempt in attempts {
            match queue.try_reserve() {
                Ok(place) => place.send(attempt.clone()),
                Err(_) => dropped += 1,
            }
        }
        count(DROPPED, dropped);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Counts attempts.
fn count(outcome: &'static str, attempts: u64) {
    counter!(ATTEMPTS, "outcome" => outcome).increment(attempts);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use nexum_core::ledger::{Outcome, StageEntry};

    use super::handling::tests::attempt;
    use super::*;

    #[test]
    fn a_full_queue_drops_attempts_and_counts_them() {
        let (queue, mut attempts) = Queue::new(2);
        let stage = Entry::Stage(StageEntry {
            module: "counter".to_owned(),
            stage: "stopped".to_owned(),
            reason: String::new(),
        });
        let attempt = |block| (0, Entry::Attempt(Box::new(attempt(block, 1, 0, Outcome::Handled))));
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            queue.observe(&[attempt(1), (0, stage), attempt(2), attempt(3), attempt(4)]);
        });
        let page = recorder.handle().render();
        assert!(
            page.contains("nexum_traced_attempts_total{outcome=\"dropped\"} 2"),
            "{page}"
        );
        let blocks = std::iter::from_fn(|| attempts.try_recv().ok()).map(|attempt| attempt.event.position.number);
        assert_eq!(blocks.collect::<Vec<_>>(), [1, 2]);
    }
}
