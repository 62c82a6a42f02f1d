//! What a module asks of an order book, checked before anything is sent.

use cowprotocol::{HttpMethod, HttpRequest};

use crate::base_url::BaseUrl;
use crate::error::RequestError;
use crate::path::RelativePath;
use crate::route::Route;

/// How large the body of a request may be: the 128 UIDs that the order book looks up at once take 16 KiB, an order with the largest
/// document 20 KiB.
pub const BODY_BYTES_MAX: usize = 256 * 1_024;

/// How much of a method is shown in an error: more than the longest known one has.
const METHOD_CHARS_MAX: usize = 16;

/// A request that may be sent to an order book, whichever it is.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) route: Route,
    path: RelativePath,
    body: Option<String>,
}

impl Call {
    /// Checks what `cow-api.request` was given: `GET`, `POST`, `PUT` or `DELETE` in any case; a path below the base URL, with or
    /// without a slash before it and a query behind it; a body, which is sent as `application/json`.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with `invalid-input`.
    pub fn new(method: &str, path: &str, body: Option<String>) -> Result<Self, RequestError> {
        let method = parse_method(method)?;
        let path = RelativePath::parse(path).map_err(|error| RequestError::invalid(error.to_string()))?;
        if body.as_ref().is_some_and(|body| body.len() > BODY_BYTES_MAX) {
            return Err(RequestError::invalid(format!(
                "a body takes at most {BODY_BYTES_MAX} bytes"
            )));
        }
        if body.is_some() && method == HttpMethod::Get {
            return Err(RequestError::invalid("a GET has no body"));
        }
        Ok(Self {
            route: Route::of(method, path.path()),
            path,
            body,
        })
    }

    /// Whether it may change something at the order book.
    pub fn has_effect(&self) -> bool {
        !self.route.reads()
    }

    /// The request to an order book.
    pub(crate) fn to_request(&self, base: &BaseUrl) -> Result<HttpRequest, RequestError> {
        Ok(HttpRequest {
            method: self.route.method,
            url: self.path.below(base).ok_or(RequestError::Internal)?,
            json_body: self.body.as_ref().map(|body| body.as_bytes().to_vec()),
            bearer: None,
        })
    }
}

fn parse_method(method: &str) -> Result<HttpMethod, RequestError> {
    let all = [HttpMethod::Get, HttpMethod::Post, HttpMethod::Put, HttpMethod::Delete];
    let known = all
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(method));
    known.ok_or_else(|| {
        let shown: String = method.chars().take(METHOD_CHARS_MAX).collect();
        RequestError::invalid(format!(
            "the method {} is none of GET, POST, PUT and DELETE",
            shown.escape_debug()
        ))
    })
}
