//! The faults between a client and the order book.

use std::collections::VecDeque;

use crate::draw::Faulty;

/// The effect on a request instead of a correct response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Status 429 with a text.
    TooManyRequests {
        /// The `Retry-After` header in seconds; `None` omits it.
        retry_after: Option<u64>,
    },
    /// This status with an empty body.
    Status(u16),
    /// No answer; the connection stays open.
    Hang,
    /// The order book closes the connection and ignores the request.
    Cut,
    /// The order book processes the request, and closes the connection without an answer.
    CutAfterStoring,
    /// This status with a body that is not JSON, as proxies send it.
    PlainText(u16, String),
    /// A refusal in the API's format.
    Error {
        /// The HTTP status code.
        status: u16,
        /// The API's `errorType`, for example `InsufficientBalance`.
        error_type: String,
        /// The description.
        description: String,
    },
    /// Status 200 with a body of this many bytes. The order book sends it in pieces for as long as
    /// the client reads, and without a `Content-Length`.
    Huge {
        /// The size of the body.
        bytes: u64,
    },
}

impl Fault {
    /// A fault of [`Faulty`].
    fn of_kind(kind: u64) -> Self {
        match kind {
            0 => Self::Status(503),
            1 => Self::Cut,
            2 => Self::CutAfterStoring,
            _ => Self::TooManyRequests { retry_after: None },
        }
    }

    /// A refusal whose description names the error type.
    pub fn error(status: u16, error_type: &str) -> Self {
        Self::Error {
            status,
            error_type: error_type.to_owned(),
            description: format!("the script says {error_type}"),
        }
    }
}

/// The scripted faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: VecDeque<(String, Fault)>,
    standing: Option<Fault>,
    random: Faulty,
}

impl Faults {
    /// Queues a fault for the next request that starts with `start`.
    pub(super) fn push(&mut self, start: &str, fault: Fault) {
        self.queued.push_back((start.to_owned(), fault));
    }

    pub(super) fn set_standing(&mut self, fault: Option<Fault>) {
        self.standing = fault;
    }

    pub(super) fn set_random(&mut self, random: Faulty) {
        self.random = random;
    }

    /// The fault for the request with this method and path.
    pub(super) fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        let request = format!("{method} {path}");
        let at = self.queued.iter().position(|(start, _)| request.starts_with(start));
        match at.and_then(|at| self.queued.remove(at)) {
            Some((_, fault)) => Some(fault),
            None => self.standing.clone().or_else(|| self.random.next().map(Fault::of_kind)),
        }
    }
}
