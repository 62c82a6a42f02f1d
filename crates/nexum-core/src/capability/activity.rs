//! The current work of a module, and the recent use of its time.
//!
//! The runner opens and closes each handler call. Between, each host function holds a [`HostCall`]
//! while it works. Any task can read the result, and holds the lock only while it copies some words.
//!
//! # Cost
//!
//! A host call reads the clock twice and takes a lock without contention twice. It allocates only
//! when it names an endpoint for the first time.

mod time_use;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::time_use::{EndpointTime, HostCallKind, TimeKind, TimeShare, TimeUse};
use self::time_use::{EndpointTimes, Times};
pub(crate) use self::trace::{Trace, TracedCall};
use crate::bindings::nexum::host::types::HostErrorKind;
use crate::event::Handler;
use crate::windows::Windows;

/// The length of a window of times. A report covers the current window and the one before: long
/// enough for some events of a chain with slow blocks, and short enough to show a change at once.
const WINDOW: Duration = Duration::from_secs(60);

/// The most endpoints of one module with times of their own. A module uses a few chains and one or
/// two order books. An endpoint above this number replaces the one with the least time.
const ENDPOINTS_MAX: usize = 8;

/// The longest label of an endpoint, in bytes: a scheme, the longest DNS name and a port.
const LABEL_BYTES_MAX: usize = 272;

/// The current work of the instance that handles a module's events, and the recent use of its time.
#[derive(Debug, Default)]
pub struct Activity(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    handling: Option<Open>,
    call: Option<Call>,
    /// The host call that began last among those that run while the guest continues, and their
    /// number.
    background: Option<(Call, u32)>,
    times: Windows<Times>,
    endpoints: Vec<EndpointTimes>,
    /// The number of endpoints so far.
    named: u64,
    /// The host calls of the handler call. `None` if no ledger needs them.
    trace: Option<Box<Trace>>,
}

/// A handler call in progress.
#[derive(Clone, Copy, Debug)]
struct Open {
    handler: Handler,
    attempt: u32,
    began: Instant,
    /// The time of its host calls so far.
    in_host: Duration,
}

/// A host call in progress.
#[derive(Clone, Copy, Debug)]
struct Call {
    kind: HostCallKind,
    method: &'static str,
    began: Instant,
    /// The id of its endpoint, which another endpoint may have replaced.
    endpoint: Option<u64>,
}

/// The handler call in progress of a module.
#[derive(Clone, Debug)]
pub struct Handling {
    /// The exported function, with its event.
    pub handler: Handler,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The time since the start of the call.
    pub elapsed: Duration,
    /// The host function that works now. `None` while the guest computes.
    pub host_call: Option<CurrentCall>,
}

/// A host call in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentCall {
    /// The kind of the call.
    pub kind: HostCallKind,
    /// The method, from a fixed list of the capability. It is no text of the guest.
    pub method: &'static str,
    /// The endpoint that the call waits for: scheme, host and port. `None` if the capability does
    /// not know it, or if the call needs none.
    pub endpoint: Option<Arc<str>>,
    /// The time since the start of the call.
    pub elapsed: Duration,
}

/// A host call in progress. It ends when the guard is dropped, also when the end of the event
/// cancels it. A module has one at a time: a second one takes the place of the first.
#[derive(Debug)]
#[must_use = "the call ends when the guard is dropped"]
pub struct HostCall<'a> {
    activity: &'a Activity,
    end: CallEnd,
}

/// The end of a host call, for the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The host function did not say how the call ended: an exceeded limit, the deadline or an error of nexum
    /// cut it off.
    #[default]
    Cut,
    /// The guest gets an answer of this many bytes.
    Answered(u64),
    /// The guest gets an error of this kind.
    Failed(HostErrorKind),
}

/// A host call that runs while the guest continues. It ends when the guard is dropped.
#[derive(Debug)]
#[must_use = "the call ends when the guard is dropped"]
pub struct BackgroundCall {
    activity: Arc<Activity>,
    call: Call,
    end: CallEnd,
}

impl BackgroundCall {
    /// Ends the call with an answer of this many bytes for the guest, or with an error of this kind.
    pub fn ends(mut self, answer: Result<usize, HostErrorKind>) {
        self.end = CallEnd::of(answer);
    }
}

