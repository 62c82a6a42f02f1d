//! Values that modules and the host exchange. Other modules of this crate have their methods.

use std::borrow::Cow;

/// The level of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Each step.
    Trace,
    /// For the author who looks for a fault.
    Debug,
    /// Normal work.
    Info,
    /// A failure that passes by itself.
    Warn,
    /// A failure that needs the operator.
    Error,
}

/// A JSON-RPC request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcRequest {
    pub(crate) method: Cow<'static, str>,
    /// A JSON array.
    pub(crate) params: String,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, for example `GET`.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// The time for the whole request, in milliseconds. The host may set less.
    pub timeout_ms: Option<u32>,
}

/// An HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, for example 404.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}
