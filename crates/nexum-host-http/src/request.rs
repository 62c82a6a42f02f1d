//! What a module asks for, checked before anything is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::destination::Destination;
use crate::error::FetchError;

/// How long a URL may be: servers take 8 KiB and less.
pub const URL_BYTES_MAX: usize = 8 * 1_024;

/// How long a method may be: the longest registered one has 17 letters.
pub const METHOD_BYTES_MAX: usize = 24;

/// How many headers a request may have: browsers send about twenty.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// How many bytes names and values of a request's headers may have together: servers take 8 to 16 KiB.
pub const REQUEST_HEADER_BYTES_MAX: usize = 16 * 1_024;

/// How large the body of a request may be. What a module sends is about what it read or keeps, and is less.
pub const REQUEST_BODY_BYTES_MAX: usize = 1_024 * 1_024;

/// Methods that make a tunnel, or have a server send a request's headers back, among them what others added on the way.
const METHODS_REFUSED: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Headers that are about the connection or how a message is framed, which is for the client below to say. A module that said it could have
/// two servers on the way see different requests, or name another host than the one that was checked.
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

/// What headers about proxies begin with.
const PROXY: &str = "proxy-";

/// A request that may be sent, if its destination is allowed. `Debug` shows method and destination only.
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
    /// A request without headers, body and timeout. The method is a token in any case and is sent in upper case; the URL is
    /// absolute, and what is behind a `#` in it is not sent.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`].
    pub fn new(method: &str, url: &str) -> Result<Self, FetchError> {
        let method = parse_method(method)?;
        if url.len() > URL_BYTES_MAX {
            return Err(FetchError::invalid(format!("a URL has at most {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(url).map_err(|_| FetchError::invalid("the URL is none"))?;
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

    /// The same with these headers. One that is given twice is sent twice.
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

    /// The same with this body.
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

    /// The same with this bound on its time, beside the operator's and the event's.
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

    /// Whether it may change something at the far side.
    pub fn has_effect(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

fn parse_method(method: &str) -> Result<Method, FetchError> {
    if method.len() > METHOD_BYTES_MAX {
        return Err(FetchError::invalid("the method is none"));
    }
    let method = method.to_ascii_uppercase();
    if METHODS_REFUSED.contains(&method.as_str()) {
        return Err(FetchError::invalid(format!("the method {method} is not sent")));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| FetchError::invalid("the method is none"))
}

/// No error shows a value, which may be a key; nor a name that is none, which may be a value.
fn parse_header(name: &str, value: String) -> Result<(HeaderName, HeaderValue), FetchError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FetchError::invalid("a header's name is none"))?;
    let text = name.as_str();
    if HEADERS_REFUSED.contains(&text) || text.starts_with(PROXY) {
        return Err(FetchError::invalid(format!(
            "the header {text} is not for a module to set"
        )));
    }
    match HeaderValue::from_maybe_shared(Bytes::from(value)) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(FetchError::invalid(format!(
            "the header {text} has a value that is none"
        ))),
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {:?})", self.method, self.to)
    }
}
