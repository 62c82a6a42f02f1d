//! Signatures for modules: the capability of `nexum:host/identity`, and the methods of `chain.request` that need an
//! account.
//!
//! # How data flows
//!
//! 1. [`Identity`] has the [`Accounts`](nexum_accounts::Accounts) of the operator.
//! 2. `sign` and `sign-typed-data` find the grant of the module for the account. Without one, the call
//!    returns `denied` before anything is decoded.
//! 3. The grant checks the decoded message or typed data.
//! 4. The account signs, and the crate logs and counts the signature or the refusal.
//!
//! [`Identity::chain_methods`] gives a host the methods `eth_accounts`, `personal_sign` and `eth_signTypedData_v4` for
//! the capability `chain`. They take the way above.
//!
//! # Errors that a guest sees
//!
//! The `domain` is `identity`, `code` is 0 and `data` is absent.
//!
//! | kind | when |
//! |---|---|
//! | `denied` | the operator does not give the account to the module; no rule allows the message or the data; a query |
//! | `invalid-input` | an account that has no 20 bytes; parameters of a method in another form; typed data that is malformed or exceeds a bound |
//! | `timeout` | the signer, or the decryption of the keystore, did not end in time |
//! | `unavailable` | the keystore cannot be opened; the signer is unreachable, or its answer is wrong |
//!
//! # Invariants
//!
//! - Each signature and each refusal is one log record with module, event, account, kind, digest and
//!   rule.
//! - No log, error, metric or `Debug` contains a key, a password, or the content of a message.
//! - Nothing is counted across events: `signatures_per_event` bounds one event, and a restart gives
//!   nothing back.

/// Log targets of the libraries that this crate uses, as prefixes. They log whole requests, so the
/// embedder must turn them off at every log level.
pub use nexum_accounts::SILENCED_LOG_TARGETS;

pub use error::IdentityError;
pub use identity::{Identity, IdentityState};

pub mod metrics;

mod host;
mod identity;
mod methods;
mod sign;

mod error;

mod bindings;
