//! Everything that is measured here, with names, units and labels.
//!
//! Handles are made once, when a module, a chain's log or the committer is: a program that exports metrics installs its recorder
//! before. Without one they cost an atomic load. No label's value is a guest's: a module's name is checked, and the operator's or
//! the manifest's.
//!
//! What stands still when a module is removed is kept as it was, as a counter is meant to be. Gauges are set to 0 then, a module's
//! stages among them, so that nothing is said of a module that is not there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::event::{ChainTopic, EventKind};
use crate::instance::Failure;
use crate::limits::{Limit, Used};
use crate::names::ModuleName;
use crate::runner::Stage;

/// Counter: events whose handler returned ok. Labels: [`MODULE`], [`KIND`].
pub const EVENTS_HANDLED: &str = "nexum_events_handled_total";

/// Counter: handlers, `init` included, that did not return ok, each attempt being one. Labels: [`MODULE`], [`REASON`].
pub const FAILURES: &str = "nexum_failures_total";

/// Counter: handlers that a limit ended; they are among [`FAILURES`], or [`QUERIES`]. Labels: [`MODULE`], [`LIMIT`].
pub const LIMIT_TRIPS: &str = "nexum_limit_trips_total";

/// Counter: instances that took another one's place, after a failure, a revert, a reload or a restart. Label: [`MODULE`].
pub const INSTANCE_RESTARTS: &str = "nexum_instance_restarts_total";

/// Gauge: events that the module could not handle, and that the operator has not decided about. Label: [`MODULE`].
pub const DEAD_LETTERS: &str = "nexum_dead_letters";

/// Histogram, seconds: how long a handler ran for an event, waits in host calls included, however it ended. Label: [`MODULE`].
pub const EVENT_HANDLER_SECONDS: &str = "nexum_event_handler_seconds";

/// Histogram, seconds: from a block's arrival in the log of its topic to the end of the commit of an event of it, attempts that failed
/// and the pauses after them included; of events that went well, and are no history. Label: [`MODULE`].
pub const EVENT_SECONDS: &str = "nexum_event_seconds";

/// Histogram, seconds: how long events had to wait that came faster than `events_per_second` allows; only those. Label: [`MODULE`].
pub const EVENT_RATE_WAIT_SECONDS: &str = "nexum_event_rate_wait_seconds";

/// Gauge: blocks of a topic that the module has still to handle. Labels: [`MODULE`], [`CHAIN`].
pub const BLOCKS_BEHIND: &str = "nexum_blocks_behind";

/// Gauge, bytes: linear memories of the module's instance after its last handler; 0 where there is no instance. Label: [`MODULE`].
pub const MEMORY_BYTES: &str = "nexum_module_memory_bytes";

/// Gauge, bytes: keys and values that the module keeps in the local store. Label: [`MODULE`].
pub const STORED_BYTES: &str = "nexum_module_stored_bytes";

/// Counter: fuel that handlers of events used, about one unit an instruction. Label: [`MODULE`].
pub const FUEL_USED: &str = "nexum_fuel_used_total";

/// Gauge: 1 for the stage that a module is in, 0 for the others. Labels: [`MODULE`], [`STAGE`].
pub const MODULE_STAGE: &str = "nexum_module_stage";

/// Counter: queries. Labels: [`MODULE`]; [`OUTCOME`], which is `answered` or why there is no answer.
pub const QUERIES: &str = "nexum_queries_total";

/// Histogram, seconds: how long a query took that an instance was asked, the wait for that included. Label: [`MODULE`].
pub const QUERY_SECONDS: &str = "nexum_query_seconds";

/// Counter: transactions of the state store. Label: [`OUTCOME`].
pub const TRANSACTIONS: &str = "nexum_store_transactions_total";

/// Counter: commits of modules that became durable; a transaction has those that come at one time.
pub const COMMITS: &str = "nexum_store_commits_total";

/// Histogram, seconds: how long a transaction took.
pub const TRANSACTION_SECONDS: &str = "nexum_store_transaction_seconds";

/// Label: the module's name.
pub const MODULE: &str = "module";

/// Label: `block`, `logs` or `tick`.
pub const KIND: &str = "kind";

/// Label: `returned` (an error), `trap`, `limit`, `store` (it could not be read), or `prepare` (a capability was not ready).
pub const REASON: &str = "reason";

/// Label: the limit's key in `[engine.limits]`.
pub const LIMIT: &str = "limit";

