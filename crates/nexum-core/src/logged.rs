//! The targets of log records, and the names of those records that programs recognise.
//!
//! A name is part of the metadata of a record (`tracing::Metadata::name`). The texts of records can
//! change, their names do not. `nexum events` of the binary shows the named records.

/// The target of records about events, their attempts, and the stages of modules.
pub const EVENT: &str = "nexum::event";

/// The target of the records that modules write.
pub const MODULE: &str = "nexum::module";

/// The target of records about the stages of modules.
pub const STAGE: &str = "nexum::stage";

/// A module has handled an event: `module`, `event`, `chain`, `block`, `took_us`, `fuel`.
pub const HANDLED: &str = "handled";

/// An attempt at an event or at `init` failed: `module`, `event`, `chain`, `block`, `attempt`,
/// `attempts_max`.
pub const FAILED: &str = "failed";

/// An event used up its attempts: `module`, `event`, `chain`, `block`, `attempts`.
pub const DEAD_LETTER: &str = "dead_letter";

/// A reorganisation reverted events: `module`, `chain`, and in `block` the last block that remains.
pub const REVERTED: &str = "reverted";

/// A module has entered a stage: `module`, `stage`, `reason`.
pub const STAGE_CHANGED: &str = "stage";
