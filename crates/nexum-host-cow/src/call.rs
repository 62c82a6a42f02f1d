//! A module's request to an order book, validated before it is sent.

use cowprotocol::{HttpMethod, HttpRequest};
use nexum_core::capability::EffectClass;

use crate::base_url::BaseUrl;
use crate::error::RequestError;
use crate::path::RelativePath;
use crate::route::Route;

/// The largest body of a request, in bytes: the 128 UIDs of one lookup take 16 KiB, and an order
/// with the largest document 20 KiB.
pub const BODY_BYTES_MAX: usize = 256 * 1_024;

/// The most characters of a method in an error: more than the longest known method.
const METHOD_CHARS_MAX: usize = 16;

/// A valid request for any order book.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) route: Route,
    path: RelativePath,
    body: Option<String>,
}

impl Call {
    /// Validates the arguments of `cow-api.request`:
    ///
    /// - a method: `GET`, `POST`, `PUT` or `DELETE`, in upper or lower case
    /// - a path below the base URL, with or without a leading slash and a query
    /// - a body, sent as `application/json`
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with `invalid-input`.
    pub fn new(method: &str, path: &str, body: Option<String>) -> Result<Self, RequestError> {
        let method = parse_method(method)?;
        let path = RelativePath::parse(path).map_err(|error| RequestError::invalid(error.to_string()))?;
        if body.as_ref().is_some_and(|body| body.len() > BODY_BYTES_MAX) {
            return Err(RequestError::invalid(format!(
                "a body has at most {BODY_BYTES_MAX} bytes"
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

    /// Whether the request may change something at the order book.
    pub fn has_effect(&self) -> bool {
        !self.route.reads()
    }

    /// The result of a repetition of the request: the order book identifies an order by its UID, and a document by
    /// its hash.
    pub(crate) fn class(&self) -> EffectClass {
        match self.route.is_repeatable() || self.route == Route::SUBMIT {
            true => EffectClass::Repeatable,
            false => EffectClass::Once,
        }
    }

    /// The text that tells the request apart from others to its order book.
    pub(crate) fn content(&self) -> String {
        let (method, body) = (self.route.method.as_str(), self.body.as_deref().unwrap_or_default());
        format!("{method} {}\n{body}", self.path)
    }

    /// The HTTP request to an order book.
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
            "the method {} is not GET, POST, PUT or DELETE",
            shown.escape_debug()
        ))
    })
}
