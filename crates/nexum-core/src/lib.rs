//! Runs sandboxed WebAssembly components ("modules") on the events of Ethereum chains.
//!
//! A [`HostBuilder`] takes capabilities, chains, a store and modules; [`Host::run`] runs them:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexum_core::{Host, MemoryStore, ModuleConfig};
//! use nexum_host_store::LocalStore;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("noop.wasm");
//! # std::fs::copy(nexum_testing::guests::component("noop"), &path)?;
//! # let manifest = "[[subscription]]\nkind = \"cron\"\nschedule = \"* * * * * *\"\n";
//! # std::fs::write(directory.path().join("nexum.toml"), manifest)?;
//! let host = Host::builder()
//!     .with(LocalStore)
//!     .store(Arc::new(MemoryStore::new()))
//!     .module(ModuleConfig::new(path))
//!     .build()
//!     .await?;
//! let status = host.handle().module(&"noop".parse()?)?;
//! let one_event = async {
//!     loop {
//!         let changed = status.changed();
//!         if status.handled() > 0 {
//!             break;
//!         }
//!         changed.await;
//!     }
//! };
//! let report = host.run(one_event).await?;
//! assert!(!report.failed());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed` adds the chains of `nexum-host-chain`, and a capability of its own.
//!
//! # The path of an event
//!
//! An [`EventSource`](source::EventSource) appends a chain's blocks to the chain's [`EventLog`](source::EventLog). Each
//! module has one task, its runner. The runner pulls the next entry that the module subscribes to,
//! calls the module's handler in a sandbox, and commits the handler's changes together with the new
//! cursor. A source never pushes into a module, so a slow module delays no other one, and memory
//! stays bounded.
//!
//! # Where to look
//!
//! A program that embeds nexum needs the names at the root of this crate, and `nexum-config` for the
//! files of operators and module authors. The public modules are for other programs:
//!
//! | module | for |
//! |---|---|
//! | [`capability`], [`bindings`] | authors of a [`Capability`](capability::Capability) |
//! | [`source`] | authors of an [`EventSource`](source::EventSource) |
//! | [`store`] | authors of a [`StateStore`] |
//! | [`membership`] | authors of a [`Membership`](membership::Membership) in an installation of several processes |
//! | [`service`] | authors of a [`Service`](service::Service), a task beside the modules |
//! | [`state`] | tools that read and repair the state of modules |
//! | [`engine`] | crates that run guests of another kind |
//! | [`trial`] | programs that run a module on past blocks, without consequences |
//! | [`module`], [`supervisor`] | programs that load and run modules step by step, tests and benchmarks |
//! | [`ledger`] | programs that keep a record of each event, for `nexum explain` |
//! | [`clock`], [`metrics`] | tests with a time of their own, and programs that export metrics |
//!
//! # How the code is layered
//!
//! | module | content |
//! |---|---|
//! | `clock`, `event`, `metrics`, `reason`, `windows` | time and entropy, the events of a chain, the metrics' names, the reasons of states, values of recent time |
//! | `membership` | the port to an installation of several processes: which modules this one runs |
//! | `engine` | the WebAssembly engine: its pool, its time slices, the limits on memory |
//! | `store` | the port to the rows' storage, and the committer that combines commits in one transaction |
//! | `service` | the port to tasks beside the modules |
//! | `state` | the rows: the modules' state and cursors, and the undo records; an event's transaction |
//! | `capability` | the host functions that a module may call |
//! | `module` | a module, from its files to a running instance |
//! | `ledger` | what happened to each event: entries, and the bounded buffer that runners fill |
//! | `bus` | the logs between sources and runners |
//! | `runner` | one task for each module: its events, failures and commands |
//! | `query` | a pool of instances for each module that answers queries |
//! | `trial` | a module on past blocks, without consequences |
//! | `supervisor` | starts, changes and stops a run |
//! | `host` | everything from one builder |
//!
//! A module of this table refers only to modules above it. `cargo xtask isolation` checks that there
//! is no cycle.
//!
//! # Assumptions
//!
//! - Guests, manifests, component files and all data that a source reads are hostile.
//! - A tokio runtime with time enabled drives all tasks. No code here blocks one of its threads.
//!
//! # Invariants
//!
//! - This crate names no concrete capability, speaks no JSON-RPC and opens no database.
//! - No guest code runs before its module has passed every check of the [`Loader`](module::Loader). The
//!   last check calls `list-functions` in a sandbox.
//! - A linker has only the interfaces that its module was granted.
//! - A cursor moves only after the handler's changes have been committed, or if there are none.
//! - nexum never calls an instance again after its event was rolled back or reverted.

pub mod bindings;
mod bus;
pub mod capability;
pub mod clock;
pub mod engine;
mod event;
mod host;
pub mod ledger;
pub mod logged;
pub mod membership;
pub mod metrics;
pub mod module;
mod outage;
mod query;
mod rate;
mod reason;
mod runner;
pub mod service;
pub mod state;
pub mod store;
pub mod supervisor;
pub mod trial;
mod windows;

/// Sources of chains, and the events that they make of blocks. For authors of an
/// [`EventSource`](source::EventSource).
pub mod source {
    pub use crate::bus::log::{EventLog, LogEntry, Origin, ReadResult, Resume, Routed, Subscriber};
    pub use crate::bus::report::{
        Budget, EndpointReport, EndpointState, FollowingReport, HeadReport, LastError, Latency, ModuleRequests,
        SourceReport, Trouble,
    };
    pub use crate::bus::source::{ChainLogs, EventSource, Replay, Replayed, SourceError, SubscribedLogs};
    pub use crate::event::{Advance, BlockHash, Event, EventId, EventKind, Log, Position};
    pub use crate::outage::{Extent, Outage};
}

pub use nexum_config;
pub use nexum_config::engine::ModuleConfig;
pub use wasmtime;

pub use bindings::functions::nexum::functions::context::Caller;
pub use capability::stdio::Capture;
pub use host::{
    AbsentModule, BuildError, Change, ChangeError, Difference, Extension, Host, HostBuilder, HostHandle, Inspection,
    Lasts, LoadingModule, ModuleEntry, Operator, Prepared,
};
pub use ledger::Ledger;
pub use module::error::LoadError;
pub use module::load_errors::{LoadErrors, ModuleError};
pub use module::loader::LoaderSettings;
pub use query::{Invocation, QueryError, QueryPool, Suspension};
pub use reason::Reason;
pub use runner::{
    ChainPosition, CommandError, Condition, EventMatch, FailureRecord, ModuleReport, ModuleStatus, Replaying,
    SchedulePosition, Stage, SubscriptionMatch, Success, TopicPosition,
};
pub use store::committer::CommitPolicy;
pub use store::{MemoryStore, StateStore};
pub use supervisor::Report;

/// Any error that can cross a thread, for ports and capabilities without a more specific type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
