//! The operator's headers for a server, whose values are secrets.

use std::collections::BTreeMap;
use std::fmt;

use nexum_config::document::{ConfigError, Section};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// The most headers for a server: providers require one or two.
pub const HEADERS_MAX: usize = 16;

/// The longest value of a header, in bytes: servers accept as much for all headers together.
pub const HEADER_VALUE_BYTES_MAX: usize = 8 * 1_024;

/// Headers that the transport sets. Another value would break it.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

/// The headers for a server. `Debug` shows only their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpHeaders(HeaderMap);

/// Why headers cannot be sent. The message never contains a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpHeadersError {
    /// More than [`HEADERS_MAX`].
    #[error("more than {HEADERS_MAX} headers")]
    TooMany,
    /// A name that is not valid in HTTP.
    #[error("`{}` is not the name of a header", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// A header that the transport sets.
    #[error("the header `{name}` cannot be set")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A value with control characters, or above [`HEADER_VALUE_BYTES_MAX`].
    #[error("the value of the header `{name}` must be up to {HEADER_VALUE_BYTES_MAX} printable characters")]
    Value {
        /// The name.
        name: String,
    },
    /// A repeated header: two names differ only in case.
    #[error("the header `{name}` is there twice")]
    Twice {
        /// The name.
        name: String,
    },
}

impl HttpHeaders {
    /// Validates headers by name.
    ///
    /// # Errors
    ///
    /// If one of the headers cannot be sent.
    pub fn new(headers: &BTreeMap<String, String>) -> Result<Self, HttpHeadersError> {
        if headers.len() > HEADERS_MAX {
            return Err(HttpHeadersError::TooMany);
        }
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let owned = || name.clone();
            let header = HeaderName::try_from(name).map_err(|_| HttpHeadersError::Name { name: owned() })?;
            if RESERVED.contains(&header.as_str()) {
                return Err(HttpHeadersError::Reserved { name: owned() });
            }
            let value = Some(value).filter(|value| value.len() <= HEADER_VALUE_BYTES_MAX);
            let mut value = value
                .and_then(|value| HeaderValue::try_from(value).ok())
                .ok_or_else(|| HttpHeadersError::Value { name: owned() })?;
            // Keeps the value out of `Debug`, and out of the compression tables of HTTP/2.
            value.set_sensitive(true);
            if map.insert(header, value).is_some() {
                return Err(HttpHeadersError::Twice { name: owned() });
            }
        }
        Ok(Self(map))
    }

    /// Validates the key `headers` of a table. Adds the errors to `errors`. Each is an error of the
    /// key, because an error of a value would show the value.
    pub fn read(section: &Section, headers: &BTreeMap<String, String>, errors: &mut Vec<ConfigError>) -> Self {
        let before = errors.len();
        for (name, value) in headers.iter().take(HEADERS_MAX) {
            let one = BTreeMap::from([(name.clone(), value.clone())]);
            let checked = Self::new(&one);
            errors.extend(checked.err().map(|error| section.error("headers", error.to_string())));
        }
        Self::new(headers).unwrap_or_else(|error| {
            if errors.len() == before {
                errors.push(section.error("headers", error.to_string()));
            }
            Self::default()
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers, with sensitive values.
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// The texts that a server's message must not show: each value, and each word of a value, because
    /// a server may quote the key without the word before it. Each is also there as JSON writes it.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let values = self
            .0
            .values()
            .filter_map(|value| str::from_utf8(value.as_bytes()).ok());
        let parts = values.flat_map(|value| std::iter::once(value).chain(value.split_whitespace()));
        parts.flat_map(|part| {
            let escaped = part.replace('\\', "\\\\").replace('"', "\\\"");
            std::iter::once(part.to_owned()).chain((escaped != part).then_some(escaped))
        })
    }
}

impl fmt::Debug for HttpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
