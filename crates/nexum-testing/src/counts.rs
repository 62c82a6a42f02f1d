//! Counts metrics, so that a test can check what an operator sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::{Mutex, MutexGuard};

/// A recorder for the `metrics` facade that counts by name and labels: the increments of a counter
/// and the records of a histogram.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl metrics::CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl HistogramFn for Count {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Count>>> {
        self.0.lock()
    }

    fn count(&self, key: &Key) -> Arc<Count> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Arc::clone(self.lock().entry(name).or_default())
    }

    /// The sum over all metrics with this name and all of these labels, each as `key=value`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let counts = self.lock();
        let matching = counts.iter().filter(|(key, _)| {
            let mut words = key.split(' ');
            words.next() == Some(name) && labels.iter().all(|label| key.split(' ').any(|word| word == *label))
        });
        matching.map(|(_, count)| count.0.load(Ordering::Relaxed)).sum()
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.count(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.count(key))
    }
}
