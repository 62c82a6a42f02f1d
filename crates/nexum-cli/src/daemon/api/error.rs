//! The error responses of the API.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nexum_core::store::StoreError;
use nexum_core::supervisor::SteerError;
use nexum_core::{ChangeError, CommandError};

use crate::daemon::codes::{code_of, code_of_change};
use crate::error_code::ErrorCode;
use crate::protocol::error::ErrorBody;
use crate::protocol::query::Returned;
use crate::report::{Refusal, Refusals};

/// The wait after which a client may retry, in seconds: short, because most bursts are.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The reason why a request failed. The code decides the status.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    body: Box<ErrorBody>,
    retry_after_seconds: u64,
}

impl ApiError {
    /// An error with the remedy of its code as its hint.
    pub(crate) fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Self::refused(code, Refusal::new(error))
    }

    /// An error with all of its sources.
    pub(crate) fn of(code: ErrorCode, error: &(dyn Error + 'static)) -> Self {
        Self::refused(code, Refusal::of(error))
    }

    /// One error or more, each with its hint if it has one.
    pub(crate) fn refused(code: ErrorCode, refusals: impl Into<Refusals>) -> Self {
        Self {
            code,
            body: Box::new(ErrorBody::new(code, refusals.into())),
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }
    }

    /// An error whose code the refusal has.
    pub(crate) fn coded(refusal: Refusal) -> Self {
        let code = refusal.code.as_deref().and_then(ErrorCode::of);
        Self::refused(code.unwrap_or(ErrorCode::InternalError), refusal)
    }

    /// Adds the error that a module returned.
    pub(crate) fn with_host_error(mut self, error: Returned) -> Self {
        self.body.host_error = Some(error);
        self
    }

    /// Sets the wait of the header `Retry-After`, in seconds. Only a response that a client may retry
    /// has the header.
    pub(crate) fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = seconds;
        self
    }
}

/// The response. Its extensions are the [`ErrorCode`] and the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.about().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, self.retry_after_seconds.into());
            }
            _ => {}
        }
        response.extensions_mut().insert(self.code);
        response.extensions_mut().insert(Arc::<ErrorBody>::from(self.body));
        response
    }
}

/// The words of remedies that stand for a parameter of the path.
const PARAMETERS: [(&str, &str); 6] = [
    ("account", "ACCOUNT"),
    ("name", "MODULE"),
    ("module", "MODULE"),
    ("event", "EVENT"),
    ("number", "NUMBER"),
    ("function", "FUNCTION"),
];

/// Names the account, the module, the event, the number of the effect and the function of a request in the hint of its error.
pub(super) async fn name_subjects(
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let body = response.extensions_mut().remove::<Arc<ErrorBody>>();
    let (Some(body), Ok(parameters)) = (body, parameters) else {
        return response;
    };
    let Some(mut body) = Arc::into_inner(body) else {
        return response;
    };
    for (parameter, value) in &parameters {
        let word = PARAMETERS.iter().find(|(name, _)| *name == parameter);
        // The operator may copy the command into a shell.
        if let Some((_, word)) = word.filter(|_| is_plain(value)) {
            body.name(word, value);
        }
    }
    let (head, _) = response.into_parts();
    let mut named = Json(body).into_response();
    *named.status_mut() = head.status;
    named.headers_mut().extend(
        head.headers
            .into_iter()
            .filter_map(|(name, value)| name.map(|name| (name, value)))
            .filter(|(name, _)| *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE),
    );
    *named.extensions_mut() = head.extensions;
    named
}

/// Whether a shell takes the text as one word without a special meaning.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'@' | b'.');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain)
}

impl From<SteerError> for ApiError {
    fn from(error: SteerError) -> Self {
        Self::of(code_of(&error), &error)
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        SteerError::from(error).into()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::of(ErrorCode::StoreUnavailable, &error)
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        Self::refused(code_of_change(&error), error)
    }
}
