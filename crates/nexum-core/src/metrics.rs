//! Everything that is measured here, with names, units and labels.
//!
//! Handles are made once, when a module, a chain's log or the committer is: a program that exports metrics installs its recorder
//! before. Without one they cost an atomic load. No label's value is a guest's: a module's name is checked, and the operator's or
//! the manifest's.
//!
//! What stands still when a module is removed is kept as it was, as a counter is meant to be. Gauges are set to 0 then, a module's
//! stages among them, so that nothing is said of a module that is not there.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

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

/// Label: a [`Stage`](crate::runner::Stage), in one word.
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
