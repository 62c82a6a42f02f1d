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

/// The headers of a response that can have credentials. The ledger has none of them.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "x-api-key",
];

impl Answer {
    /// The answer without headers that can have credentials. `None` if it has none of these.
    pub(crate) fn without_secrets(&self) -> Option<Self> {
        let is_secret = |(name, _): &(String, String)| SECRET_HEADERS.contains(&name.as_str());
        self.headers.iter().any(is_secret).then(|| Self {
            headers: self
                .headers
                .iter()
                .filter(|header| !is_secret(header))
                .cloned()
                .collect(),
            ..self.clone()
        })
    }

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
