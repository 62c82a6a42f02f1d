//! A condition in words.

use std::error::Error;
use std::sync::Arc;

use nexum_config::causes::Causes;

/// The reason of a state, with the time since which the reason holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The reason, in one line.
    pub text: Arc<str>,
    /// The time since which the reason holds, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Reason {
    /// The error with its causes, as the reason of a state.
    pub(crate) fn new(error: &(dyn Error + 'static), since_ms: u64) -> Self {
        let text = Causes(error).to_string().into();
        Self { text, since_ms }
    }
}
