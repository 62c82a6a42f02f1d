//! What an answer says, with bounds.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How much room is made for a body before its first byte: most fit, and a far side that announces more than it sends cannot make
/// us hold more.
const BODY_CAPACITY_MAX: usize = 16 * 1_024;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is, or says that it is, over the bound.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The connection broke off. The source may hold a URL in its text.
    #[error("the answer broke off")]
    Lost(#[source] reqwest::Error),
}

/// Reads the body, and stops before it holds more than `bytes_max`.
///
/// # Errors
///
/// When the body is over the bound, or breaks off.
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

/// The wait that a response asks for: in seconds, or until a date, which is measured from the response's own `Date`, because
/// the two clocks need not agree.
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
