//! Counts metrics, so that a test can check what an operator sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::{Mutex, MutexGuard};

/// A recorder for the `metrics` facade that counts by name and labels: the increments of a counter
/// and the records of a histogram. It also has the values of gauges.
#[derive(Debug, Default)]
pub struct Counts {
    counts: Mutex<BTreeMap<String, Arc<Count>>>,
    gauges: Mutex<BTreeMap<String, Arc<Level>>>,
}

/// The value of a gauge, as the bits of a floating-point number.
#[derive(Debug, Default)]
struct Level(AtomicU64);

impl Level {
    fn change(&self, change: impl Fn(f64) -> f64) {
        let changed = |bits| Some(change(f64::from_bits(bits)).to_bits());
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.change(|level| level + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|level| level - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

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
        self.counts.lock()
    }

    fn count(&self, key: &Key) -> Arc<Count> {
        Arc::clone(self.lock().entry(name_of(key)).or_default())
    }

    /// The value of the first gauge with this name and all of these labels, each as `key=value`.
    pub fn gauge(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let gauges = self.gauges.lock();
        let found = gauges.iter().find(|(key, _)| matches(key, name, labels))?;
        Some(f64::from_bits(found.1.0.load(Ordering::Relaxed)))
    }

    /// The sum over all metrics with this name and all of these labels, each as `key=value`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let counts = self.lock();
        let matching = counts.iter().filter(|(key, _)| matches(key, name, labels));
        matching.map(|(_, count)| count.0.load(Ordering::Relaxed)).sum()
    }
}

fn name_of(key: &Key) -> String {
    let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
    let labels: Vec<_> = labels.collect();
    format!("{} {}", key.name(), labels.join(" "))
}

fn matches(key: &str, name: &str, labels: &[&str]) -> bool {
    let mut words = key.split(' ');
    words.next() == Some(name) && labels.iter().all(|label| key.split(' ').any(|word| word == *label))
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.count(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.gauges.lock().entry(name_of(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.count(key))
    }
}