impl CallEnd {
    fn of(answer: Result<usize, HostErrorKind>) -> Self {
        match answer {
            Ok(bytes) => Self::Answered(bytes as u64),
            Err(kind) => Self::Failed(kind),
        }
    }
}

impl HostCall<'_> {
    /// Names the endpoint that the call waits for: scheme, host and port, without secrets and without
    /// characters that harm a terminal.
    pub fn endpoint(&self, label: &str) {
        self.activity.0.lock().waits_for(label);
    }

    /// Ends the call with an answer of this many bytes for the guest, or with an error of this kind.
    pub fn ends(mut self, answer: Result<usize, HostErrorKind>) {
        self.end = CallEnd::of(answer);
    }
}

impl Drop for HostCall<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.activity.0.lock().end(self.end, now);
    }
}

impl Drop for BackgroundCall {
    fn drop(&mut self) {
        let now = Instant::now();
        self.activity.0.lock().end_in_background(self.call, self.end, now);
    }
}

impl Activity {
    /// Begins a host call of the handler call in progress.
    pub fn host_call(&self, kind: HostCallKind, method: &'static str) -> HostCall<'_> {
        let now = Instant::now();
        self.0.lock().begin(kind, method, now);
        HostCall {
            activity: self,
            end: CallEnd::default(),
        }
    }

    /// Begins a host call that runs while the guest continues, at this endpoint.
    pub fn background_call(self: &Arc<Self>, kind: HostCallKind, method: &'static str, label: &str) -> BackgroundCall {
        let now = Instant::now();
        BackgroundCall {
            call: self.0.lock().begin_in_background(kind, method, label, now),
            activity: self.clone(),
            end: CallEnd::default(),
        }
    }

    /// Notes the host calls of later handler calls, for [`Self::trace`].
    pub(crate) fn begin_trace(&self) {
        self.0.lock().trace.get_or_insert_default();
    }

    /// The host calls of the handler call that ended last. With `calls`, takes the list out.
    pub(crate) fn trace(&self, calls: bool) -> Trace {
        self.0
            .lock()
            .trace
            .as_mut()
            .map(|trace| trace.take(calls))
            .unwrap_or_default()
    }

    /// Begins a handler call.
    pub(crate) fn open(&self, handler: Handler, attempt: u32, began: Instant) {
        self.0.lock().open(handler, attempt, began);
    }

    /// Ends the handler call.
    pub(crate) fn close(&self, ended: Instant) {
        self.0.lock().close(ended);
    }

    /// Adds time that the module has spent outside of handler calls.
    pub(crate) fn spent(&self, kind: TimeKind, took: Duration) {
        let now = Instant::now();
        self.0.lock().times.at(now, WINDOW).add(kind, took);
    }

    /// The handler call in progress.
    pub(crate) fn handling(&self) -> Option<Handling> {
        let now = Instant::now();
        self.0.lock().handling(now)
    }

    /// The use of time in the last one to two minutes, including the calls in progress.
    pub(crate) fn time_use(&self) -> TimeUse {
        let now = Instant::now();
        self.0.lock().time_use(now)
    }
}

impl State {
    fn open(&mut self, handler: Handler, attempt: u32, began: Instant) {
        self.call = None;
        if let Some(trace) = &mut self.trace {
            trace.begin();
        }
        self.handling = Some(Open {
            handler,
            attempt,
            began,
            in_host: Duration::ZERO,
        });
    }

    fn close(&mut self, ended: Instant) {
        self.call = None;
        if let Some(open) = self.handling.take() {
            let took = ended.saturating_duration_since(open.began);
            let in_guest = took.saturating_sub(open.in_host);
            self.times.at(ended, WINDOW).add(TimeKind::Guest, in_guest);
        }
    }

    fn begin(&mut self, kind: HostCallKind, method: &'static str, now: Instant) {
        self.call = Some(Call {
            kind,
            method,
            began: now,
            endpoint: None,
        });
    }

    fn waits_for(&mut self, label: &str) {
        if let Some(mut call) = self.call {
            call.endpoint = Some(self.endpoint(label, call.kind));
            self.call = Some(call);
        }
    }

    fn end(&mut self, end: CallEnd, now: Instant) {
        if let Some(call) = self.call.take() {
            self.ended(call, end, now);
        }
    }

