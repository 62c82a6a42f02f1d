//! HTTP requests to the destinations that the operator and the manifest allow.
//!
//! ```
//! # fn price() -> nexum_sdk::Result<serde_json::Value> {
//! use nexum_sdk::http;
//!
//! let response = http::get("https://api.example.com/price?of=eth").timeout_ms(2_000).send()?;
//! response.ok()?.json()
//! # }
//! ```

use serde::{Serialize, de::DeserializeOwned};

pub use crate::types::{HttpRequest as Request, HttpResponse as Response};
use crate::{Error, ErrorKind, Result, host};

/// A `GET` request.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A `POST` request. nexum makes the event durable before the module's next event.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a JSON body, with its `content-type`.
    ///
    /// # Errors
    ///
    /// A value that has no JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sets the time for the whole request, in milliseconds.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Sends the request. A response with any status is ok, including 404 and 500.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] for a destination that is not allowed, and the failures of the
    /// connection.
    pub fn send(self) -> Result<Response> {
        host::fetch(self)
    }
}

impl Response {
    /// The response itself if its status is 2xx.
    ///
    /// # Errors
    ///
    /// An error with the status as its code and the body as its data. It is retryable for 429 and
    /// 5xx.
    pub fn ok(self) -> Result<Self> {
        let kind = match self.status {
            200..=299 => return Ok(self),
            429 => ErrorKind::RateLimited,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::InvalidInput,
        };
        let error = Error::of("http", kind, format!("the server answers {}", self.status));
        Err(error
            .with_code(self.status.into())
            .with_data(String::from_utf8_lossy(&self.body)))
    }

    /// The value of the first header with this name, in any case of letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// A body that is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// A body that is no JSON of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
