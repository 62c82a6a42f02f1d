//! The meaning of the errors of the CoW Protocol order book, for programs that submit orders.
//!
//! The order book gives the reason for a refusal as `errorType` in a JSON object. [`ERRORS`] is the
//! table of these types with the action ([`Class`]) and the reason for each. [`classify`] also uses
//! the HTTP status, for responses without a known `errorType`. [`classify_part`] says what a refusal
//! means for the conditional order that the refused order is a part of.
//!
//! The crate needs no host and no allocator. A guest can use it with the `errorType` in
//! `host-error.data` and the status in `host-error.code`:
//!
//! ```
//! use nexum_cow_errors::{Class, classify};
//!
//! assert_eq!(classify(400, Some("DuplicatedOrder")), Class::Accepted);
//! assert_eq!(classify(400, Some("QuoteNotFound")), Class::NextBlock);
//! assert!(matches!(classify(503, None), Class::BackOff(_)));
//! ```
//!
//! # Invariants
//!
//! - The table contains each `errorType` once.
//! - An error is [`Class::Accepted`] if and only if it says that the order already exists.
#![no_std]

mod class;
mod table;

pub use class::{Class, Conditional, WAIT_MAX};
pub use table::{ERRORS, Row, classify, classify_part, find};
