//! The methods that an endpoint refuses to modules.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::RpcRequest;
use super::rest::Rest;
use crate::methods::{self, READ_METHODS};

/// The time after a warning in which further refusals of the method are logged at `debug`. Modules
/// decide how often a method is refused, and must not fill the log.
const WARNING_INTERVAL_MS: u64 = 600_000;

/// The rests of an endpoint from single methods. Locks nothing, and looks up nothing until a method
/// has been refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// One for each method of [`READ_METHODS`]: other methods are never sent to a second endpoint.
    methods: Box<[Method]>,
    /// Whether any method has ever been refused.
    is_any: AtomicBool,
}

#[derive(Debug, Default)]
struct Method {
    rest: Rest,
    /// The time from which the next warning may be logged.
    warns_from: AtomicU64,
    /// Whether the log's last report about the method is a refusal.
    has_warned: AtomicBool,
}

impl Default for Refused {
    fn default() -> Self {
        Self {
            methods: READ_METHODS.iter().map(|_| Method::default()).collect(),
            is_any: AtomicBool::new(false),
        }
    }
}

impl Refused {
    /// Whether the endpoint rests from the method of one of these requests.
    pub(super) fn rests_for(&self, requests: &[RpcRequest], now: u64) -> bool {
        self.is_any.load(Ordering::Relaxed)
            && requests
                .iter()
                .filter_map(|(method, _)| self.get(method))
                .any(|method| method.rest.is_on(now))
    }

    /// Records that the endpoint refuses a method. Returns whether to log a warning.
    pub(super) fn refused(&self, method: &str, now: u64) -> bool {
        let Some(method) = self.get(method) else {
            return false;
        };
        if method.rest.failed(now, Duration::ZERO).is_none() {
            return false;
        }
        self.is_any.store(true, Ordering::Relaxed);
        if now < method.warns_from.load(Ordering::Relaxed) {
            return false;
        }
        let warns_from = now.saturating_add(WARNING_INTERVAL_MS);
        method.warns_from.store(warns_from, Ordering::Relaxed);
        method.has_warned.store(true, Ordering::Relaxed);
        true
    }

    /// Records a result. Returns whether the log's last report about the method is a refusal.
    pub(super) fn did(&self, method: &str, now: u64) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let Some(method) = self.get(method) else {
            return false;
        };
        // A result of an earlier request does not end a rest.
        if method.rest.is_on(now) || !method.rest.forget() {
            return false;
        }
        method.has_warned.swap(false, Ordering::Relaxed)
    }

    fn get(&self, method: &str) -> Option<&Method> {
        self.methods.get(methods::place(method)?)
    }
}
