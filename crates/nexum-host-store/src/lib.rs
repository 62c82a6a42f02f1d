//! The `nexum:host/local-store` capability: the module's own keys and values.
//!
//! # How data flows
//!
//! A guest's calls go through [`LocalStore`] to its event's transaction, the core's
//! [`EventScope`](nexum_core::capability::EventScope): reads see what the handler wrote before, and then what was committed. When the
//! handler returns ok, the core commits what it wrote with the cursor of its event.
//!
//! The core commits to the store that the program gives it. The crate `nexum-store` has the durable ones.
//!
//! # What a guest sees of a failure
//!
//! The `domain` is `local-store`, `code` is 0 and there is no `data`.
//!
//! | kind | when |
//! |---|---|
//! | `invalid-input` | a key over [`KEY_BYTES_MAX`], a value over [`VALUE_BYTES_MAX`] |
//! | `denied` | the module would keep more than `max_state_bytes`; the event may go on, without that write |
//!
//! A handler that uses up `store_operations_per_event`, `store_bytes_written_per_event` or `response_bytes_per_event` ends. So
//! does one whose state cannot be read: nexum calls it again when the state can be read.
//!
//! # Invariants
//!
//! - A module reads and writes its own keys alone: no call names another module.
//! - What one call answers is bounded: a value by [`VALUE_BYTES_MAX`], a list by `response_bytes_per_event`. A list is whole, or it
//!   ends the event.

mod bindings;
mod capability;
mod host;

pub use capability::LocalStore;
pub use host::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
