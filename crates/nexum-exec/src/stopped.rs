//! Why a command did not end by itself.

use std::fmt;

use nexum_config::limits::Limit;
use wasmtime::{Trap, WasmBacktrace};

use crate::limits::Limits;

/// A command that was ended, and where it was then.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Stopped {
    /// Why.
    pub reason: Reason,
    /// The calls that it was in, the innermost first, a line for each; none if it was in a call of the host's, where its stack is
    /// not to be seen.
    pub backtrace: Option<String>,
}

/// Why a command was ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It did what cannot be done, such as dividing by zero; aborting and panicking too.
    #[error("the command trapped: {0}")]
    Trap(Trap),
    /// It trapped after it was refused what it wanted to grow by, which is what programs do that are out of memory.
    #[error("the command trapped: {trap}; it had been refused memory: {} = {bound}, and with what it asked for {asked}", limit.name())]
    Refused {
        /// The trap.
        trap: Trap,
        /// Which limit.
        limit: Limit,
        /// Its value.
        bound: u64,
        /// What would have been used.
        asked: u64,
    },
    /// It used up its fuel.
    #[error("the command used up its fuel of {bound}")]
    Fuel {
        /// How much it had.
        bound: u64,
    },
    /// It ran too long.
    #[error("the command ran into its deadline of {} s", bound.as_secs_f64())]
    Deadline {
        /// How long it had.
        bound: std::time::Duration,
    },
    /// A call of the host's ended it, or it could not be set up.
    #[error("the command was ended by the host: {0}")]
    Host(String),
}

/// What ends a command from within an epoch.
#[derive(Debug)]
pub(crate) struct DeadlinePassed;

impl fmt::Display for DeadlinePassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for DeadlinePassed {}

impl Stopped {
    /// Finds out why, from the error that came out of the guest and the growth that was refused before it.
    pub(crate) fn of(error: wasmtime::Error, limits: &Limits, refused: Option<(Limit, u64)>) -> Self {
        let refused = refused.map(|(limit, asked)| (limit, limits.of_store()[limit], asked));
        let reason = match (error.downcast_ref::<Trap>(), refused) {
            (Some(Trap::OutOfFuel), _) => Reason::Fuel {
                bound: limits.fuel.map_or(u64::MAX, Into::into),
            },
            (Some(trap), Some((limit, bound, asked))) => Reason::Refused {
                trap: *trap,
                limit,
                bound,
                asked,
            },
            (Some(trap), None) => Reason::Trap(*trap),
            (None, _) if error.is::<DeadlinePassed>() => Reason::Deadline {
                bound: limits.deadline.unwrap_or_default(),
            },
            (None, _) => return Self::of_host(error),
        };
        Self {
            reason,
            backtrace: backtrace(&error),
        }
    }

    /// What is not the guest's own doing.
    pub(crate) fn of_host(error: wasmtime::Error) -> Self {
        // The backtrace, which is one of them, is shown apart.
        let trace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
        let causes = error.chain().map(ToString::to_string);
        let causes: Vec<_> = causes.filter(|cause| Some(cause) != trace.as_ref()).collect();
        Self {
            reason: Reason::Host(causes.join(": ")),
            backtrace: backtrace(&error),
        }
    }
}

fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    // The first line only says that a backtrace follows.
    let lines: Vec<_> = trace.to_string().lines().skip(1).map(str::to_owned).collect();
    (!trace.frames().is_empty()).then(|| lines.join("\n"))
}
