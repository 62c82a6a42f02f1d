//! The parts of a request. A part that does not have the documented form is an [`ApiError`].

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use nexum_config::names::ModuleName;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::error_code::ErrorCode;

/// The values of the path's parameters.
pub(crate) struct PathOf<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Path::from_request_parts(parts, state).await;
        found
            .map(|Path(values)| Self(values))
            .map_err(|error| ApiError::of(ErrorCode::InvalidRequest, &error))
    }
}

/// The parameters after the question mark.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Query::from_request_parts(parts, state).await;
        found
            .map(|Query(values)| Self(values))
            .map_err(|error| ApiError::of(ErrorCode::InvalidRequest, &error))
    }
}

/// The body, as JSON.
pub(crate) struct JsonOf<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonOf<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::from_request(request, state).await.map_err(|error| {
            let code = match &error {
                JsonRejection::MissingJsonContentType(_) => ErrorCode::UnsupportedMediaType,
                _ => ErrorCode::InvalidRequest,
            };
            ApiError::of(code, &error)
        })?;
        Ok(Self(value))
    }
}

/// Parses the module name in a path or a body.
///
/// # Errors
///
/// If the name is not valid.
pub(crate) fn name_of(name: &str) -> Result<ModuleName, ApiError> {
    name.parse()
        .map_err(|error| ApiError::of(ErrorCode::InvalidRequest, &error))
}
