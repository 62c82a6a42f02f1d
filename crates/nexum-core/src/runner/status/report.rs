//! The report of a running module, for the operator.

use std::sync::atomic::Ordering;

use nexum_config::names::ModuleName;

use super::{Condition, FailureRecord, ModuleStatus, Replaying, SubscriptionMatch};
use crate::capability::{Handling, TimeUse};
use crate::event::EventId;
use crate::module::consumption::LimitUse;
use crate::runner::place::TopicPosition;

/// The state of the part of a module that handles events, at one moment. All times are milliseconds
/// since the Unix epoch. A value that nexum does not know is `None`, never 0.
#[derive(Clone, Debug)]
pub struct ModuleReport {
    /// The module's name.
    pub name: ModuleName,
    /// The stage with its reason, and the next attempt of a module in backoff.
    pub condition: Condition,
    /// The position in each topic, in no order.
    pub positions: Vec<TopicPosition>,
    /// The progress of each topic that the module catches up with.
    pub replaying: Vec<Replaying>,
    /// The handler call in progress, with the host call that it waits for.
    pub handling: Option<Handling>,
    /// The event that the module handled last. `None` if it has handled none since the start of the
    /// process.
    pub last_success: Option<Success>,
    /// The last five failed handler calls, newest first.
    pub last_failures: Vec<FailureRecord>,
    /// The failed handler calls in the last hour, including `init`.
    pub failures_in_last_hour: u64,
    /// The events whose handler returned ok.
    pub handled: u64,
    /// The failed handler calls, including `init`.
    pub failed: u64,
    /// The dead letters.
    pub dead_letters: u64,
    /// The effects about which only the operator can say whether they happened.
    pub effects_in_doubt: u64,
    /// The size of the linear memories of the module's instance after the last event, in bytes.
    pub memory_bytes: u64,
    /// The use of the module's time in the last one to two minutes.
    pub time_use: TimeUse,
    /// The last match of each subscription, in the order of the manifest.
    pub matches: Vec<SubscriptionMatch>,
    /// The limits of which one recent call has used more than half.
    pub limits_over_half: Vec<LimitUse>,
}

/// An event that a module has handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// The event.
    pub event: EventId,
    /// The time of its commit.
    pub at_ms: u64,
}

impl ModuleStatus {
    /// The whole state of the module. It takes a few short locks, and waits neither for the runner
    /// nor for a host call.
    pub fn report(&self) -> ModuleReport {
        ModuleReport {
            name: self.name().clone(),
            condition: self.condition(),
            positions: self.positions(),
            replaying: self.replaying(),
            handling: self.handling(),
            last_success: self.last_success(),
            last_failures: self.last_failures(),
            failures_in_last_hour: self.failures_in_last_hour(),
            handled: self.handled(),
            failed: self.failed(),
            dead_letters: self.dead_letters(),
            effects_in_doubt: self.effects_in_doubt(),
            memory_bytes: self.memory_bytes(),
            time_use: self.time_use(),
            matches: self.matches(),
            limits_over_half: self.consumption().over_half(&self.module().meta),
        }
    }

    /// The number of effects about which only the operator can say whether they happened.
    pub fn effects_in_doubt(&self) -> u64 {
        self.effects_in_doubt.load(Ordering::Acquire)
    }

    /// The position in each of the module's topics, in no order.
    pub fn positions(&self) -> Vec<TopicPosition> {
        let now_ms = self.now_ms();
        let places = self.places.lock();
        places.iter().map(|place| place.position(now_ms)).collect()
    }

    /// The handler call in progress, with the host call that it waits for.
    pub fn handling(&self) -> Option<Handling> {
        self.module().meta.activity.handling()
    }

    /// The use of the module's time in the last one to two minutes. A reload begins with no time.
    pub fn time_use(&self) -> TimeUse {
        self.module().meta.activity.time_use()
    }

    /// The event that the module handled last. `None` if it has handled none since the start of the
    /// process.
    pub fn last_success(&self) -> Option<Success> {
        *self.success.lock()
    }

    /// The last five failed handler calls, newest first.
    pub fn last_failures(&self) -> Vec<FailureRecord> {
        self.failures.lock().newest().cloned().collect()
    }

    /// The number of failed handler calls in the last hour, including `init`, to the minute.
    pub fn failures_in_last_hour(&self) -> u64 {
        let now = self.monotonic();
        self.failures.lock().in_last_hour(now)
    }

    /// The last match of each subscription, in the order of the manifest.
    pub fn matches(&self) -> Vec<SubscriptionMatch> {
        self.matches.lock().all().to_vec()
    }
}
