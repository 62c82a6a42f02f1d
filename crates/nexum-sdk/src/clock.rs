//! The host's clocks.
//!
//! A time from here is the time of the call, which differs when nexum retries an event. Take the
//! time of a decision from the event.

use crate::host;

/// Milliseconds since the Unix epoch, UTC. The value may step back.
pub fn now_ms() -> u64 {
    host::now_ms()
}

/// Nanoseconds since a point that is fixed while the host runs. The value never steps back.
pub fn monotonic_ns() -> u64 {
    host::monotonic_ns()
}
