//! Paths that cannot leave the base URL of their order book.

use std::fmt;

use url::Url;

use crate::base_url::BaseUrl;

/// The longest path with its query, in bytes: several times the longest useful one, and a length
/// that servers accept.
pub const PATH_BYTES_MAX: usize = 4_096;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Over [`PATH_BYTES_MAX`].
    #[error("a path has at most {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A character with a special meaning in URLs, or an invalid one.
    #[error("the path has a character that is not allowed")]
    Character,
    /// `//`, `.` or `..`.
    #[error("the path has an empty part, `.` or `..`")]
    Segment,
    /// An encoded control character in the query.
    #[error("the query has a control character")]
    Control,
}

/// A path with its query, relative to a base URL.
///
/// Invariant: between slashes there are only unreserved characters, so that no reader can find a
/// separator, an encoding, a scheme or a host. Only the last part may be empty, and no part
/// consists of dots.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RelativePath {
    path: String,
    query: Option<String>,
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.query.iter().try_for_each(|query| write!(f, "?{query}"))
    }
}

impl RelativePath {
    /// Parses a path, with or without a leading slash and a query.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        // No route of an order book contains an encoded character, so `%` is not allowed.
        if !path.bytes().all(|byte| byte == b'/' || is_unreserved(byte)) {
            return Err(PathError::Character);
        }
        let last = path.split('/').count() - 1;
        let leads_elsewhere = |(index, part): (usize, &str)| match part {
            "" => index != last,
            part => part.bytes().all(|byte| byte == b'.'),
        };
        // A path with a second leading slash has an empty first part. The empty path is the base
        // itself.
        if path.starts_with('/') || path.split('/').enumerate().any(leads_elsewhere) {
            return Err(PathError::Segment);
        }
        if let Some(query) = query {
            check_query(query)?;
        }
        Ok(Self {
            path: path.to_owned(),
            query: query.map(str::to_owned),
        })
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The URL below a base. None if the URL is outside the base, which the invariant excludes.
    pub(crate) fn below(&self, base: &BaseUrl) -> Option<Url> {
        let mut url = base.url().clone();
        url.set_path(&format!("{}{}", base.url().path(), self.path));
        url.set_query(self.query.as_deref());
        let is_below = url.origin() == base.url().origin() && url.path().starts_with(base.url().path());
        is_below.then_some(url)
    }
}

/// Whether a byte is unreserved in URLs (RFC 3986, 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a query decodes to a control character. A query cannot leave the base, but a reader
/// could take a control character for a line break.
fn check_query(query: &str) -> Result<(), PathError> {
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(PathError::Character);
    }
    let encoded = query.as_bytes().windows(3).filter(|window| window[0] == b'%');
    let control = |window: &[u8]| {
        let byte = std::str::from_utf8(&window[1..]).ok();
        byte.and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .is_some_and(|byte| byte.is_ascii_control())
    };
    if { encoded }.any(control) {
        return Err(PathError::Control);
    }
    Ok(())
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests;