/// Label: the chain id in decimal, with how settled its blocks have to be.
pub const CHAIN: &str = "chain";

/// Label: a [`Stage`], in one word.
pub const STAGE: &str = "stage";

/// Label: `made` or `failed`; of a query `answered`, or [why not](crate::query::QueryError::kind).
pub const OUTCOME: &str = "outcome";

/// Tells the recorder what the metrics mean. For whoever installed it, once.
pub fn describe() {
    describe_counter!(EVENTS_HANDLED, "events whose handler returned ok");
    describe_counter!(FAILURES, "handlers that did not return ok");
    describe_counter!(LIMIT_TRIPS, "handlers that a limit ended");
    describe_counter!(INSTANCE_RESTARTS, "instances that took another one's place");
    describe_gauge!(DEAD_LETTERS, "events that could not be handled and are kept");
    describe_histogram!(EVENT_HANDLER_SECONDS, Unit::Seconds, "time that handlers of events ran");
    describe_histogram!(
        EVENT_SECONDS,
        Unit::Seconds,
        "time from a block's arrival to the end of its event's commit"
    );
    describe_histogram!(
        EVENT_RATE_WAIT_SECONDS,
        Unit::Seconds,
        "time that events waited which came faster than a module may have them"
    );
    describe_gauge!(BLOCKS_BEHIND, "blocks that a module has still to handle");
    describe_gauge!(MEMORY_BYTES, Unit::Bytes, "linear memories of a module's instance");
    describe_gauge!(STORED_BYTES, Unit::Bytes, "keys and values that a module keeps");
    describe_counter!(FUEL_USED, "fuel that handlers of events used");
    describe_gauge!(MODULE_STAGE, "1 for the stage that a module is in");
    describe_counter!(QUERIES, "queries");
    describe_histogram!(QUERY_SECONDS, Unit::Seconds, "time that queries took");
    describe_counter!(TRANSACTIONS, "transactions of the state store");
    describe_counter!(COMMITS, "commits that became durable");
    describe_histogram!(TRANSACTION_SECONDS, Unit::Seconds, "time that a transaction took");
}

/// Every kind of event.
const KINDS: [EventKind; 3] = [EventKind::Logs, EventKind::Block, EventKind::Tick];

/// Why handlers fail, as [`REASON`] has it, in the order of [`reason`].
const REASONS: [&str; 5] = ["returned", "limit", "trap", "store", "prepare"];

/// What is measured of one module.
pub(crate) struct ModuleMetrics {
    handled: [Counter; KINDS.len()],
    failures: [Counter; REASONS.len()],
    /// In the order of [`Limit`].
    trips: Vec<Counter>,
    restarts: Counter,
    /// Whether it has had an instance.
    has_begun: AtomicBool,
    dead_letters: Gauge,
    handler_seconds: Histogram,
    event_seconds: Histogram,
    rate_wait_seconds: Histogram,
    memory_bytes: Gauge,
    stored_bytes: Gauge,
    fuel: Counter,
    stages: [(Stage, Gauge); Stage::ALL.len()],
}

impl ModuleMetrics {
    pub(crate) fn new(module: &ModuleName) -> Self {
        let module = module.as_str().to_owned();
        let failures = |reason| counter!(FAILURES, MODULE => module.clone(), REASON => reason);
        let trips = |limit: Limit| counter!(LIMIT_TRIPS, MODULE => module.clone(), LIMIT => limit.name());
        let handled = |kind: EventKind| counter!(EVENTS_HANDLED, MODULE => module.clone(), KIND => kind.name());
        let stage = |stage: Stage| gauge!(MODULE_STAGE, MODULE => module.clone(), STAGE => stage.name());
        Self {
            handled: KINDS.map(handled),
            failures: REASONS.map(failures),
            trips: Limit::all().map(trips).collect(),
            restarts: counter!(INSTANCE_RESTARTS, MODULE => module.clone()),
            has_begun: AtomicBool::new(false),
            dead_letters: gauge!(DEAD_LETTERS, MODULE => module.clone()),
            handler_seconds: histogram!(EVENT_HANDLER_SECONDS, MODULE => module.clone()),
            event_seconds: histogram!(EVENT_SECONDS, MODULE => module.clone()),
            rate_wait_seconds: histogram!(EVENT_RATE_WAIT_SECONDS, MODULE => module.clone()),
            memory_bytes: gauge!(MEMORY_BYTES, MODULE => module.clone()),
            stored_bytes: gauge!(STORED_BYTES, MODULE => module.clone()),
            fuel: counter!(FUEL_USED, MODULE => module.clone()),
            stages: Stage::ALL.map(|of| (of, stage(of))),
        }
    }

