//! Answers with an error status.

use reqwest::StatusCode;

use crate::signer::SignError;

/// The longest name of an error that nexum shows, in bytes. The known ones have half of it.
const CODE_BYTES_MAX: usize = 64;

/// The error of an answer with this status, whose body names the error `code`. `throttling` has the
/// cloud's names for too many requests.
pub(super) fn refusal(status: StatusCode, code: Option<&str>, throttling: &[&str]) -> SignError {
    let number = status.as_u16();
    match code.filter(|code| is_name(code)) {
        _ if status == StatusCode::TOO_MANY_REQUESTS => SignError::Throttled { status: number },
        Some(code) if throttling.contains(&code) => SignError::Throttled { status: number },
        Some(code) if status.is_client_error() => SignError::Refused {
            status: number,
            code: code.to_owned(),
        },
        _ => SignError::Status(number),
    }
}

/// Whether the text is a name, and no sentence, which could contain anything.
fn is_name(code: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(is_word)
}
