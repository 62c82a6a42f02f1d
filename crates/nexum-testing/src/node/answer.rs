//! The answers of a node.

use serde_json::Value;

/// The node's answer to one call. In a batch, an answer other than [`Result`](Self::Result),
/// [`Json`](Self::Json), [`Error`](Self::Error) or [`ErrorStatus`](Self::ErrorStatus) replaces the
/// answer of the whole batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Success with this value.
    Result(Value),
    /// Success with exactly this JSON text.
    Json(String),
    /// A JSON-RPC error.
    Error {
        /// The JSON-RPC code.
        code: i64,
        /// The message.
        message: String,
        /// Additional data, for example revert data.
        data: Option<Value>,
    },
    /// A JSON-RPC error that some endpoints send with another HTTP status. Over WebSocket and in a
    /// batch, it equals [`Error`](Self::Error).
    ErrorStatus {
        /// The HTTP status code.
        status: u16,
        /// The JSON-RPC code.
        code: i64,
        /// The message.
        message: String,
    },
    /// The node's default answer.
    Default,
    /// No answer; the connection stays open.
    Hang,
    /// The node closes the connection without an answer.
    Drop,
    /// An HTTP response with this status. Over WebSocket, the node closes the connection.
    Status {
        /// The HTTP status code.
        status: u16,
        /// The `Retry-After` header in seconds; `None` omits it.
        retry_after: Option<u64>,
        /// The body.
        body: String,
    },
    /// A body or WebSocket message that is not a JSON-RPC response.
    Text(String),
    /// The first half of a correct answer.
    Truncated,
    /// Success with a string of this many bytes. Over HTTP, the node sends it in pieces for as long
    /// as the client reads, and without a `Content-Length`.
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

    /// An HTTP response with this status and an empty body.
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
