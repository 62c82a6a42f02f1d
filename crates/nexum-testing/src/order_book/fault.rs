//! What can go wrong between a client and the order book.

use std::collections::VecDeque;

/// What happens to a request in place of a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Status 429 with a text.
    TooManyRequests {
        /// The `Retry-After` header in seconds, if there is to be one.
        retry_after: Option<u64>,
    },
    /// This status with an empty body.
    Status(u16),
    /// No answer; the connection stays open.
    Hang,
    /// The connection is closed, and nothing was done.
    Cut,
    /// Everything is done as it should be, and then the connection is closed without an answer.
    CutAfterStoring,
    /// This status with a body that is not JSON, as proxies send it.
    PlainText(u16, String),
    /// A refusal in the API's own form.
    Error {
        /// The http status code.
        status: u16,
        /// Such as `InsufficientBalance`.
        error_type: String,
        /// The text beside it.
        description: String,
    },
    /// Status 200 with a body of this many bytes, sent piece by piece for as long as the other side reads, and without a
    /// `Content-Length`.
    Huge {
        /// The size of the body.
        bytes: u64,
    },
}

impl Fault {
    /// A refusal with a text of its own.
    pub fn error(status: u16, error_type: &str) -> Self {
        Self::Error {
            status,
            error_type: error_type.to_owned(),
            description: format!("the script says {error_type}"),
        }
    }
}

/// Which faults are to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: VecDeque<(String, Fault)>,
    standing: Option<Fault>,
}

impl Faults {
    /// Adds a fault for the next request that begins so.
    pub(super) fn push(&mut self, start: &str, fault: Fault) {
        self.queued.push_back((start.to_owned(), fault));
    }

    pub(super) fn set_standing(&mut self, fault: Option<Fault>) {
        self.standing = fault;
    }

    /// What is to happen to the request of this method and path.
    pub(super) fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        let request = format!("{method} {path}");
        let at = self.queued.iter().position(|(start, _)| request.starts_with(start));
        match at.and_then(|at| self.queued.remove(at)) {
            Some((_, fault)) => Some(fault),
            None => self.standing.clone(),
        }
    }
}
