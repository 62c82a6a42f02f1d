//! All metrics of this crate, with names, units and labels.
//!
//! A module, a chain's log or the committer creates its handles once, at its own creation. A
//! program that exports metrics installs its recorder first. Without a recorder, a metric costs an
//! atomic load. No label's value comes from a guest: nexum checks a module's name, which comes from
//! the operator or the manifest.
//!
//! Counters keep their values when a module is removed. Its gauges, including its stages, become 0,
//! so that they report nothing about a removed module; a time becomes not a number.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Counter: events whose handler returned ok. Labels: [`MODULE`], [`KIND`].
pub const EVENTS_HANDLED: &str = "nexum_events_handled_total";

/// Counter: failed handler calls, including `init`. Each attempt counts. Labels: [`MODULE`],
/// [`REASON`].
pub const FAILURES: &str = "nexum_failures_total";

/// Counter: handler calls that exceeded a limit. [`FAILURES`] or [`QUERIES`] also counts them.
/// Labels: [`MODULE`], [`LIMIT`].
pub const LIMIT_TRIPS: &str = "nexum_limit_trips_total";

/// Counter: instances that replaced another one, after a failure, a revert, a reload or a restart.
/// Label: [`MODULE`].
pub const INSTANCE_RESTARTS: &str = "nexum_instance_restarts_total";

/// Gauge: dead letters, which the operator has neither retried successfully nor skipped. Label:
/// [`MODULE`].
pub const DEAD_LETTERS: &str = "nexum_dead_letters";

/// Counter: effects, by their outcome: `done`, `refused` or `unknown`. Labels: [`MODULE`], [`KIND`], [`OUTCOME`].
pub const EFFECTS: &str = "nexum_effects_total";

/// Gauge: effects about which only the operator can say whether they happened: nexum does not send them again.
/// Label: [`MODULE`].
pub const EFFECTS_UNKNOWN: &str = "nexum_effects_unknown";

/// Counter: effects that may have happened and that the module's state does not know any more. Label: [`MODULE`].
pub const EFFECTS_STRANDED: &str = "nexum_effects_stranded_total";

/// Counter: entries of the ledger that were dropped, because its buffer was full or because they could not
/// be stored.
pub const LEDGER_LOST: &str = "nexum_ledger_lost_total";

/// Histogram, seconds: the duration of an event's handler call, including waits in host calls, for
/// successes and failures. Label: [`MODULE`].
pub const EVENT_HANDLER_SECONDS: &str = "nexum_event_handler_seconds";

/// Histogram, seconds: the time from a block's arrival in the log of its topic to the commit of its
/// event, including failed attempts and the pauses after them. Only successful events that are not
/// replayed count. Label: [`MODULE`].
pub const EVENT_SECONDS: &str = "nexum_event_seconds";

/// Histogram, seconds: the wait of events that exceed `events_per_second`. Other events do not
/// count. Label: [`MODULE`].
pub const EVENT_RATE_WAIT_SECONDS: &str = "nexum_event_rate_wait_seconds";

/// Gauge: blocks of a topic that the module has still to handle. Labels: [`MODULE`], [`CHAIN`].
pub const BLOCKS_BEHIND: &str = "nexum_blocks_behind";

/// Gauge, bytes: the linear memories of the module's instance after its last handler call. 0
/// without an instance. Label: [`MODULE`].
pub const MEMORY_BYTES: &str = "nexum_module_memory_bytes";

/// Gauge, bytes: the keys and values of the module's state. Label: [`MODULE`].
pub const STORED_BYTES: &str = "nexum_module_stored_bytes";

/// Counter: the fuel that events' handler calls used, about one unit per instruction. Label:
/// [`MODULE`].
pub const FUEL_USED: &str = "nexum_fuel_used_total";

/// Gauge, seconds since the Unix epoch: the commit of the event that the module handled last. Absent
/// until the module has handled one, and not a number after its removal. Label: [`MODULE`].
pub const LAST_SUCCESS: &str = "nexum_module_last_success_timestamp_seconds";

/// Gauge: 1 for the module's stage, 0 for the others. Labels: [`MODULE`], [`STAGE`].
pub const MODULE_STAGE: &str = "nexum_module_stage";

