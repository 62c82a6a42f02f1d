//! HTTP for modules: the `nexum:host/http` capability.
//!
//! # How data flows
//!
//! [`Http`] is made once from `[http]` of `engine.toml`. `http.fetch` is checked into a [`Request`], with the [`Destination`] that its URL
//! means. The [`Policy`] says whether that may be sent to: the module's manifest and the operator both have to name it. Then it goes over one of
//! two clients, of which one refuses every name with an address that is not public, at the moment when it connects. A redirect is a new
//! request, and every check is made again.
//!
//! # What a guest sees of a failure
//!
//! The `domain` is `http`, `code` is 0 and there is no `data`: an answer with any status is a success.
//!
//! | kind | when |
//! |---|---|
//! | `invalid-input` | a method, URL, header, body or timeout that is refused here, whatever the destination |
//! | `denied` | a destination that is not allowed, redirects to one, an address that is not public, too many redirects, an answer over a bound |
//! | `timeout` | no connection, no beginning of an answer or no end of it in time |
//! | `unavailable` | no address, no connection, no TLS, a certificate that is not trusted, a connection that broke, an answer that makes no sense |
//! | `internal` | a fault of this host |
//!
//! # Assumptions
//!
//! - Guests, far sides and name servers are hostile: what they send is bounded before it is held, and checked before it is used.
//! - What is on the public internet may be asked by anybody. Only there is it harmless that it is this host that asks.
//! - A module has one host call in flight at a time. So there are no more fetches in flight than modules.
//!
//! # Invariants
//!
//! - Nothing is sent to a destination that the module's manifest does not allow, or the operator does not.
//! - Nothing is sent to an address that is not public, unless the operator named the destination as private.
//! - The address that was checked is the one that is connected to. A connection is only used again for the same scheme, host and port, by requests
//!   that are allowed there themselves, and between private and other destinations none is shared.
//! - What is checked of a URL is what is sent: it is parsed once.
//! - An event is marked as having an effect before anything but a GET, HEAD or OPTIONS is sent for it.
//! - No log, error, metric or `Debug` of this crate holds a URL, a path, a query, or the value of a header.

/// Log targets of the libraries below, as prefixes, which whoever sets up logging must turn off whatever level an operator asks
/// for: they show whole requests.
pub const SILENCED_LOG_TARGETS: &[&str] = &["h2", "hyper", "reqwest", "rustls", "tower"];

pub use client::{RESPONSE_HEADER_BYTES_MAX, RESPONSE_HEADERS_MAX};
pub use config::{
    CONNECT_TIMEOUT_MS, ENTRIES_MAX, FIRST_BYTE_TIMEOUT_MS, HttpConfig, RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX_RANGE,
    TIMEOUT_MS, TIMEOUT_MS_RANGE,
};
pub use destination::{Destination, DestinationError};
pub use error::{FetchError, Phase, TlsFault};
pub use fetch::Fetcher;
pub use hop::Answer;
pub use http::Http;
pub use nexum_net::not_public;
pub use pattern::{HostPattern, PATTERN_BYTES_MAX, PatternError};
pub use policy::{Permit, Policy, Rule};
pub use redirect::REDIRECTS_MAX;
pub use request::{
    METHOD_BYTES_MAX, REQUEST_BODY_BYTES_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX, Request, URL_BYTES_MAX,
};
pub use resolver::{LOOKUPS_MAX, Lookup, SystemLookup};

pub mod metrics;

mod host;
mod http;

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
mod error;

mod bindings;
