//! Remedies for errors.

use std::error::Error;
use std::fmt;

/// An error that may know a remedy. Implement it for every error that an operator or an author reads.
pub trait Hint: Error {
    /// The remedy: one sentence without a full stop, or none.
    fn hint(&self) -> Option<String>;
}

/// An error with its hint on a second line, as a deserializer passes both through serde.
#[derive(Clone, Copy, Debug)]
pub struct Hinted<'a, E>(pub &'a E);

impl<E: Hint> fmt::Display for Hinted<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
