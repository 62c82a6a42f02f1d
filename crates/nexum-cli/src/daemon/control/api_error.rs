//! The error responses of the control socket.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nexum_core::ChangeError;
use nexum_core::CommandError;
use nexum_core::store::StoreError;
use nexum_core::supervisor::SteerError;

use crate::report::{Refusal, Refusals};

/// The reason why a request failed, with a status that says which side is at fault.
pub(super) struct ApiError(pub(super) StatusCode, pub(super) Refusals);

impl ApiError {
    pub(super) fn of(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Self {
        Self(status, Refusal::of(error).into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<SteerError> for ApiError {
    fn from(error: SteerError) -> Self {
        let status = match &error {
            SteerError::NoModule(_) | SteerError::Command(CommandError::NoLetter(_)) => StatusCode::NOT_FOUND,
            SteerError::NotRunning | SteerError::Commit(_) | SteerError::Command(CommandError::Store(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::CONFLICT,
        };
        Self::of(status, &error)
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        SteerError::from(error).into()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, &error)
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Host(error) => error.into(),
            error => Self(StatusCode::UNPROCESSABLE_ENTITY, error.into()),
        }
    }
}
