//! Bounded reading of HTTP responses.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The most memory that is reserved for a body before its first byte, in bytes. Most bodies fit. A
/// server that announces more than it sends cannot make the host reserve more.
const BODY_CAPACITY_MAX: usize = 16 * 1_024;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The body is larger than the bound, or its `Content-Length` is.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The connection broke before the end of the body. The text of the source may contain a URL.
    #[error("the answer broke off")]
    Lost(#[source] reqwest::Error),
}

/// Reads a body. Never holds more than `bytes_max` bytes.
///
/// # Errors
///
/// [`ReadError`] if the body is larger than the bound, or the connection breaks.
pub async fn read_bounded(response: Response, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let mut reader = BodyReader::new(response, bytes_max)?;
    while reader.read_more().await? {}
    Ok(reader.into_body())
}

/// Reads a body piece by piece, for a caller that bounds the time between them. Never holds more
/// than its bound.
#[derive(Debug)]
pub struct BodyReader {
    response: Response,
    body: Vec<u8>,
    bytes_max: usize,
}

impl BodyReader {
    /// A reader of a body of up to `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] if the server announces a larger body.
    pub fn new(response: Response, bytes_max: usize) -> Result<Self, ReadError> {
        let announced = response.content_length().unwrap_or_default();
        if announced > bytes_max as u64 {
            return Err(ReadError::TooLarge { bytes_max });
        }
        let capacity = usize::try_from(announced).unwrap_or_default().min(BODY_CAPACITY_MAX);
        Ok(Self {
            response,
            body: Vec::with_capacity(capacity),
            bytes_max,
        })
    }

    /// Waits for the next piece of the body. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the body is larger than the bound, or the connection breaks.
    pub async fn read_more(&mut self) -> Result<bool, ReadError> {
        let bytes_max = self.bytes_max;
        let Some(chunk) = self.response.chunk().await.map_err(ReadError::Lost)? else {
            return Ok(false);
        };
        if self.body.len() + chunk.len() > bytes_max {
            return Err(ReadError::TooLarge { bytes_max });
        }
        self.body.extend_from_slice(&chunk);
        Ok(true)
    }

    /// The bytes so far.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// The wait that a response requests, as a number of seconds or as a date. A date is relative to
/// the response's own `Date`, because the two clocks may differ.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wait = text(RETRY_AFTER)?;
    if let Ok(seconds) = wait.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (
        httpdate::parse_http_date(wait).ok()?,
        httpdate::parse_http_date(text(DATE)?).ok()?,
    );
    until.duration_since(now).ok()
}
