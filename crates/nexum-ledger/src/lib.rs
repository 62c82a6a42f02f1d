//! The event ledger on a disk: what happened to each event, for `nexum explain`.
//!
//! # How data flows
//!
//! Runners push entries into the buffer of a [`Ledger`](nexum_core::ledger::Ledger). A [`Keeper`] is a task
//! beside the modules: it takes them out four times a second, and appends them to the folder of the ledger.
//! A [`Reader`] reads the folder, also that of a running daemon. An [`Observer`] sees the entries too; where
//! the operator wants no folder, a [`Watch`] takes them for it.
//!
//! # The folder
//!
//! A folder has segments. Each is a header and *frames*. A frame is a short head, which says which modules
//! and blocks the frame is about, and compressed rows. The newest segment has a frame for each write. When
//! it is full, the writer replaces it by a sealed segment with the same rows in few large frames, which
//! take a fraction of the space. The oldest segments are removed by age and size.
//!
//! # Invariants
//!
//! - A fault of the folder disturbs no event: it costs entries of the ledger, which are counted.
//! - A crash of the process loses what the last quarter of a second brought, and nothing else. Nothing
//!   calls `fsync` while an event waits; a crash of the machine may lose more of the ledger.
//! - The reader takes any bytes: a frame that is torn or damaged is left out, within bounded memory.

mod error;
mod files;
mod frame;
mod keeper;
mod observer;
mod reader;
mod writer;

pub use self::error::LedgerError;
pub use self::frame::{Row, decode, encode};
pub use self::keeper::{Handle, Keeper, Trouble};
pub use self::observer::{Observer, Watch};
pub use self::reader::{Extent, Filter, Forward, Reader};
pub use self::writer::{Keep, Writer};
