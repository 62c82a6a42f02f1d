//! The outcome of one request.

use std::fmt;

use crate::request::Request;

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case with their values. The values of one name are in the order of the answer. U+FFFD replaces each
    /// part of a value that is not UTF-8.
    pub headers: Vec<(String, String)>,
    /// The body as the server encoded it: nothing is decompressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// How much of it comes into the guest: names and values of headers, and the body.
    pub fn bytes(&self) -> u64 {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        (headers.sum::<usize>() + self.body.len()) as u64
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.bytes())
    }
}

/// The outcome of one request.
pub(crate) enum Hop {
    Answer(Answer),
    Redirect(Box<Request>),
}
