//! The failure of a handler.

use std::fmt;

use nexum_config::harmless::harmless_lines;

use crate::bindings::nexum::host::types::HostError;
use crate::engine::limiter::LimitExceeded;
use crate::state::scope::journal::EffectFault;

/// How long the text of a failure may be, in bytes: enough for the innermost frames of a trap. Logs, the status and every attempt of a
/// dead letter contain the text.
const TEXT_BYTES_MAX: usize = 2_048;

/// How long the domain of a returned error may be, in bytes. The contract's own have up to about twenty.
const DOMAIN_BYTES_MAX: usize = 64;

/// The reason why a handler did not return ok. nexum drops everything that the handler wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The handler returned an error.
    Returned(HostError),
    /// The handler exceeded a limit.
    Limit(LimitExceeded),
    /// The guest trapped, or a host function made it trap.
    Trap(String),
    /// The state store was unreadable, which is not the guest's fault.
    Store(String),
    /// The handler asked for an effect that it may not have, because of an earlier attempt.
    Effect(EffectFault),
    /// A capability was not able to serve the module.
    Prepare {
        /// The name of the capability.
        capability: &'static str,
        /// The reason.
        reason: String,
    },
}

impl Failure {
    /// A guest's error, cut and made harmless.
    pub(super) fn returned(error: HostError) -> Self {
        Self::Returned(HostError {
            domain: cut(&error.domain, DOMAIN_BYTES_MAX),
            message: cut(&error.message, TEXT_BYTES_MAX),
            ..error
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(error) => {
                write!(
                    f,
                    "the handler returned an error: {} {}: {}",
                    error.domain,
                    error.kind.name(),
                    error.message
                )
            }
            Self::Limit(exceeded) => exceeded.fmt(f),
            Self::Trap(text) => write!(f, "the guest trapped: {text}"),
            Self::Store(text) => write!(f, "nexum cannot read the module's state: {text}"),
            Self::Effect(fault) => fault.fmt(f),
            Self::Prepare { capability, reason } => write!(f, "the capability `{capability}` is not ready: {reason}"),
        }
    }
}

/// The error's chain, innermost cause first, cut and made harmless: names of functions come from the component.
pub(super) fn describe(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().trim().to_owned()).collect();
    let text = causes.into_iter().rev().collect::<Vec<_>>().join("; ");
    cut(&text, TEXT_BYTES_MAX)
}

/// A text from a guest, harmless and with at most `bytes_max` bytes of the guest's.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    let kept = harmless_lines(&text[..end], "");
    match end < text.len() {
        true => format!("{kept}.."),
        false => kept.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::nexum::host::types::HostErrorKind;

    #[test]
    fn the_text_of_a_failure_is_cut_and_harmless() {
        let error = HostError {
            domain: "d".repeat(1_000),
            kind: HostErrorKind::Internal,
            message: format!("\u{1b}]0;title\u{7}{}", "x".repeat(20_000_000)),
            code: 0,
            data: None,
        };
        let text = Failure::returned(error).to_string();
        let expected = format!(
            "the handler returned an error: {}.. internal: \\u{{1b}}]0;title\\u{{7}}{}..",
            "d".repeat(DOMAIN_BYTES_MAX),
            "x".repeat(TEXT_BYTES_MAX - 10)
        );
        assert_eq!(text, expected);
    }
}
