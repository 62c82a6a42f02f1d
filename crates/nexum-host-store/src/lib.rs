//! The `nexum:host/local-store` capability: the module's own keys and values.
//!
//! # How data flows
//!
//! A guest's calls go through [`LocalStore`] to the transaction of its event, the core's
//! [`EventScope`](nexum_core::capability::EventScope). A read sees the handler's own writes first,
//! then the committed state. When the handler returns ok, the core commits its writes together with
//! the event's cursor.
//!
//! `host.rs` serves modules of `nexum:host@0.2.0`. `trigger.rs` serves trigger modules of
//! `nexum:host@0.1.0`: it has further functions, and its errors are faults.
//!
//! The core commits to the store that the embedder chooses. The crate `nexum-store` has the durable
//! ones.
//!
//! # Errors that a guest sees
//!
//! The `domain` is `local-store`, `code` is 0 and `data` is absent.
//!
//! | kind | when |
//! |---|---|
//! | `invalid-input` | a key over [`KEY_BYTES_MAX`], a value over the module's `max_store_value_bytes`, a page over [`PAGE_ENTRIES_MAX`] or [`PAGE_SCAN_MAX`] |
//! | `denied` | the write would exceed the module's `max_state_bytes` or `max_state_keys`; the event may continue without it |
//!
//! nexum ends a handler that uses up `store_operations_per_event`, `store_bytes_written_per_event`
//! or `response_bytes_per_event`. It also ends a handler whose state cannot be read, and retries
//! the event when the store can be read.
//!
//! # Invariants
//!
//! - A module reads and writes only its own keys: no call names another module.
//! - Each answer is bounded: a value by the largest `store_value_bytes`, a list by
//!   `response_bytes_per_event`. A list is complete, or it ends the event.

mod bindings;
mod capability;
mod host;
mod trigger;

pub use capability::LocalStore;
pub use host::KEY_BYTES_MAX;
pub use trigger::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_SCAN_MAX};