    /// There is an instance, whose `init` returned ok.
    pub(crate) fn started(&self) {
        if self.has_begun.swap(true, Ordering::Relaxed) {
            self.restarts.increment(1);
        }
    }

    /// A handler of an event has ended, whatever came of it.
    pub(crate) fn ran(&self, took: Duration, used: &Used) {
        self.handler_seconds.record(took);
        self.fuel.increment(used[Limit::Fuel]);
    }

    /// An event's handler returned ok, and what it changed is kept.
    pub(crate) fn handled(&self, kind: EventKind) {
        for (known, counter) in KINDS.iter().zip(&self.handled) {
            if *known == kind {
                counter.increment(1);
            }
        }
    }

    /// The next event has to wait so long.
    pub(crate) fn waited(&self, wait: Duration) {
        self.rate_wait_seconds.record(wait);
    }

    /// What an event's handler changed is durable, so long after its block came.
    pub(crate) fn committed(&self, took: Duration) {
        self.event_seconds.record(took);
    }

    /// A handler did not return ok.
    pub(crate) fn failed(&self, failure: &Failure) {
        let reason = reason(failure);
        for (known, counter) in REASONS.iter().zip(&self.failures) {
            if *known == reason {
                counter.increment(1);
            }
        }
        if let Failure::Limit(trip) = failure
            && let Some(trips) = self.trips.get(trip.limit as usize)
        {
            trips.increment(1);
        }
    }

    pub(crate) fn dead_letters(&self, count: u64) {
        self.dead_letters.set(count as f64);
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

    /// The module is removed.
    pub(crate) fn retire(&self) {
        for gauge in [&self.dead_letters, &self.memory_bytes, &self.stored_bytes] {
            gauge.set(0.0);
        }
        for (_, gauge) in &self.stages {
            gauge.set(0.0);
        }
    }
}

/// How far a module is behind a topic.
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
    }
}

/// Handles are of no interest to anybody.
impl std::fmt::Debug for ModuleMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleMetrics").finish_non_exhaustive()
    }
}

/// What is measured of a module that answers queries.
pub(crate) struct QueryMetrics {
    module: String,
    answered: Counter,
    seconds: Histogram,
}

impl QueryMetrics {
    pub(crate) fn new(module: &ModuleName) -> Self {
        let module = module.as_str().to_owned();
        Self {
            answered: counter!(QUERIES, MODULE => module.clone(), OUTCOME => "answered"),
            seconds: histogram!(QUERY_SECONDS, MODULE => module.clone()),
            module,
        }
    }

    /// A query was answered.
    pub(crate) fn answered(&self) {
        self.answered.increment(1);
    }

    /// A query was not answered, for a reason of this kind. That is rare, and there are many kinds.
    pub(crate) fn failed(&self, kind: &'static str) {
        counter!(QUERIES, MODULE => self.module.clone(), OUTCOME => kind).increment(1);
    }

    /// A limit ended a query.
    pub(crate) fn tripped(&self, limit: Limit) {
        counter!(LIMIT_TRIPS, MODULE => self.module.clone(), LIMIT => limit.name()).increment(1);
    }

    /// An instance was asked.
    pub(crate) fn asked(&self, took: Duration) {
        self.seconds.record(took);
    }
}

/// Handles are of no interest to anybody.
impl std::fmt::Debug for QueryMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryMetrics").finish_non_exhaustive()
    }
}

/// What is measured of the committer.
pub(crate) struct CommitterMetrics {
    made: Counter,
    failed: Counter,
    commits: Counter,
    seconds: Histogram,
}

impl CommitterMetrics {
    pub(crate) fn new() -> Self {
        Self {
            made: counter!(TRANSACTIONS, OUTCOME => "made"),
            failed: counter!(TRANSACTIONS, OUTCOME => "failed"),
            commits: counter!(COMMITS),
            seconds: histogram!(TRANSACTION_SECONDS),
        }
    }

    /// So many commits became durable.
    pub(crate) fn commits(&self, count: usize) {
        self.commits.increment(count as u64);
    }

    /// A transaction was made, or failed.
    pub(crate) fn transaction(&self, is_made: bool, took: Duration) {
        self.seconds.record(took);
        let counter = if is_made { &self.made } else { &self.failed };
        counter.increment(1);
    }
}
