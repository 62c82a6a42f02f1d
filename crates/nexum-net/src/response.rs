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
pub async fn read_bounded(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let announced = response.content_length().unwrap_or_default();
    if announced > bytes_max as u64 {
        return Err(ReadError::TooLarge { bytes_max });
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default().min(BODY_CAPACITY_MAX));
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Lost)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(ReadError::TooLarge { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
