//! The request that follows a redirect: RFC 9110, section 15.4.

use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, HeaderMap, HeaderName,
    LOCATION, USER_AGENT,
};
use reqwest::{Method, StatusCode, Url};

use crate::destination::Destination;
use crate::error::FetchError;
use crate::policy::Rule;
use crate::request::{Request, URL_BYTES_MAX};

/// The most redirects of a fetch: to https, to the canonical name, to the canonical path, and two
/// more. Each costs a round trip of the event's time.
pub const REDIRECTS_MAX: usize = 5;

/// The headers that another origin receives: headers that never contain a secret. Every other
/// header may be one, such as `x-api-key`.
const HEADERS_KEPT: [HeaderName; 6] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    USER_AGENT,
];

/// Headers that describe a body. A request without the body has none of them.
const HEADERS_OF_BODY: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE];

/// Returns the request that a redirect asks for, or none if the response is not a redirect.
///
/// # Errors
///
/// If the target is not a URL, or not one that a request may go to.
pub(crate) fn next(request: &Request, status: StatusCode, headers: &HeaderMap) -> Result<Option<Request>, FetchError> {
    let (StatusCode::MOVED_PERMANENTLY
    | StatusCode::FOUND
    | StatusCode::SEE_OTHER
    | StatusCode::TEMPORARY_REDIRECT
    | StatusCode::PERMANENT_REDIRECT) = status
    else {
        return Ok(None);
    };
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let location = location.to_str().map_err(|_| FetchError::BadRedirect)?;
    let url = request.url.join(location).map_err(|_| FetchError::BadRedirect)?;
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(FetchError::BadRedirect);
    }
    redirected(request, status, url).map(Some)
}

fn redirected(request: &Request, status: StatusCode, url: Url) -> Result<Request, FetchError> {
    let to = Destination::of(&url).map_err(|error| FetchError::Denied {
        rule: Rule::Unusable(error),
        redirected: true,
    })?;
    let mut next = request.clone();
    if becomes_get(&request.method, status) {
        next.method = Method::GET;
    }
    if next.method != request.method || status == StatusCode::SEE_OTHER {
        next.body = None;
        for name in HEADERS_OF_BODY {
            next.headers.remove(name);
        }
    }
    if to != request.to {
        let mut kept = HeaderMap::new();
        for (name, value) in next.headers.iter().filter(|(name, _)| HEADERS_KEPT.contains(name)) {
            kept.append(name, value.clone());
        }
        next.headers = kept;
    }
    (next.url, next.to) = (url, to);
    Ok(next)
}

/// A 303 points to a resource to read. All clients treat a 301 or 302 after a POST alike.
fn becomes_get(method: &Method, status: StatusCode) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}
