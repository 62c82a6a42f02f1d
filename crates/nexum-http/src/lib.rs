//! What host crates share of HTTP, and of waiting for a far side that is not well.
//!
//! The far side is hostile: a body is bounded while it is read ([`read_bounded`]), and no error here shows a URL, though those of
//! the library below do ([`io_cause`] takes out of them what may be told).

mod backoff;
mod cause;
mod response;

pub use backoff::{Backoff, WAIT_MAX, wait};
pub use cause::{CAUSES_MAX, causes, io_cause};
pub use response::{ReadError, read_bounded, retry_after};