/// Counter: queries. Labels: [`MODULE`]; [`OUTCOME`], which is `answered` or the reason of the
/// failure.
pub const QUERIES: &str = "nexum_queries_total";

/// Histogram, seconds: the duration of a query that an instance received, including the wait for
/// the instance. Label: [`MODULE`].
pub const QUERY_SECONDS: &str = "nexum_query_seconds";

/// Gauge: 1 while the query module is suspended, otherwise 0. Label: [`MODULE`].
pub const QUERY_SUSPENDED: &str = "nexum_query_suspended";

/// Counter: transactions of the state store. Label: [`OUTCOME`].
pub const TRANSACTIONS: &str = "nexum_store_transactions_total";

/// Counter: durable commits of modules. A transaction combines concurrent commits.
pub const COMMITS: &str = "nexum_store_commits_total";

/// Histogram, seconds: the duration of a transaction.
pub const TRANSACTION_SECONDS: &str = "nexum_store_transaction_seconds";

/// Label: the module's name.
pub const MODULE: &str = "module";

/// Label: `block`, `logs` or `tick`.
pub const KIND: &str = "kind";

/// Label: `returned` (an error), `trap`, `limit`, `store` (not readable), or `prepare` (a
/// capability was not ready).
pub const REASON: &str = "reason";

/// Label: the limit's key in `[engine.limits]`.
pub const LIMIT: &str = "limit";

/// Label: the chain id in decimal, with the finality of its blocks.
pub const CHAIN: &str = "chain";

/// Label: a [`Stage`](crate::runner::Stage), in one word.
pub const STAGE: &str = "stage";

/// Label: `made` or `failed`; of a query `answered`, or [the reason of the
/// failure](crate::query::QueryError::kind); of an effect `done`, `refused` or `unknown`.
pub const OUTCOME: &str = "outcome";

/// Describes the metrics to the recorder. The program that installed the recorder calls this once.
pub fn describe() {
    describe_counter!(EVENTS_HANDLED, "events whose handler returned ok");
    describe_counter!(FAILURES, "failed handler calls");
    describe_counter!(LIMIT_TRIPS, "handler calls that exceeded a limit");
    describe_counter!(INSTANCE_RESTARTS, "instances that replaced another one");
    describe_gauge!(
        DEAD_LETTERS,
        "events that failed all attempts, which the operator can retry or skip"
    );
    describe_counter!(LEDGER_LOST, "entries of the event ledger that were dropped");
    describe_counter!(EFFECTS, "requests that change something outside nexum, by outcome");
    describe_gauge!(
        EFFECTS_UNKNOWN,
        "effects about which only the operator can say whether they happened"
    );
    describe_counter!(
        EFFECTS_STRANDED,
        "effects that may have happened, and that the module's state does not know any more"
    );
    describe_histogram!(
        EVENT_HANDLER_SECONDS,
        Unit::Seconds,
        "duration of events' handler calls"
    );
    describe_histogram!(
        EVENT_SECONDS,
        Unit::Seconds,
        "time from a block's arrival to the end of its event's commit"
    );
    describe_histogram!(
        EVENT_RATE_WAIT_SECONDS,
        Unit::Seconds,
        "wait of events that exceed the module's event rate"
    );
    describe_gauge!(BLOCKS_BEHIND, "blocks that a module has still to handle");
    describe_gauge!(
        MEMORY_BYTES,
        Unit::Bytes,
        "size of the linear memories of a module's instance"
    );
    describe_gauge!(
        STORED_BYTES,
        Unit::Bytes,
        "size of the keys and values in a module's state"
    );
    describe_counter!(FUEL_USED, "fuel that events' handler calls used");
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "time of the commit of the event that the module handled last"
    );
    describe_gauge!(MODULE_STAGE, "1 for the module's stage, 0 for the others");
    describe_counter!(QUERIES, "queries");
    describe_histogram!(QUERY_SECONDS, Unit::Seconds, "duration of queries");
    describe_gauge!(
        QUERY_SUSPENDED,
        "1 while a query module is suspended, because it failed too often"
    );
    describe_counter!(TRANSACTIONS, "transactions of the state store");
    describe_counter!(COMMITS, "commits that became durable");
    describe_histogram!(TRANSACTION_SECONDS, Unit::Seconds, "duration of a transaction");
}
