//! Network helpers for the other crates:
//!
//! - [`not_public`]: the addresses of the public internet
//! - [`Backoff`]: waits after failures
//! - [`io_cause`]: the part of an error that is safe to show
//! - `read_bounded`, `BodyReader` and `retry_after`: bounded HTTP responses, with the feature `http`
//! - `HttpHeaders`: headers whose values are secrets, with the feature `http`
//! - `http_client`, `tls_config` and `TlsFault`: clients and TLS, with the feature `http`
//!
//! The server is hostile: the crate bounds a body while it reads it. No text of this crate's errors
//! contains a URL, but the errors of the libraries below may.

mod address;
mod backoff;
mod cause;
#[cfg(feature = "http")]
mod headers;
#[cfg(feature = "http")]
mod response;
#[cfg(feature = "http")]
mod tls;

pub use address::not_public;
pub use backoff::{Backoff, WAIT_MAX};
pub use cause::io_cause;
#[cfg(feature = "http")]
pub use headers::{HEADER_VALUE_BYTES_MAX, HEADERS_MAX, HttpHeaders, HttpHeadersError};
#[cfg(feature = "http")]
pub use response::{BodyReader, ReadError, read_bounded, retry_after};
#[cfg(feature = "http")]
pub use tls::{HTTP_PROTOCOLS, TlsFault, contents, http_client, set_cryptography, tls_config};
