//! The responses of the order book.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// A response, good or bad.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Reply {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: serde_json::to_string(body).expect("values that are JSON"),
        }
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.to_owned(),
        }
    }

    /// A refusal in the API's format.
    pub(super) fn error(status: u16, error_type: &str, description: &str) -> Self {
        Self::json(status, &Self::error_body(error_type, description))
    }

    /// A refusal in the API's format with `data`.
    pub(super) fn error_with(status: u16, error_type: &str, description: &str, data: Value) -> Self {
        let mut body = Self::error_body(error_type, description);
        body["data"] = data;
        Self::json(status, &body)
    }

    fn error_body(error_type: &str, description: &str) -> Value {
        json!({ "errorType": error_type, "description": description })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("an http status code");
        let content_type = HeaderValue::from_static(self.content_type);
        (status, [(header::CONTENT_TYPE, content_type)], self.body).into_response()
    }
}
