//! The metrics of one module.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use nexum_config::limits::{Limit, LimitUsage};
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;

use super::stage::Stage;
use crate::event::EventKind;
use crate::metrics::{
    BLOCKS_BEHIND, CHAIN, DEAD_LETTERS, EFFECTS, EFFECTS_STRANDED, EFFECTS_UNKNOWN, EVENT_HANDLER_SECONDS,
    EVENT_RATE_WAIT_SECONDS, EVENT_SECONDS, EVENTS_HANDLED, FAILURES, FUEL_USED, INSTANCE_RESTARTS, KIND, LAST_SUCCESS,
    LIMIT, LIMIT_TRIPS, MEMORY_BYTES, MODULE, MODULE_STAGE, OUTCOME, REASON, STAGE, STORED_BYTES,
};
use crate::module::failure::Failure;

/// All kinds of events.
const KINDS: [EventKind; 3] = [EventKind::Logs, EventKind::Block, EventKind::Tick];

/// The failure reasons, the values of the label [`REASON`]. [`reason`] returns one of them.
const REASONS: [&str; 6] = ["returned", "limit", "trap", "store", "prepare", "effect"];

/// The metrics of one module.
pub(crate) struct ModuleMetrics {
    module: ModuleName,
    handled: [Counter; KINDS.len()],
    failures: [Counter; REASONS.len()],
    /// In the order of [`Limit`].
    trips: Vec<Counter>,
    restarts: Counter,
    /// Whether the module has had an instance.
    has_begun: AtomicBool,
    dead_letters: Gauge,
    effects_in_doubt: Gauge,
    stranded_effects: Counter,
    handler_seconds: Histogram,
    event_seconds: Histogram,
    rate_wait_seconds: Histogram,
    memory_bytes: Gauge,
    stored_bytes: Gauge,
    /// Absent until the module has handled an event, because 0 would be a time.
    last_success: OnceLock<Gauge>,
    fuel: Counter,
    stages: [(Stage, Gauge); Stage::ALL.len()],
}

impl ModuleMetrics {
    pub(crate) fn new(name: &ModuleName) -> Self {
        let module = name.as_str().to_owned();
        let failures = |reason| counter!(FAILURES, MODULE => module.clone(), REASON => reason);
        let trips = |limit: Limit| counter!(LIMIT_TRIPS, MODULE => module.clone(), LIMIT => limit.name());
        let handled = |kind: EventKind| counter!(EVENTS_HANDLED, MODULE => module.clone(), KIND => kind.name());
        let stage = |stage: Stage| gauge!(MODULE_STAGE, MODULE => module.clone(), STAGE => stage.name());
        Self {
            module: name.clone(),
            handled: KINDS.map(handled),
            failures: REASONS.map(failures),
            trips: Limit::all().map(trips).collect(),
            restarts: counter!(INSTANCE_RESTARTS, MODULE => module.clone()),
            has_begun: AtomicBool::new(false),
            dead_letters: gauge!(DEAD_LETTERS, MODULE => module.clone()),
            effects_in_doubt: gauge!(EFFECTS_UNKNOWN, MODULE => module.clone()),
            stranded_effects: counter!(EFFECTS_STRANDED, MODULE => module.clone()),
            handler_seconds: histogram!(EVENT_HANDLER_SECONDS, MODULE => module.clone()),
            event_seconds: histogram!(EVENT_SECONDS, MODULE => module.clone()),
            rate_wait_seconds: histogram!(EVENT_RATE_WAIT_SECONDS, MODULE => module.clone()),
            memory_bytes: gauge!(MEMORY_BYTES, MODULE => module.clone()),
            stored_bytes: gauge!(STORED_BYTES, MODULE => module.clone()),
            last_success: OnceLock::new(),
            fuel: counter!(FUEL_USED, MODULE => module.clone()),
            stages: Stage::ALL.map(|of| (of, stage(of))),
        }
    }

