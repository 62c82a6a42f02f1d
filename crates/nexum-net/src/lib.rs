//! Network helpers for the other crates: public addresses ([`not_public`]), waits after failures ([`Backoff`]), the part of an
//! error that may be shown ([`io_cause`]), and, with the feature `http`, bounded HTTP responses (`read_bounded`, `retry_after`)
//! and TLS (`tls_config`, `TlsFault`).
//!
//! The server is hostile: a body is bounded while it is read, and no error here shows a URL, though those of the library below
//! do.

mod address;
mod backoff;
mod cause;
#[cfg(feature = "http")]
mod response;
#[cfg(feature = "http")]
mod tls;

pub use address::not_public;
pub use backoff::{Backoff, WAIT_MAX};
pub use cause::io_cause;
#[cfg(feature = "http")]
pub use response::{ReadError, read_bounded, retry_after};
#[cfg(feature = "http")]
pub use tls::{HTTP_PROTOCOLS, TlsFault, contents, tls_config};
