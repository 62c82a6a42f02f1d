//! The task that sends spans, with retries.

use std::time::Duration;

use nexum_config::backoff::wait;
use nexum_core::ledger::AttemptEntry;
use nexum_core::source::{Extent, Outage};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::handling::Handlings;
use super::{EXPORTED, FAILED, TARGET, count};

/// The most attempts to send spans. With the waits they take about a minute, in which a collector restarts.
const ATTEMPTS_MAX: u32 = 6;

/// The wait after the first failure, and the longest wait.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The most attempts at events whose spans go in one request.
const BATCH_MAX: usize = 256;

/// The number of spans after which a request takes no further attempt at an event: a request of some hundred kilobytes.
const BATCH_SPANS: usize = 1_024;

/// Sends the spans of attempts at events to a collector.
pub(super) struct Delivery {
    collector: Collector,
    handlings: Handlings,
    ending: CancellationToken,
    begun: Instant,
    outage: Outage,
}

impl Delivery {
    /// Once `ending` is cancelled, a failed request is not repeated.
    pub(super) fn new(collector: Collector, ending: CancellationToken) -> Self {
        Self {
            handlings: Handlings::new(collector.identity()),
            collector,
            ending,
            begun: Instant::now(),
            outage: Outage::default(),
        }
    }

    /// Sends the spans of a queue, in order, until the queue is closed.
    pub(super) async fn deliver_all(mut self, mut queue: mpsc::Receiver<Box<AttemptEntry>>) {
        let mut taken = Vec::new();
        while queue.recv_many(&mut taken, BATCH_MAX).await > 0 {
            let (mut spans, mut attempts) = (Vec::new(), 0);
            for attempt in taken.drain(..) {
                self.handlings.add(&attempt, &mut spans);
                attempts += 1;
                if spans.len() >= BATCH_SPANS {
                    self.deliver(std::mem::take(&mut spans), std::mem::take(&mut attempts))
                        .await;
                }
            }
            self.deliver(spans, attempts).await;
        }
        let unfinished = self.handlings.finish();
        self.deliver(unfinished, 0).await;
    }

    /// Sends the spans of this many attempts at events.
    async fn deliver(&mut self, spans: Vec<SpanData>, attempts: u64) {
        if spans.is_empty() {
            return;
        }
        let mut request = 0;
        let outcome = loop {
            request += 1;
            let Err(failed) = self.collector.send(spans.clone()).await else {
                break EXPORTED;
            };
            self.report_failed(&failed.text);
            if failed.is_final || request == ATTEMPTS_MAX || self.ending.is_cancelled() {
                break FAILED;
            }
            tokio::select! {
                () = sleep(wait(WAIT_MIN, WAIT_MAX, request)) => {}
                () = self.ending.cancelled() => {}
            }
        };
        count(outcome, attempts);
        if outcome == EXPORTED {
            self.report_sent();
        }
    }

    fn report_failed(&mut self, error: &str) {
        if let Some(Extent { seconds, attempts }) = self.outage.failed(self.begun.elapsed()) {
            tracing::warn!(
                target: TARGET,
                error,
                seconds,
                attempts,
                hint = "check the collector, and the variables that begin with OTEL_EXPORTER_OTLP_",
                "nexum cannot export traces: events go on, and the collector will lack some"
            );
        }
    }

    fn report_sent(&mut self) {
        if let Some(Extent { seconds, attempts }) = self.outage.ended(self.begun.elapsed()) {
            let endpoint = self.collector.url();
            tracing::info!(target: TARGET, %endpoint, seconds, attempts, "nexum exports traces again");
        }
    }
}
