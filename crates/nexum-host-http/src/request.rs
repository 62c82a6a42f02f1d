//! A module's request, validated before it is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::destination::Destination;
use crate::error::FetchError;

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
            return Err(FetchError::invalid(format!("a URL has at most {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(url).map_err(|_| FetchError::invalid("the URL is not valid"))?;
        let to = Destination::of(&url).map_err(|error| FetchError::invalid(error.to_string()))?;
        Ok(Self {
            method,
            url,
            to,
            headers: HeaderMap::new(),
            body: None,
            timeout: None,
        })
    }

    /// Sets the headers. A repeated header is sent repeatedly.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`].
    pub fn with_headers(mut self, headers: Vec<(String, String)>) -> Result<Self, FetchError> {
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers.len() > REQUEST_HEADERS_MAX || bytes > REQUEST_HEADER_BYTES_MAX {
            return Err(FetchError::invalid(format!(
                "a request has at most {REQUEST_HEADERS_MAX} headers and {REQUEST_HEADER_BYTES_MAX} bytes of them"
            )));
        }
        for (name, value) in headers {
            let (name, value) = parse_header(&name, value)?;
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
            return Err(FetchError::invalid(format!(
                "a body has at most {REQUEST_BODY_BYTES_MAX} bytes"
            )));
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
            return Err(FetchError::invalid("timeout-ms is 0"));
        }
        self.timeout = Some(Duration::from_millis(timeout_ms.into()));
        Ok(self)
    }

    /// Whether the request may change something at the server.
    pub fn has_effect(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

fn parse_method(method: &str) -> Result<Method, FetchError> {
    if method.len() > METHOD_BYTES_MAX {
        return Err(FetchError::invalid("the method is not valid"));
    }
    let method = method.to_ascii_uppercase();
    if METHODS_REFUSED.contains(&method.as_str()) {
        return Err(FetchError::invalid(format!("the method {method} is not allowed")));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| FetchError::invalid("the method is not valid"))
}

/// Parses a header. No error contains a value, which may be a key, or an invalid name, which may be
/// a misplaced value.
fn parse_header(name: &str, value: String) -> Result<(HeaderName, HeaderValue), FetchError> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| FetchError::invalid("a header's name is not valid"))?;
    let text = name.as_str();
    if HEADERS_REFUSED.contains(&text) || text.starts_with(PROXY) {
        return Err(FetchError::invalid(format!("a module cannot set the header {text}")));
    }
    match HeaderValue::from_maybe_shared(Bytes::from(value)) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(FetchError::invalid(format!(
            "the value of the header {text} is not valid"
        ))),
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {:?})", self.method, self.to)
    }
}
