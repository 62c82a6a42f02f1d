//! State for modules: the `nexum:host/local-store` capability, and durable back-ends of the core's
//! [`StateStore`](nexum_core::store::StateStore).
//!
//! # How data flows
//!
//! A guest's calls go through [`LocalStore`] to its event's transaction, the core's
//! [`EventScope`](nexum_core::state::scope::EventScope): reads see what the handler wrote before, and then what was committed. When the
//! handler returns ok, the core commits what it wrote with the cursor of its event.
//!
//! The core commits to the store that the program gives it, which [`StoreConfig::open`] opens: redb or sled in a state
//! directory (the features `redb` and `sled`), or memory.
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
//! - What a durable back-end has acknowledged is there after a crash, and a batch is there whole or not at all.
//! - A back-end that has failed opens its database anew by itself, as soon as that can be done.
//! - A state directory has one open process, one back-end and one format of rows.

mod backend;
#[cfg(feature = "redb")]
mod backup;
mod bindings;
mod capability;
mod config;
mod error;
mod host;
mod transfer;

pub use backend::Backend;
#[cfg(feature = "redb")]
pub use backend::RedbStore;
#[cfg(feature = "sled")]
pub use backend::SledStore;
#[cfg(feature = "redb")]
pub use backup::{BackupError, backup};
pub use capability::LocalStore;
pub use config::{CACHE_BYTES, CACHE_BYTES_RANGE, CURSOR_FLUSH_MS_RANGE, REPLAY_COMMIT_EVENTS_RANGE, StoreConfig};
pub use error::{Holder, OpenError};
pub use host::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
pub use transfer::{ExportError, LINE_BYTES_MAX, TRANSFER_FORMAT, TransferError, export, import};
