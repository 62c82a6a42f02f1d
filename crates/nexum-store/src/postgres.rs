//! The store on [PostgreSQL](https://www.postgresql.org) 15 or newer: one table of rows, which this
//! process writes alone.
//!
//! # How data flows
//!
//! A write is one statement, the function `nexum_write`: the server checks the fence, changes the rows
//! and commits, in one round trip. Views read through two shared connections. A frozen view has a
//! transaction on a connection of its own.
//!
//! The connections live on a thread of the store, so that a caller needs no runtime. A caller on a
//! blocking thread waits there, and a host function awaits an answer. Each wait has an end: the server
//! ends a slow statement, and the store gives up soon after.
//!
//! # Invariants
//!
//! - A write has no effect after another process, or a newer connection of this one, has begun to
//!   write: the beginning changes the epoch in the fence row, and waits for the write in progress.
//! - After a failed write, no read returns before the store knows whether the write happened.

pub(crate) mod cluster;
mod connect;
mod examine;
mod locks;
mod page;
mod pool;
mod schema;
mod tls;
mod view;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexum_core::state::RowCache;
use nexum_core::store::{Answer, Batch, Location, StateStore, StoreError, View, wait};
use nexum_core::{BoxError, state};
use tokio::runtime::{Builder, Handle, Runtime};

pub use self::cluster::open_cluster;
pub use self::examine::examine;
pub use self::schema::{Initialised, init};

use self::cluster::Grant;
use self::connect::Connector;
use self::pool::{FrozenPool, Readers};
use self::view::PostgresView;
use self::writer::{Changes, Writer};
use crate::database::PostgresConfig;
use crate::error::{OpenError, PostgresError};

/// How much longer the store waits than the server works on a statement: the time of the answer on a
/// slow network.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
    /// The right to act as a node of an installation. `None` without one: the process is alone.
    grant: Option<Arc<Grant>>,
    /// `None` after the drop.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    handle: Handle,
    writer: tokio::sync::Mutex<Writer>,
    /// Whether a write has failed, and may still happen.
    is_unsettled: AtomicBool,
    readers: Readers,
    frozen: Arc<FrozenPool>,
}

/// Opens the state in a database, with a cache of this many bytes for its rows.
pub(crate) fn open(
    config: &PostgresConfig,
    cache_bytes: usize,
    purpose: &str,
) -> Result<Arc<dyn StateStore>, OpenError> {
    let store = Arc::new(PostgresStore::open(config, purpose)?);
    state::open(&*store).map_err(|source| OpenError::State {
        path: PathBuf::from(store.shared.connector.database()),
        source,
    })?;
    Ok(Arc::new(RowCache::new(store, cache_bytes)))
}

impl PostgresStore {
    /// Opens the state. `purpose` is a few words for other processes that try to open it, such as
    /// `nexum run`. Waits for the database, for a bounded time.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] if the database is not usable, or another process uses the state.
    pub fn open(config: &PostgresConfig, purpose: &str) -> Result<Self, PostgresError> {
        Self::with(config, purpose, None)
    }

    /// Opens a store that writes by this right, or as the only process without one.
    fn with(config: &PostgresConfig, purpose: &str, grant: Option<Arc<Grant>>) -> Result<Self, PostgresError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("nexum-postgres")
            .enable_all()
            .build()
            .map_err(PostgresError::Runtime)?;
        let handle = runtime.handle().clone();
        let connector = Connector::new(config, purpose, handle.clone())?;
        let opening = connector.clone();
        let its_grant = grant.clone();
        let opened = wait(handle.spawn(async move {
            match its_grant {
                None => Writer::open(&opening).await,
                Some(grant) => {
                    cluster::check_tables(&opening).await?;
                    Ok(Writer::of_node(grant))
                }
            }
        }));
        let writer = opened.unwrap_or_else(|panic| Err(connector.request(panic)))?;
        let shared = Arc::new(Shared {
            readers: Readers::default(),
            frozen: Arc::default(),
            writer: tokio::sync::Mutex::new(writer),
            is_unsettled: AtomicBool::new(false),
            connector,
            handle,
        });
        Ok(Self {
            shared,
            grant,
            runtime: Some(runtime),
        })
    }
}

impl Shared {
    /// Does work on the store's thread. The work has to end in bounded time.
    fn ask<T, F>(&self, work: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let task = self.handle.spawn(work);
        Box::pin(async move { task.await.unwrap_or_else(|ended| Err(StoreError::backend(ended))) })
    }

    /// Makes sure that no failed write happens later.
    async fn settle(&self) -> Result<(), StoreError> {
        if !self.is_unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut writer = self.writer.lock().await;
        if writer.is_current() {
            writer.reopen(&self.connector).await?;
        }
        self.is_unsettled.store(false, Ordering::Release);
        Ok(())
    }

    async fn write(&self, changes: Changes) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let written = writer.write(&self.connector, &changes).await;
        let is_unsettled =
            matches!(&written, Err(error) if !matches!(error, StoreError::Fenced { .. } | StoreError::Conflict));
        self.is_unsettled.store(is_unsettled, Ordering::Release);
        written
    }

    fn freeze(self: &Arc<Self>) -> BoxFuture<'static, Result<Box<dyn View>, StoreError>> {
        let shared = self.clone();
        self.ask(async move {
            shared.settle().await?;
            let frozen = FrozenPool::take(&shared.frozen, &shared.connector).await?;
            Ok(Box::new(PostgresView::frozen(shared, frozen)) as Box<dyn View>)
        })
    }
}

impl StateStore for PostgresStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(PostgresView::current(self.shared.clone())))
    }

    fn frozen(&self) -> Result<Box<dyn View>, StoreError> {
        wait(self.shared.freeze())
    }

    fn frozen_async(&self) -> Answer<'_, Box<dyn View>> {
        Answer::Right(self.shared.freeze())
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let changes = Changes::of(batch);
        if changes.is_empty() {
            return Ok(());
        }
        let shared = self.shared.clone();
        wait(self.shared.ask(async move { shared.write(changes).await }))
    }

    fn is_shared(&self) -> bool {
        self.grant.is_some()
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.grant.as_ref().map_or(Ok(()), |grant| grant.check())
    }

    fn location(&self) -> Option<Location> {
        Some(Location {
            path: PathBuf::from(self.shared.connector.database()),
            free_bytes: None,
        })
    }
}

impl Drop for PostgresStore {
    /// Closes all connections, without waiting for their ends.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A failed request as the error of the port.
fn failed(error: PostgresError) -> StoreError {
    StoreError::Backend(BoxError::from(error))
}
