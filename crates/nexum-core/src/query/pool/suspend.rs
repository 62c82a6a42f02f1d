//! A pool whose module fails too often: its suspension.

use super::super::breaker::{Change, Pass, Verdict};
use super::super::{QueryError, Suspension};
use super::{QueryPool, Shared, discard};
use crate::reason::Reason;

/// The call whose end the breaker waits for, until it ends. The drop of an unfinished call, whose
/// caller has gone, makes room for another one.
pub(in crate::query) struct Trial<'a> {
    pub(super) pool: &'a QueryPool,
    pub(in crate::query) pass: Option<Pass>,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass {
            self.pool
                .end(&mut self.pool.shared(), pass, Verdict::Unknown, String::new);
        }
    }
}

impl QueryPool {
    /// Why and until when the module is suspended, if it is.
    pub fn suspension(&self) -> Option<Suspension> {
        self.shared().breaker.suspension().cloned()
    }

    /// Why the module is suspended, or that it answers queries, and since when.
    pub fn reason(&self) -> Reason {
        let shared = self.shared();
        match shared.breaker.suspension() {
            Some(suspension) => Reason {
                text: suspension.reason.as_str().into(),
                since_ms: suspension.since_ms,
            },
            None => Reason {
                text: "the module answers queries".into(),
                since_ms: shared.serving_since_ms,
            },
        }
    }

    /// Ends the suspension of a module that is removed or replaced, and discards its idle instances.
    /// Calls in progress no longer suspend it.
    pub(crate) fn retire(&self) {
        let mut shared = self.shared();
        shared.breaker.retire();
        self.metrics.suspended(false);
        let idle = std::mem::take(&mut shared.idle);
        drop(shared);
        discard(idle);
    }

    /// The breaker's permission for a call that another part of the module carries out.
    pub(in crate::query) fn permit(&self) -> Result<(Pass, Trial<'_>), QueryError> {
        let pass = self.shared().breaker.admit(&*self.module.meta.clock)?;
        let trial = Trial {
            pool: self,
            pass: pass.is_trial.then_some(pass),
        };
        Ok((pass, trial))
    }

    /// Reports the end of a call that another part of the module carried out to the breaker.
    pub(in crate::query) fn ended(&self, pass: Pass, error: Option<&QueryError>) {
        let verdict = error.map_or(Verdict::Works, Verdict::of);
        self.end(&mut self.shared(), pass, verdict, || {
            error.map_or_else(String::new, ToString::to_string)
        });
    }

    /// Reports the end of a call to the breaker.
    pub(super) fn end(&self, shared: &mut Shared, pass: Pass, verdict: Verdict, last: impl FnOnce() -> String) {
        let clock = &*self.module.meta.clock;
        let module = self.name().as_str();
        match shared.breaker.end(pass, verdict, clock, last) {
            None => {}
            Some(Change::Opened(Suspension { reason, .. })) => {
                self.metrics.suspended(true);
                tracing::warn!(target: "nexum::query", module, "nexum suspends the module: {reason}");
            }
            Some(Change::Closed(Suspension { since_ms, .. })) => {
                self.metrics.suspended(false);
                let now_ms = clock.now_ms();
                shared.serving_since_ms = now_ms;
                let seconds = now_ms.saturating_sub(since_ms) / 1_000;
                tracing::info!(target: "nexum::query", module, seconds, "the module answers again");
            }
        }
    }
}