    fn begin_in_background(&mut self, kind: HostCallKind, method: &'static str, label: &str, now: Instant) -> Call {
        let call = Call {
            kind,
            method,
            began: now,
            endpoint: Some(self.endpoint(label, kind)),
        };
        let others = self.background.map_or(0, |(_, count)| count);
        self.background = Some((call, others.saturating_add(1)));
        call
    }

    fn end_in_background(&mut self, call: Call, end: CallEnd, now: Instant) {
        self.background = match self.background {
            Some((last, count)) if count > 1 => Some((last, count - 1)),
            _ => None,
        };
        self.ended(call, end, now);
    }

    /// Adds the time of a call that has ended.
    fn ended(&mut self, call: Call, end: CallEnd, now: Instant) {
        let took = now.saturating_duration_since(call.began);
        self.times.at(now, WINDOW).add(TimeKind::Host(call.kind), took);
        if let Some(open) = self.handling.as_mut().filter(|open| call.began >= open.began) {
            open.in_host = open.in_host.saturating_add(took);
            let start = call.began.saturating_duration_since(open.began);
            if let Some(mut trace) = self.trace.take() {
                let endpoint = call.endpoint.and_then(|id| self.label(id));
                trace.add(TracedCall::new(call.kind, call.method, endpoint, (start, took), end));
                self.trace = Some(trace);
            }
        }
        let is_of_call = |known: &&mut EndpointTimes| Some(known.id) == call.endpoint;
        if let Some(endpoint) = self.endpoints.iter_mut().find(is_of_call) {
            endpoint.add(now, took);
        }
    }

    fn handling(&self, now: Instant) -> Option<Handling> {
        let open = self.handling?;
        let background = self.background.map(|(call, _)| call);
        let host_call = self.call.or(background).map(|call| CurrentCall {
            kind: call.kind,
            method: call.method,
            endpoint: call.endpoint.and_then(|id| self.label(id)),
            elapsed: now.saturating_duration_since(call.began),
        });
        Some(Handling {
            handler: open.handler,
            attempt: open.attempt,
            elapsed: now.saturating_duration_since(open.began),
            host_call,
        })
    }

    fn time_use(&mut self, now: Instant) -> TimeUse {
        // Ends a window that is too old.
        self.times.at(now, WINDOW);
        let mut times = Times::default();
        self.times.both().iter().for_each(|window| times.add_all(window));
        let open_calls = self.call.iter().chain(self.background.iter().map(|(call, _)| call));
        let elapsed = |call: &Call| (*call, now.saturating_duration_since(call.began));
        let open_calls: Vec<_> = open_calls.map(elapsed).collect();
        let mut in_host = Duration::ZERO;
        for (call, elapsed) in &open_calls {
            times.add(TimeKind::Host(call.kind), *elapsed);
            in_host = in_host.saturating_add(*elapsed);
        }
        if let Some(open) = &self.handling {
            let elapsed = now.saturating_duration_since(open.began);
            let in_host = open.in_host.saturating_add(in_host);
            times.add(TimeKind::Guest, elapsed.saturating_sub(in_host));
        }
        let endpoint = |known: &mut EndpointTimes| {
            let of_known = open_calls.iter().filter(|(call, _)| call.endpoint == Some(known.id));
            let open: Vec<_> = of_known.map(|(_, elapsed)| *elapsed).collect();
            known.report(now, &open)
        };
        TimeUse {
            times,
            endpoints: self.endpoints.iter_mut().filter_map(endpoint).collect(),
        }
    }

    /// The id of an endpoint, which is added if necessary.
    fn endpoint(&mut self, label: &str, kind: HostCallKind) -> u64 {
        let label = &label[..label.floor_char_boundary(LABEL_BYTES_MAX)];
        let known = self
            .endpoints
            .iter()
            .find(|known| known.kind == kind && *known.label == *label);
        if let Some(known) = known {
            return known.id;
        }
        self.named += 1;
        let new = EndpointTimes::new(self.named, label, kind);
        let is_full = self.endpoints.len() >= ENDPOINTS_MAX;
        match self.endpoints.iter_mut().min_by_key(|known| known.total()) {
            Some(least) if is_full => *least = new,
            _ => self.endpoints.push(new),
        }
        self.named
    }

    fn label(&self, id: u64) -> Option<Arc<str>> {
        let known = self.endpoints.iter().find(|known| known.id == id)?;
        Some(known.label.clone())
    }
}

#[cfg(test)]
mod tests;
