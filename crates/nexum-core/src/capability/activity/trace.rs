//! The host calls of one handler call, for the ledger.

use std::sync::Arc;
use std::time::Duration;

use super::{CallEnd, HostCallKind};

/// The most calls of a list, in about 25 kB. Most events make a few dozen, and those that make more
/// mostly repeat one call, which counts once.
const CALLS_MAX: usize = 256;

/// The host calls of a handler call. Equal ones that follow each other are one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The time of the calls of each kind.
    pub(crate) times: Vec<(HostCallKind, Duration)>,
    /// The calls, oldest first.
    pub(crate) calls: Vec<TracedCall>,
    /// The number of calls after the list was full.
    pub(crate) left_out: u32,
}

/// A host call, or several equal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TracedCall {
    pub(crate) kind: HostCallKind,
    pub(crate) method: &'static str,
    pub(crate) endpoint: Option<Arc<str>>,
    /// The start of the first call, after the start of the handler call.
    pub(crate) start: Duration,
    /// The duration of all calls together.
    pub(crate) took: Duration,
    /// The bytes of all answers.
    pub(crate) bytes: u64,
    /// The kind of the error in words, or `cut off`. `None` for an answer.
    pub(crate) error: Option<&'static str>,
    pub(crate) count: u32,
}

impl TracedCall {
    pub(super) fn new(
        kind: HostCallKind,
        method: &'static str,
        endpoint: Option<Arc<str>>,
        (start, took): (Duration, Duration),
        end: CallEnd,
    ) -> Self {
        let (bytes, error) = match end {
            CallEnd::Answered(bytes) => (bytes, None),
            CallEnd::Failed(kind) => (0, Some(kind.name())),
            CallEnd::Cut => (0, Some("cut off")),
        };
        Self {
            kind,
            method,
            endpoint,
            start,
            took,
            bytes,
            error,
            count: 1,
        }
    }

    fn repeats(&self, earlier: &Self) -> bool {
        let what = |call: &Self| (call.kind, call.method, call.error);
        what(self) == what(earlier) && self.endpoint == earlier.endpoint
    }
}

impl Trace {
    /// Forgets the earlier handler call, and keeps the memory.
    pub(super) fn begin(&mut self) {
        self.times.clear();
        self.calls.clear();
        self.left_out = 0;
    }

    pub(super) fn add(&mut self, call: TracedCall) {
        match self.times.iter_mut().find(|(kind, _)| *kind == call.kind) {
            Some((_, time)) => *time = time.saturating_add(call.took),
            None => self.times.push((call.kind, call.took)),
        }
        let is_full = self.calls.len() >= CALLS_MAX;
        match self.calls.last_mut() {
            Some(last) if call.repeats(last) => {
                last.took = last.took.saturating_add(call.took);
                last.bytes = last.bytes.saturating_add(call.bytes);
                last.count = last.count.saturating_add(1);
            }
            _ if is_full => self.left_out = self.left_out.saturating_add(1),
            _ => self.calls.push(call),
        }
    }

    /// The times, and with `calls` also the calls.
    pub(super) fn take(&mut self, calls: bool) -> Self {
        Self {
            times: self.times.clone(),
            calls: if calls {
                std::mem::take(&mut self.calls)
            } else {
                Vec::new()
            },
            left_out: self.left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::nexum::host::types::HostErrorKind;

    fn call(method: &'static str, start_ms: u64, end: CallEnd) -> TracedCall {
        let times = (Duration::from_millis(start_ms), Duration::from_millis(2));
        TracedCall::new(HostCallKind::Store, method, None, times, end)
    }

    #[test]
    fn equal_calls_are_one_entry_and_the_list_is_bounded() {
        let mut trace = Trace::default();
        for start in 0..3 {
            trace.add(call("get", start, CallEnd::Answered(5)));
        }
        trace.add(call("get", 3, CallEnd::Failed(HostErrorKind::Denied)));
        let taken = trace.take(true);
        assert_eq!(taken.times, [(HostCallKind::Store, Duration::from_millis(8))]);
        let [answered, denied] = &*taken.calls else {
            panic!("{taken:?}");
        };
        assert_eq!((answered.count, answered.bytes, answered.error), (3, 15, None));
        assert_eq!(
            (answered.start, answered.took),
            (Duration::ZERO, Duration::from_millis(6))
        );
        assert_eq!((denied.count, denied.error), (1, Some("denied")));

        trace.begin();
        for start in 0..CALLS_MAX as u64 {
            let method = if start % 2 == 0 { "get" } else { "set" };
            trace.add(call(method, start, CallEnd::Answered(0)));
        }
        trace.add(call("delete", 1_000, CallEnd::Answered(0)));
        let taken = trace.take(true);
        assert_eq!((taken.calls.len(), taken.left_out), (CALLS_MAX, 1));
    }

    #[test]
    fn a_handler_call_without_a_list_still_has_its_times() {
        let mut trace = Trace::default();
        trace.add(call("get", 0, CallEnd::Cut));
        let taken = trace.take(false);
        assert_eq!(taken.times, [(HostCallKind::Store, Duration::from_millis(2))]);
        assert!(taken.calls.is_empty());
    }
}
