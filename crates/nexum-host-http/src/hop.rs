//! The outcome of one request.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// A final response, with any status.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case with their values. The values of one name keep the order of the
    /// response. U+FFFD replaces bytes of a value that are not UTF-8.
    pub headers: Vec<(String, String)>,
    /// The body as the server encoded it: the client never decompresses it.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

impl Answer {
    /// The bytes that the guest receives: names and values of headers, and the body.
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
