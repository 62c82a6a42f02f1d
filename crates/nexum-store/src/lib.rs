//! Durable back-ends of the core's [`StateStore`](nexum_core::store::StateStore), with exports,
//! imports and backups of the state.
//!
//! # How data flows
//!
//! The core commits to the store that the embedder chooses. [`StoreConfig::open`] opens it: redb, sled
//! or fjall in a state directory (the features `redb`, `sled` and `fjall`), PostgreSQL (the feature
//! `postgres`), or memory. The store contains the cursors of all modules, and the values that modules write through the crate `nexum-host-store`.
//! A program without that capability still needs a durable back-end for the cursors.
//!
//! # Invariants
//!
//! - A batch that a durable back-end has acknowledged survives a crash. No batch survives in part.
//! - A back-end that failed reopens its database by itself, as soon as possible.
//! - A state directory has one open process, one back-end and one format of rows. A schema of a
//!   database has one writing process, or the nodes of one installation: [`cluster`].

mod config;
mod database;
mod error;
mod node_config;

mod backend;
mod directory;
#[cfg(any(feature = "fjall", feature = "redb", feature = "sled"))]
mod location;
mod lock;

#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
#[cfg(any(feature = "fjall", feature = "redb", feature = "sled"))]
mod reopening;
#[cfg(feature = "sled")]
mod sled;

#[cfg(feature = "redb")]
mod backup;
#[cfg(feature = "redb")]
mod restore;
mod transfer;

#[cfg(feature = "fjall")]
pub use self::fjall::FjallStore;
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "sled")]
pub use self::sled::SledStore;
pub use backend::Backend;
#[cfg(feature = "redb")]
pub use backup::{BackupError, backup};
pub use config::{
    CACHE_BYTES, CACHE_BYTES_RANGE, CURSOR_FLUSH_MS_RANGE, REPLAY_COMMIT_EVENTS_RANGE, StoreConfig, has_state,
};
pub use database::{DurabilityWarning, PostgresConfig, SCHEMA, TlsMode};
pub use error::{Holder, OpenError, PostgresError};
pub use node_config::StoreOfNode;
#[cfg(feature = "postgres")]
pub use postgres::{Initialised, PostgresStore, examine, init, open_cluster};
#[cfg(feature = "redb")]
pub use restore::{Commands, REPLACED, RestoreError, Restored, restore};
pub use transfer::{
    ExportError, Imported, LINE_BYTES_MAX, TRANSFER_FORMAT, TransferError, export, export_accounts, import,
};

/// The content of fjall's journals, which nexum reads before fjall does.
#[cfg(feature = "fjall")]
pub mod journal {
    pub use crate::fjall::journal::{Journal, Rest};
}

/// One installation of several processes that share a PostgreSQL database: the keys of `[cluster]`, and the
/// operator's view.
pub mod cluster {
    pub use crate::node_config::{
        ClusterConfig, LEASE_TTL_MS_RANGE, NODE_BYTES_MAX, REBALANCE_AFTER_MS_RANGE, WEIGHT_RANGE,
    };
    #[cfg(feature = "postgres")]
    pub use crate::postgres::cluster::{
        ClusterStatus, GroupStatus, HistoryEntry, NodeStatus, describe_metrics, drain, history, move_group, status,
    };
}
