//! What the errors of the CoW Protocol order book mean for whoever submits orders.
//!
//! The order book says why it refuses with an `errorType`, a word in a JSON object. [`ERRORS`] is the one table of these words:
//! for each, what to do about it ([`Class`]), and why. [`classify`] takes the status into account too, for answers without a
//! word, or with one that is not known here.
//!
//! It needs neither a host nor an allocator, so that a guest can use it for what it finds in `host-error.data`, with the status
//! from `host-error.code`:
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
//! - A word is in the table once.
//! - What says that an order is already there is [`Class::Accepted`], and nothing else is.
#![no_std]

mod class;
mod table;

pub use class::Class;
pub use table::{ERRORS, Row, classify, find};
