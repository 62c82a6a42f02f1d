//! What the node can answer.

use serde_json::Value;

/// How the node answers one call. Inside a batch, an answer that is not a [`Result`](Self::Result), [`Json`](Self::Json),
/// [`Error`](Self::Error) or [`ErrorStatus`](Self::ErrorStatus) takes the place of the whole batch's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Success with this value.
    Result(Value),
    /// Success with this JSON text, to the letter.
    Json(String),
    /// A JSON-RPC error.
    Error {
        /// The JSON-RPC code.
        code: i64,
        /// The text.
        message: String,
        /// Such as revert data.
        data: Option<Value>,
    },
    /// A JSON-RPC error that some endpoints send with an http status of its own. Over ws and in a batch it is an
    /// [`Error`](Self::Error).
    ErrorStatus {
        /// The http status code.
        status: u16,
        /// The JSON-RPC code.
        code: i64,
        /// The text.
        message: String,
    },
    /// What the node would have answered by itself.
    Default,
    /// No answer; the connection stays open.
    Hang,
    /// The connection is closed without an answer.
    Drop,
    /// An http response with this status. Over ws the connection is closed.
    Status {
        /// The http status code.
        status: u16,
        /// The `Retry-After` header in seconds, if there is to be one.
        retry_after: Option<u64>,
        /// The body.
        body: String,
    },
    /// A body, or ws message, that is not a JSON-RPC response.
    Text(String),
    /// The first half of a good answer.
    Truncated,
    /// Success with a string of this many bytes. Over http it is made and sent piece by piece, for as long as the other side
    /// reads, and without a `Content-Length`.
    Huge {
        /// The size of the string.
        bytes: u64,
    },
}

impl Answer {
    /// A JSON-RPC error without data.
    pub fn error(code: i64, message: impl Into<String>) -> Self {
        Self::Error {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// An http response with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            body: String::new(),
        }
    }
}

/// How a node treats every batch over http.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchFault {
    /// This answer takes the place of the batch's.
    Whole(Answer),
    /// Each request has this answer, and is not looked at.
    Each(Answer),
    /// The last request has no answer.
    LastMissing,
}
