//! The CoW Protocol order book for modules: the `shepherd:cow/cow-api` capability.
//!
//! This crate is GPL-3.0-or-later, because it builds on `cowprotocol`, which has this licence. The
//! rest of nexum has another licence. Only the binary's feature `cow` depends on this crate.
//!
//! # How data flows
//!
//! `[cow]` of `engine.toml` configures one [`Cow`] for the whole host. It has an order book for
//! each chain with a public one, and for each chain with a base URL in the configuration.
//! Order books on one host share an `Origin`, which limits, retries and measures their requests.
//!
//! - `cow-api.request` becomes a validated [`Call`], whose path cannot leave the chain's base URL.
//! - `cow-api.submit-order`: this crate reads the order, `cowprotocol` verifies its owner and computes
//!   its UID, and this crate posts the JSON as it is. nexum may post an order more than once: the
//!   order book identifies an order by its UID, and an existing order counts as submitted.
//!
//! # Errors that a guest sees
//!
//! The `domain` is `cow-api`. `code` is the HTTP status, or 0 without a response. With a status,
//! `data` is the body as received, for most failures `{"errorType":...,"description":...}`. The
//! crate `nexum-cow-errors` maps it to an action.
//!
//! | kind | when |
//! |---|---|
//! | `unsupported` | the configuration has no order book for the chain |
//! | `invalid-input` | this crate refuses the method, path or body; the bytes are not an order, or the signature is not its owner's; a status from 400 to 499 without its own row; a 5xx whose `errorType` says that a retry cannot succeed |
//! | `denied` | statuses 401 and 403; a response above [`RESPONSE_BYTES_MAX`] |
//! | `rate-limited` | status 429; no turn before the deadline of the event |
//! | `timeout` | no response in time; statuses 408 and 504 |
//! | `unavailable` | no connection, any other status, a malformed response |
//! | `internal` | a fault of this host, or an order book of another settlement contract |
//!
//! # Assumptions
//!
//! - Guests and order books are hostile: the crate bounds their data before it stores it.
//! - The URL of an order book is a secret beyond scheme and host: a private one may contain a key. The
//!   values of the operator's headers are secrets.
//! - A module has one host call in flight at a time. So the first-come, first-served queue of an
//!   origin gives each module its turn.
//!
//! # Invariants
//!
//! - No argument of a module sends a request outside the base URL of the named chain.
//! - An origin receives at most `requests_per_second` requests within any second of its own clock,
//!   provided that a request takes less than a second to arrive.
//! - The crate repeats a request that the server may have received only if it reads, is idempotent,
//!   or posts an order of `submit-order`.
//! - The crate marks the event as having an effect before it sends any request that is not known to
//!   be read-only.
//! - No log, error, metric or `Debug` of this crate contains more of a URL than scheme and host, or the
//!   value of a header.

/// Log targets of the libraries that this crate uses, as prefixes. They log whole requests with URL
/// and credentials, so the embedder must turn them off at every log level.
pub const SILENCED_LOG_TARGETS: &[&str] = &["h2", "hyper", "reqwest", "rustls", "tower"];

pub use base_url::{BaseUrl, BaseUrlError};
pub use call::{BODY_BYTES_MAX, Call};
pub use config::{
    ChainConfig, CowConfig, REQUEST_TIMEOUT_MS, REQUEST_TIMEOUT_MS_RANGE, REQUESTS_PER_SECOND,
    REQUESTS_PER_SECOND_RANGE,
};
pub use cow::Cow;
pub use error::{ErrorAnswer, RequestError, Retry};
pub use order_books::{Facts, OrderBooks};
pub use origin::{ATTEMPTS_MAX, PAUSE_MAX, RESPONSE_BYTES_MAX};
pub use path::{PATH_BYTES_MAX, PathError};
pub use submit::{ORDER_BYTES_MAX, Order};

pub mod metrics;

mod cow;
mod host;

mod call;
mod path;
mod route;

mod order_books;
mod public;
mod submit;

mod origin;

mod base_url;
mod config;
mod creation;
mod doubts;
mod error;

mod bindings;
