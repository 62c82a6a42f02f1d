//! The error responses of the API.

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nexum_core::store::StoreError;
use nexum_core::supervisor::{StartError, SteerError};
use nexum_core::{ChangeError, CommandError};

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

/// The response. Its extension is the [`ErrorCode`].
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.about().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body)).into_response();
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
        response
    }
}

impl From<SteerError> for ApiError {
    fn from(error: SteerError) -> Self {
        Self::of(code_of(&error), &error)
    }
}

fn code_of(error: &SteerError) -> ErrorCode {
    match error {
        SteerError::Exists(_) => ErrorCode::ModuleExists,
        SteerError::NoModule(_) => ErrorCode::ModuleNotFound,
        SteerError::NoQueries(_) => ErrorCode::QueryUnsupported,
        SteerError::NoEvents(_) => ErrorCode::ModuleHasNoEvents,
        SteerError::Start(StartError::NoSource { .. }) => ErrorCode::ChainUnknown,
        SteerError::Start(StartError::NotReady { .. }) => ErrorCode::ChainUnavailable,
        SteerError::Start(StartError::Store(_)) | SteerError::Commit(_) => ErrorCode::StoreUnavailable,
        SteerError::NotRunning => ErrorCode::DaemonStopping,
        SteerError::Command(error) => match error {
            CommandError::Init(_) => ErrorCode::InitFailed,
            CommandError::Failed(_) => ErrorCode::EventFailed,
            CommandError::NoLetter(_) => ErrorCode::DeadLetterNotFound,
            CommandError::NotRunning => ErrorCode::ModuleNotRunning,
            CommandError::Dead => ErrorCode::ModuleDead,
            CommandError::Store(_) => ErrorCode::StoreUnavailable,
            CommandError::Gone => ErrorCode::ModuleRemoved,
            _ => ErrorCode::InternalError,
        },
        _ => ErrorCode::InternalError,
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
        let code = match &error {
            ChangeError::Host(error) => code_of(error),
            ChangeError::Renamed { .. } => ErrorCode::ModuleRenamed,
            _ => ErrorCode::ModuleRefused,
        };
        Self::refused(code, error)
    }
}
