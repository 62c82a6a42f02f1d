//! Runs sandboxed WebAssembly components ("modules") on the events of Ethereum chains.
//!
//! # The path of an event
//!
//! An [`EventSource`](bus::source::EventSource) appends a chain's blocks to the chain's
//! [`EventLog`](bus::log::EventLog). Each module has one task, its runner. The runner pulls the next
//! entry that the module subscribes to, calls the module's handler in a sandbox, and commits the
//! handler's changes together with the new cursor. A source never pushes into a module, so a slow
//! module delays no other one, and memory stays bounded.
//!
//! # Where to look
//!
//! | module | content |
//! |---|---|
//! | [`clock`], [`event`], [`metrics`] | time and entropy, the events of a chain, the metrics' names |
//! | [`engine`] | the WebAssembly engine: its pool, its time slices, the limits on memory |
//! | [`store`] | the port to the rows' storage, and the committer that combines commits in one transaction |
//! | [`state`] | the rows: the modules' state and cursors, and the undo records; an event's transaction |
//! | [`capability`] | the host functions that a module may call |
//! | [`module`] | a module, from its files to a running instance |
//! | [`bus`] | the logs between sources and runners |
//! | [`runner`] | one task for each module: its events, failures and commands |
//! | [`query`] | a pool of instances for each module that answers queries |
//! | [`supervisor`] | starts, changes and stops a run |
//!
//! A module of this table refers only to modules above it. `cargo xtask isolation` checks that there
//! is no cycle. The crate `nexum-config` reads the files of operators and module authors.
//!
//! # Assumptions
//!
//! - Guests, manifests, component files and all data that a source reads are hostile.
//! - A tokio runtime with time enabled drives all tasks. No code here blocks one of its threads.
//!
//! # Invariants
//!
//! - This crate names no concrete capability, speaks no JSON-RPC and opens no database.
//! - No guest code runs before its module has passed every check of the [`module::loader`].
//! - A linker has only the interfaces that its module was granted.
//! - A cursor moves only after the handler's changes have been committed, or if there are none.
//! - nexum never calls an instance again after its event was rolled back or reverted.

pub mod bindings;
pub mod bus;
pub mod capability;
pub mod clock;
pub mod engine;
pub mod event;
pub mod metrics;
pub mod module;
pub mod query;
mod rate;
pub mod runner;
pub mod state;
pub mod store;
pub mod supervisor;

/// Any error that can cross a thread, for ports and capabilities without a more specific type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
