//! The messages about the part of a module that handles events. All times are milliseconds since the
//! Unix epoch. A value that nexum does not know is null, never 0.

use nexum_core::capability::{CurrentCall, TimeKind, TimeUse};
use nexum_core::{FailureRecord, ModuleReport, SubscriptionMatch, TopicPosition};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The part of a module that handles events.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EventPart {
    /// The position in each chain and finality that the module subscribes to.
    pub(crate) chains: Vec<ChainPosition>,
    /// The position in each schedule.
    pub(crate) schedules: Vec<SchedulePosition>,
    /// The time of the next attempt of a module in `backoff`, and of the next attempt to reach the chain of a module in
    /// `waiting_for_chain`.
    pub(crate) next_try_ms: Option<u64>,
    /// The handler call in progress.
    pub(crate) handling: Option<HandlerCall>,
    /// The event that the module handled last, since the start of the process.
    pub(crate) last_success: Option<HandledEvent>,
    /// The last five failed handler calls, newest first.
    pub(crate) last_failures: Vec<FailedCall>,
    /// The failed handler calls in the last hour.
    pub(crate) failures_in_last_hour: u64,
    /// The last match of each subscription.
    pub(crate) matches: Vec<Match>,
    /// The limits of which one recent call has used more than half.
    pub(crate) limits_over_half: Vec<LimitUse>,
    /// The use of the module's time in the last one to two minutes, the largest part first.
    pub(crate) time_use: Vec<TimePart>,
    /// The largest part of the module's time in words, with its endpoint and the median of the endpoint's calls.
    pub(crate) time_mostly: Option<String>,
}

/// A position in a chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChainPosition {
    /// The chain id, and the finality if it is not `latest`.
    pub(crate) chain: String,
    /// The last block that the module has handled, or that had no event for it.
    pub(crate) at: Option<u64>,
    /// The newest block that nexum has read.
    pub(crate) head: Option<u64>,
    /// The blocks up to the head that the module has still to handle. Null while the chain has trouble.
    pub(crate) behind: Option<u64>,
    /// The difference between the timestamps of the blocks `head` and `at`, in milliseconds. Null while the chain has
    /// trouble.
    pub(crate) lag_ms: Option<u64>,
}

/// A position in a schedule.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SchedulePosition {
    /// The schedule, as in the manifest.
    pub(crate) schedule: String,
    /// The time of the last tick that the module has handled.
    pub(crate) last_ms: Option<u64>,
    /// The time of the next tick.
    pub(crate) next_ms: Option<u64>,
    /// How long the next tick has been due, in milliseconds.
    pub(crate) lag_ms: Option<u64>,
}

/// A handler call in progress.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandlerCall {
    /// The event's id, or the name of another exported function.
    pub(crate) event: String,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// The time since the start of the call, in milliseconds.
    pub(crate) elapsed_ms: u64,
    /// The host call that works now. None while the guest computes.
    pub(crate) host_call: Option<HostCall>,
}

/// A host call in progress.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HostCall {
    /// `chain`, `order book`, `http`, `store` or `other`.
    pub(crate) kind: String,
    pub(crate) method: String,
    /// Scheme, host and port.
    pub(crate) endpoint: Option<String>,
    /// The time since the start of the call, in milliseconds.
    pub(crate) elapsed_ms: u64,
}

/// An event that a module has handled.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandledEvent {
    /// The event's id.
    pub(crate) event: String,
    /// The time of its commit.
    pub(crate) at_ms: u64,
}

/// A failed handler call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FailedCall {
    /// The event's id, or `init`.
    pub(crate) event: String,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// The most attempts. None for the retry of a dead letter, which has no bound.
    pub(crate) attempts_max: Option<u32>,
    pub(crate) at_ms: u64,
    /// The failure. It can contain text of the module, and have several lines.
    pub(crate) error: String,
}

/// The last match of a subscription.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Match {
    pub(crate) subscription: String,
    /// The block of the last event that matched. For a schedule, the time of the tick. None since the start of the
    /// process.
    pub(crate) block: Option<u64>,
    /// The time at which nexum passed the event to the module.
    pub(crate) at_ms: Option<u64>,
}

