//! HTTP for modules: the capability of `nexum:host/http` and `wasi:http`.
//!
//! # How data flows
//!
//! 1. `[http]` of `engine.toml` configures one [`Http`] for the whole host.
//! 2. `http.fetch` and `outgoing-handler.handle` validate their arguments into a [`Request`] with the
//!    [`Destination`] of its URL. From here on there is one path, the [`Fetcher`].
//! 3. The [`Policy`] permits or denies the destination: the module's manifest and the operator both
//!    have to name it.
//! 4. One of two clients sends the request. One client refuses every name with a non-public
//!    address, when it connects.
//! 5. A redirect is a new request, and passes every check again.
//!
//! # Errors that a guest sees
//!
//! A guest of `wasi:http` sees [`FetchError::to_error_code`]. For a guest of `nexum:host/http`, the
//! `domain` is `http`, `code` is 0 and `data` is absent. A response with any status is a
//! success.
//!
//! | kind | when |
//! |---|---|
//! | `invalid-input` | this crate refuses the method, URL, header, body or timeout for every destination |
//! | `denied` | a destination that is not allowed, also after a redirect; a non-public address; too many redirects; a response above a bound |
//! | `timeout` | the connection, the first byte or the end of the response did not arrive in time |
//! | `unavailable` | no address, no connection, no TLS, an untrusted certificate, a broken connection, a malformed response |
//! | `internal` | a fault of this host |
//!
//! # Assumptions
//!
//! - Guests, servers and name servers are hostile: the crate bounds their data before it stores it,
//!   and checks it before it uses it.
//! - A service on the public internet accepts requests from everywhere. So a request from this host
//!   gains nothing there, in contrast to a private network.
//! - An instance has one `http.fetch` in flight at a time, and up to [`WASI_REQUESTS_MAX`] requests
//!   through `wasi:http`.
//!
//! # Invariants
//!
//! - A request goes only to destinations that both the module's manifest and the operator allow.
//! - A request goes to a non-public address only if the operator lists the destination in
//!   `allow_private`.
//! - A client connects only to the checked address.
//! - A client reuses a connection only for its scheme, host and port, and only for requests that
//!   the policy permits. Private and other destinations share no connection.
//! - The crate parses a URL once, and checks and sends that one parsed URL.
//! - The crate marks the event as having an effect before it sends any other method than GET, HEAD
//!   or OPTIONS.
//! - A request ends with its event at the latest.
//! - No log, error, metric or `Debug` of this crate contains a URL, a path, a query, or a header
//!   value.

/// Log targets of the libraries that this crate uses, as prefixes. They log whole requests, so the
/// embedder must turn them off at every log level.
pub const SILENCED_LOG_TARGETS: &[&str] = &["h2", "hyper", "reqwest", "rustls", "tower", "wasmtime_wasi_http"];

pub use self::http::Http;
pub use client::{RESPONSE_HEADER_BYTES_MAX, RESPONSE_HEADERS_MAX};
pub use config::{
    CONNECT_TIMEOUT_MS, ENTRIES_MAX, FIRST_BYTE_TIMEOUT_MS, HttpConfig, RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX_RANGE,
    TIMEOUT_MS, TIMEOUT_MS_RANGE,
};
pub use destination::{Destination, DestinationError};
pub use error::{FetchError, Phase, RequestPart};
pub use fetch::Fetcher;
pub use hop::Answer;
pub use nexum_net::TlsFault;
pub use nexum_net::not_public;
pub use pattern::{HostPattern, PATTERN_BYTES_MAX, PatternError};
pub use policy::{Permit, Policy, Rule};
pub use redirect::REDIRECTS_MAX;
pub use request::{
    METHOD_BYTES_MAX, REQUEST_BODY_BYTES_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX, Request, URL_BYTES_MAX,
};
pub use resolver::{LOOKUPS_MAX, LOOKUPS_PER_MODULE_MAX, Lookup, SystemLookup};
pub use state::{HttpState, WASI_FIELDS_BYTES_MAX, WASI_HELD_BYTES_MAX, WASI_REQUESTS_MAX};

pub mod metrics;

mod host;
mod http;
mod state;
mod wasi;

mod destination;
mod request;

mod pattern;
mod policy;

mod resolver;

mod client;
mod fetch;
mod hop;
mod redirect;
mod time;

mod config;
mod effect;
mod error;

mod bindings;
