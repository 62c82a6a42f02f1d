//! Why a command did not end by itself.

use std::fmt;

use nexum_config::limits::Limit;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::limits::Limits;

/// Why a command was ended, and its calls at that time.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Stopped {
    /// The reason.
    pub reason: Reason,
    /// The command's calls, one per line, the innermost first. None if the command was in a host
    /// call, where its stack is not visible.
    pub backtrace: Option<String>,
}

/// Why a command was ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The command trapped: for example, it divided by zero, aborted or panicked.
    #[error("the command trapped: {0}")]
    Trap(Trap),
    /// The command trapped after a refused growth of memory or tables, as programs without memory
    /// do.
    #[error("the command trapped: {trap}; before that, it exceeded the limit {} = {bound} with {asked}", limit.name())]
    Refused {
        /// The trap.
        trap: Trap,
        /// The limit.
        limit: Limit,
        /// The value of the limit.
        bound: u64,
        /// The use with the refused growth.
        asked: u64,
    },
    /// The command exceeded its fuel limit.
    #[error("the command exceeded its fuel limit of {bound}")]
    Fuel {
        /// The fuel limit.
        bound: u64,
    },
    /// The command exceeded its deadline.
    #[error("the command exceeded its deadline of {} s", bound.as_secs_f64())]
    Deadline {
        /// The deadline.
        bound: std::time::Duration,
    },
    /// The command exited by itself, with a code that no process can report, or before it was ready.
    #[error("the command exited with code {code}")]
    Exit {
        /// The code.
        code: i32,
    },
    /// A host call ended the command, or its setup failed.
    #[error("nexum ended the command: {0}")]
    Host(String),
}

/// The error that ends a command at an epoch.
#[derive(Debug)]
pub(crate) struct DeadlinePassed;

impl fmt::Display for DeadlinePassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for DeadlinePassed {}

impl Stopped {
    /// Derives the reason from the guest's error and the growth that was refused before it.
    pub(crate) fn of(error: wasmtime::Error, limits: &Limits, refused: Option<(Limit, u64)>) -> Self {
        let refused = refused.map(|(limit, asked)| (limit, limits.of_store()[limit], asked));
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self {
                reason: Reason::Exit { code: exit.0 },
                backtrace: None,
            };
        }
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

    /// A reason outside the guest.
    pub(crate) fn of_host(error: wasmtime::Error) -> Self {
        // The backtrace is one of the causes, and is printed separately.
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
