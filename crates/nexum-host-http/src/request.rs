//! A module's request, validated before it is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::destination::Destination;
use crate::error::{FetchError, RequestPart};

/// The longest URL, in bytes: servers accept at most 8 KiB.
pub const URL_BYTES_MAX: usize = 8 * 1_024;

/// The longest method, in bytes: the longest registered one has 17 letters.
pub const METHOD_BYTES_MAX: usize = 24;

/// The most headers of a request: browsers send about twenty.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// The most bytes of names and values of a request's headers together: servers accept 8 to 16 KiB.
pub const REQUEST_HEADER_BYTES_MAX: usize = 16 * 1_024;

/// The largest body of a request, in bytes. A module sends less than it reads and stores.
pub const REQUEST_BODY_BYTES_MAX: usize = 1_024 * 1_024;

/// Methods that open a tunnel, or make a server return a request's headers, including headers that
/// proxies added.
const METHODS_REFUSED: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Headers that control the connection or the framing of a message; the HTTP client sets them. With
/// them, a module could make two servers on the path see different requests, or name another host
/// than the checked one.
const HEADERS_REFUSED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The prefix of headers for proxies, which a module cannot set.
const PROXY: &str = "proxy-";

/// A valid request. The [`Policy`](crate::Policy) still has to permit its destination. `Debug`
/// shows only method and destination.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) to: Destination,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) waits: Waits,
}

/// A request's own limits of two waits, in addition to the operator's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// For the first byte of the response, including the connection.
    pub(crate) first_byte: Option<Duration>,
    /// For each further piece of the response's body.
    pub(crate) between_bytes: Option<Duration>,
}

impl Request {
    /// Creates a request without headers, body and timeout. The method is a token, and is sent in
    /// upper case. The URL is absolute; its fragment is not sent.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`].
    pub fn new(method: &str, url: &str) -> Result<Self, FetchError> {
        let method = parse_method(method)?;
        if url.len() > URL_BYTES_MAX {
            let reason = format!("a URL has at most {URL_BYTES_MAX} bytes");
            return Err(FetchError::invalid(RequestPart::Url, reason));
        }
        let invalid = |reason: String| FetchError::invalid(RequestPart::Url, reason);
        let url = Url::parse(url).map_err(|_| invalid("the URL is not valid".to_owned()))?;
        let to = Destination::of(&url).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            method,
            url,
            to,
            headers: HeaderMap::new(),
            body: None,
            timeout: None,
            waits: Waits::default(),
        })
    }

    /// Sets the headers. A repeated header is sent repeatedly.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`].
    pub fn with_headers<V: AsRef<[u8]> + Into<Bytes>>(mut self, headers: Vec<(String, V)>) -> Result<Self, FetchError> {
        let bytes = headers.iter().map(|(name, value)| name.len() + value.as_ref().len());
        if headers.len() > REQUEST_HEADERS_MAX || bytes.sum::<usize>() > REQUEST_HEADER_BYTES_MAX {
            let reason = format!(
                "a request has at most {REQUEST_HEADERS_MAX} headers and {REQUEST_HEADER_BYTES_MAX} bytes of them"
            );
            return Err(FetchError::invalid(RequestPart::HeaderSection, reason));
        }
        for (name, value) in headers {
            let (name, value) = parse_header(&name, value.into())?;
            self.headers.append(name, value);
        }
        Ok(self)
    }

    /// Sets the body.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`].
    pub fn with_body(mut self, body: Vec<u8>) -> Result<Self, FetchError> {
        if body.len() > REQUEST_BODY_BYTES_MAX {
            return Err(body_too_large());
        }
        self.body = Some(body.into());
        Ok(self)
    }

    /// Limits the time of the fetch, in addition to the operator's and the event's limits.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`] for 0.
    pub fn with_timeout_ms(mut self, timeout_ms: u32) -> Result<Self, FetchError> {
        if timeout_ms == 0 {
            return Err(FetchError::invalid(RequestPart::Timeout, "timeout-ms is 0"));
        }
        self.timeout = Some(Duration::from_millis(timeout_ms.into()));
        Ok(self)
    }

    /// Limits two waits.
    pub(crate) fn with_waits(self, waits: Waits) -> Self {
        Self { waits, ..self }
    }

    /// Whether the request may change something at the server.
    pub fn has_effect(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// The error of a body above [`REQUEST_BODY_BYTES_MAX`].
pub(crate) fn body_too_large() -> FetchError {
    let reason = format!("a body has at most {REQUEST_BODY_BYTES_MAX} bytes");
    FetchError::invalid(RequestPart::Body, reason)
}

fn parse_method(method: &str) -> Result<Method, FetchError> {
    let invalid = |reason: String| FetchError::invalid(RequestPart::Method, reason);
    if method.len() > METHOD_BYTES_MAX {
        return Err(invalid("the method is not valid".to_owned()));
    }
    let method = method.to_ascii_uppercase();
    if METHODS_REFUSED.contains(&method.as_str()) {
        return Err(invalid(format!("the method {method} is not allowed")));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| invalid("the method is not valid".to_owned()))
}

/// Parses a header. No error contains a value, which may be a key, or an invalid name, which may be
/// a misplaced value.
fn parse_header(name: &str, value: Bytes) -> Result<(HeaderName, HeaderValue), FetchError> {
    let invalid = |reason: String| FetchError::invalid(RequestPart::Header, reason);
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header's name is not valid".to_owned()))?;
    if is_refused(&name) {
        return Err(invalid(format!("a module cannot set the header {name}")));
    }
    match HeaderValue::from_maybe_shared(value) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(invalid(format!("the value of the header {name} is not valid"))),
    }
}

/// Whether a module cannot set this header.
pub(crate) fn is_refused(name: &HeaderName) -> bool {
    HEADERS_REFUSED.contains(&name.as_str()) || name.as_str().starts_with(PROXY)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {:?})", self.method, self.to)
    }
}