    /// Counts an instance whose `init` returned ok. The first one is not a restart.
    pub(crate) fn started(&self) {
        if self.has_begun.swap(true, Ordering::Relaxed) {
            self.restarts.increment(1);
        }
    }

    /// Records the duration and the use of an event's handler call, after a success or a failure.
    pub(crate) fn ran(&self, took: Duration, used: &LimitUsage) {
        self.handler_seconds.record(took);
        self.fuel.increment(used[Limit::Fuel]);
    }

    /// Counts an event whose handler returned ok, after its commit at `at_ms`, in milliseconds since
    /// the Unix epoch.
    pub(crate) fn handled(&self, kind: EventKind, at_ms: u64) {
        let last = || gauge!(LAST_SUCCESS, MODULE => self.module.as_str().to_owned());
        self.last_success.get_or_init(last).set(at_ms as f64 / 1e3);
        for (known, counter) in KINDS.iter().zip(&self.handled) {
            if *known == kind {
                counter.increment(1);
            }
        }
    }

    /// Records the wait of an event for the event rate.
    pub(crate) fn waited(&self, wait: Duration) {
        self.rate_wait_seconds.record(wait);
    }

    /// Records the time from a block's arrival to the commit of its event.
    pub(crate) fn committed(&self, took: Duration) {
        self.event_seconds.record(took);
    }

    /// Counts a failed handler call.
    pub(crate) fn failed(&self, failure: &Failure) {
        let reason = reason(failure);
        for (known, counter) in REASONS.iter().zip(&self.failures) {
            if *known == reason {
                counter.increment(1);
            }
        }
        if let Failure::Limit(exceeded) = failure
            && let Some(trips) = self.trips.get(exceeded.limit as usize)
        {
            trips.increment(1);
        }
    }

    pub(crate) fn dead_letters(&self, count: u64) {
        self.dead_letters.set(count as f64);
    }

    /// Counts the outcome of an effect. `kind` is a capability's word.
    pub(crate) fn effect(&self, kind: &str, outcome: &'static str) {
        let module = self.module.as_str().to_owned();
        counter!(EFFECTS, MODULE => module, KIND => kind.to_owned(), OUTCOME => outcome).increment(1);
    }

    pub(crate) fn effects_in_doubt(&self, count: u64) {
        self.effects_in_doubt.set(count as f64);
    }

    pub(crate) fn stranded_effect(&self) {
        self.stranded_effects.increment(1);
    }

    pub(crate) fn memory(&self, bytes: u64) {
        self.memory_bytes.set(bytes as f64);
    }

    pub(crate) fn stored(&self, bytes: u64) {
        self.stored_bytes.set(bytes as f64);
    }

    pub(crate) fn stage(&self, now: Stage) {
        for (stage, gauge) in &self.stages {
            gauge.set(if *stage == now { 1.0 } else { 0.0 });
        }
    }

    /// Clears the gauges of a removed module.
    pub(crate) fn retire(&self) {
        for gauge in [
            &self.dead_letters,
            &self.effects_in_doubt,
            &self.memory_bytes,
            &self.stored_bytes,
        ] {
            gauge.set(0.0);
        }
        for (_, gauge) in &self.stages {
            gauge.set(0.0);
        }
        if let Some(last) = self.last_success.get() {
            last.set(f64::NAN);
        }
    }
}

/// The number of blocks that a module is behind a topic.
pub(crate) fn blocks_behind(module: &ModuleName, topic: ChainTopic) -> Gauge {
    gauge!(BLOCKS_BEHIND, MODULE => module.as_str().to_owned(), CHAIN => topic.to_string())
}

fn reason(failure: &Failure) -> &'static str {
    match failure {
        Failure::Returned(_) => "returned",
        Failure::Limit(_) => "limit",
        Failure::Trap(_) => "trap",
        Failure::Store(_) => "store",
        Failure::Prepare { .. } => "prepare",
        Failure::Effect(_) => "effect",
    }
}

/// `Debug` omits the handles.
impl std::fmt::Debug for ModuleMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleMetrics").finish_non_exhaustive()
    }
}
