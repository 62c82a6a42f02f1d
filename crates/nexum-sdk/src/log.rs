//! Log records for the operator, with fields.
//!
//! ```
//! use nexum_sdk::{info, warn};
//!
//! let (order, attempt) = ("0xab", 3);
//! info!("order {order} is placed");
//! // Reads `the order book refuses order=0xab attempt=3`.
//! warn!(order = order, attempt = attempt, "the order book refuses");
//! ```

use std::fmt;

use crate::host;
pub use crate::types::Level;

/// Writes a log record. The macros [`trace!`](crate::trace), [`debug!`](crate::debug),
/// [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error) call this function.
pub fn record(level: Level, message: fmt::Arguments<'_>, fields: &[(&str, &dyn fmt::Display)]) {
    let mut text = message.to_string();
    for (name, value) in fields {
        text.push(' ');
        text.push_str(name);
        text.push('=');
        push_value(&mut text, &value.to_string());
    }
    host::log(level, &text);
}

/// A value that could be read as several words is quoted.
fn push_value(text: &mut String, value: &str) {
    let is_word = !value.is_empty() && !value.contains([' ', '"', '=', '\n', '\t']);
    match is_word {
        true => text.push_str(value),
        false => text.push_str(&format!("{value:?}")),
    }
}

/// Writes a log record of a level: fields as `name = value`, then a format string with arguments.
#[macro_export]
macro_rules! log {
    ($level:expr, @ [$($fields:tt)*] $name:ident = $value:expr, $($rest:tt)+) => {
        $crate::log!($level, @ [$($fields)* (::core::stringify!($name), &$value),] $($rest)+)
    };
    ($level:expr, @ [$($fields:tt)*] $($message:tt)+) => {
        $crate::log::record($level, ::core::format_args!($($message)+), &[$($fields)*])
    };
    ($level:expr, $($rest:tt)+) => { $crate::log!($level, @ [] $($rest)+) };
}

/// Writes a log record of the level [`Level::Trace`]. See [`log`](mod@crate::log).
#[macro_export]
macro_rules! trace {
    ($($record:tt)+) => { $crate::log!($crate::Level::Trace, $($record)+) };
}

/// Writes a log record of the level [`Level::Debug`]. See [`log`](mod@crate::log).
#[macro_export]
macro_rules! debug {
    ($($record:tt)+) => { $crate::log!($crate::Level::Debug, $($record)+) };
}

/// Writes a log record of the level [`Level::Info`]. See [`log`](mod@crate::log).
#[macro_export]
macro_rules! info {
    ($($record:tt)+) => { $crate::log!($crate::Level::Info, $($record)+) };
}

/// Writes a log record of the level [`Level::Warn`]. See [`log`](mod@crate::log).
#[macro_export]
macro_rules! warn {
    ($($record:tt)+) => { $crate::log!($crate::Level::Warn, $($record)+) };
}

/// Writes a log record of the level [`Level::Error`]. See [`log`](mod@crate::log).
#[macro_export]
macro_rules! error {
    ($($record:tt)+) => { $crate::log!($crate::Level::Error, $($record)+) };
}
