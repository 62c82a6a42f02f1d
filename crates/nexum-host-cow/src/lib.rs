//! The CoW Protocol order book for modules: the `shepherd:cow/cow-api` capability.
//!
//! This crate is GPL-3.0-or-later, as `cowprotocol` is, on which it builds. The rest of nexum is not, and does not depend on it
//! but for the binary's feature `cow`.
//!
//! # How data flows
//!
//! [`Cow`] is made once from `[cow]` of `engine.toml`. It has an order book for each chain that `cowprotocol` knows, and for each
//! that the operator gave a base URL. Those on one host share an `Origin`, which limits, retries and measures what goes
//! out to it.
//!
//! `cow-api.request` is checked into a [`Call`], whose path cannot leave the chain's base URL, and sent. `cow-api.submit-order` is
//! parsed by `cowprotocol`, its owner is verified and its UID computed; then it is posted by `cowprotocol` through our transport.
//! Orders may be posted more than once: the order book knows an order by its UID, and one that is there already counts as
//! submitted.
//!
//! # What a guest sees of a failure
//!
//! The `domain` is `cow-api`. `code` is the HTTP status where there was one, else 0. With a status, `data` is the body as it came:
//! for most failures `{"errorType":...,"description":...}`, whose meaning is in the crate `nexum-cow-errors`.
//!
//! | kind | when |
//! |---|---|
//! | `unsupported` | the chain has no order book here |
//! | `invalid-input` | a method, path or body that is refused here; bytes that are no order, or not one of its owner; statuses 400 to 499 without a row of their own; a 5xx whose `errorType` says that it will not pass |
//! | `denied` | statuses 401 and 403; an answer over [`RESPONSE_BYTES_MAX`] |
//! | `rate-limited` | status 429; no turn before the end of the event |
//! | `timeout` | no answer in time; statuses 408 and 504 |
//! | `unavailable` | no connection, any other status, an answer that makes no sense |
//! | `internal` | a fault of this host |
//!
//! # Assumptions
//!
//! - Guests and order books are hostile: what they send is bounded before it is held.
//! - The address of an order book is a secret beyond scheme and host: a private one may have a key in it.
//! - A module has one host call in flight at a time. So the queue for an origin, which is first come, first served, gives each
//!   module its turn.
//!
//! # Invariants
//!
//! - Nothing that a module says makes a request go anywhere but below the base URL of the chain that it names.
//! - What is sent to an origin within any second is at most `requests_per_second`, by the origin's own clock, as long as a request
//!   takes less than a second to get there.
//! - What may have been received is sent again only if that does no harm: it reads, it is idempotent, or it is an order that
//!   `submit-order` posts.
//! - An event is marked as having an effect before anything is sent for it that is not known to read only.
//! - No log, error, metric or `Debug` of this crate holds more of an address than scheme and host.

/// Log targets of the libraries below, as prefixes, which whoever sets up logging must turn off whatever level an operator asks
/// for: they show whole requests, address and credentials included.
pub const SILENCED_LOG_TARGETS: &[&str] = &["h2", "hyper", "reqwest", "rustls", "tower"];

pub use base_url::{BaseUrl, BaseUrlError};
pub use call::{BODY_BYTES_MAX, Call};
pub use config::{
    CowConfig, REQUEST_TIMEOUT_MS, REQUEST_TIMEOUT_MS_RANGE, REQUESTS_PER_SECOND, REQUESTS_PER_SECOND_RANGE,
};
pub use cow::Cow;
pub use error::{ErrorAnswer, RequestError, Retry};
pub use order_books::OrderBooks;
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
mod submit;

mod origin;

mod base_url;
mod config;
mod error;

mod bindings;