/// A limit and the highest use of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LimitUse {
    /// The key of the limit in engine.toml, with its unit.
    pub(crate) limit: String,
    pub(crate) bound: u64,
    /// The highest use by one call in the ten to twenty minutes up to the last handler.
    pub(crate) most: u64,
}

/// A part of a module's time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TimePart {
    /// `guest`, `chain`, `order book`, `http`, `store`, `other`, `commit` or `events_per_second`.
    pub(crate) kind: String,
    pub(crate) ms: u64,
}

impl From<ModuleReport> for EventPart {
    fn from(report: ModuleReport) -> Self {
        let (mut chains, mut schedules) = (Vec::new(), Vec::new());
        for position in report.positions {
            match position {
                TopicPosition::Chain(position) => chains.push(position.into()),
                TopicPosition::Schedule(position) => schedules.push(position.into()),
            }
        }
        chains.sort_by(|one: &ChainPosition, other| one.chain.cmp(&other.chain));
        Self {
            chains,
            schedules,
            next_try_ms: report.condition.next_try_ms,
            handling: report.handling.map(|call| HandlerCall {
                event: call
                    .handler
                    .event()
                    .map_or_else(|| call.handler.to_string(), |event| event.to_string()),
                attempt: call.attempt,
                elapsed_ms: whole_ms(call.elapsed),
                host_call: call.host_call.map(HostCall::from),
            }),
            last_success: report.last_success.map(|success| HandledEvent {
                event: success.event.to_string(),
                at_ms: success.at_ms,
            }),
            last_failures: report.last_failures.iter().map(FailedCall::from).collect(),
            failures_in_last_hour: report.failures_in_last_hour,
            matches: report.matches.iter().map(Match::from).collect(),
            limits_over_half: report.limits_over_half.into_iter().map(LimitUse::from).collect(),
            time_mostly: report.time_use.largest().map(|share| share.to_string()),
            time_use: time_parts(&report.time_use),
        }
    }
}

fn time_parts(used: &TimeUse) -> Vec<TimePart> {
    let part = |kind: TimeKind| TimePart {
        kind: kind.name().to_owned(),
        ms: whole_ms(used.of(kind)),
    };
    let mut parts: Vec<_> = TimeKind::ALL.into_iter().map(part).filter(|part| part.ms > 0).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.ms));
    parts
}

pub(crate) fn whole_ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<nexum_core::ChainPosition> for ChainPosition {
    fn from(position: nexum_core::ChainPosition) -> Self {
        Self {
            chain: position.topic.to_string(),
            at: position.at,
            head: position.head,
            behind: position.behind,
            lag_ms: position.lag_ms,
        }
    }
}

impl From<nexum_core::SchedulePosition> for SchedulePosition {
    fn from(position: nexum_core::SchedulePosition) -> Self {
        Self {
            schedule: position.schedule.to_string(),
            last_ms: position.last_ms,
            next_ms: position.next_ms,
            lag_ms: position.lag_ms,
        }
    }
}

impl From<CurrentCall> for HostCall {
    fn from(call: CurrentCall) -> Self {
        Self {
            kind: call.kind.name().to_owned(),
            method: call.method.to_owned(),
            endpoint: call.endpoint.map(|endpoint| endpoint.to_string()),
            elapsed_ms: whole_ms(call.elapsed),
        }
    }
}

impl From<&FailureRecord> for FailedCall {
    fn from(failure: &FailureRecord) -> Self {
        Self {
            event: failure
                .event()
                .map_or_else(|| failure.handler.to_string(), |event| event.to_string()),
            attempt: failure.attempt,
            attempts_max: failure.attempts_max,
            at_ms: failure.at_ms,
            error: failure.text.to_string(),
        }
    }
}

impl From<&SubscriptionMatch> for Match {
    fn from(matched: &SubscriptionMatch) -> Self {
        Self {
            subscription: matched.subscription.to_string(),
            block: matched.last.map(|last| last.position.number),
            at_ms: matched.last.map(|last| last.at_ms),
        }
    }
}

impl From<nexum_core::module::LimitUse> for LimitUse {
    fn from(used: nexum_core::module::LimitUse) -> Self {
        Self {
            limit: used.limit.name().to_owned(),
            bound: used.bound,
            most: used.most,
        }
    }
}
