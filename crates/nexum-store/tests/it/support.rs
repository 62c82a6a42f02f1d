//! Helpers of the tests.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_core::store::{Batch, MemoryStore, StateStore, View};
use nexum_store::{Backend, PostgresConfig, StoreConfig, init};
use nexum_testing::Postgres;
use tempfile::TempDir;

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Every row.
pub(crate) const ALL: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);

/// A state directory, or a schema of a database, for one test.
pub(crate) struct Fixture {
    config: StoreConfig,
    directory: TempDir,
    /// Exists as long as the process.
    memory: Arc<MemoryStore>,
}

impl Fixture {
    pub(crate) fn new(backend: Backend) -> Self {
        Self::of(config(backend))
    }

    /// A new schema with the tables.
    pub(crate) fn in_database(server: &Postgres) -> Self {
        let database = database(server);
        wait_for(init(&database)).unwrap();
        let mut config = config(Backend::Postgres);
        config.postgres = Some(database);
        Self::of(config)
    }

    fn of(config: StoreConfig) -> Self {
        Self {
            config,
            directory: tempfile::tempdir().unwrap(),
            memory: Arc::default(),
        }
    }

    /// The settings of the database.
    pub(crate) fn database(&self) -> &PostgresConfig {
        self.config.postgres.as_ref().unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Opens the store, also again after it is dropped.
    pub(crate) fn open(&self) -> Arc<dyn StateStore> {
        match self.config.backend {
            Backend::Memory => self.memory.clone(),
            _ => self.config.open(&self.path().into(), "a test").unwrap(),
        }
    }
}

pub(crate) fn open(backend: Backend, path: &Path) -> Arc<dyn StateStore> {
    config(backend).open(&path.into(), "a test").unwrap()
}

pub(crate) fn config(backend: Backend) -> StoreConfig {
    let mut config = StoreConfig::default();
    config.backend = backend;
    config
}

/// The settings of a new schema.
pub(crate) fn database(server: &Postgres) -> PostgresConfig {
    let mut config = PostgresConfig::new(server.url());
    config.password_file = Some(server.password_file().into());
    config.schema = server.new_schema();
    config
}

/// Runs a future that needs a runtime.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// A batch that sets keys.
pub(crate) fn set<K: AsRef<[u8]>, V: AsRef<[u8]>>(rows: impl IntoIterator<Item = (K, V)>) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in rows {
        batch.set(key.as_ref().to_vec(), value.as_ref().to_vec());
    }
    batch
}

/// A batch that removes keys.
pub(crate) fn remove<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Batch {
    let mut batch = Batch::default();
    keys.into_iter().for_each(|key| batch.remove(key.as_ref().to_vec()));
    batch
}

/// The rows between two bounds, without the row of the format.
pub(crate) fn scan(view: &dyn View, range: (Bound<&[u8]>, Bound<&[u8]>)) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        if key != FORMAT {
            rows.push((key.to_vec(), value.to_vec()));
        }
        ControlFlow::Continue(())
    };
    view.scan(range, &mut visit).unwrap();
    rows
}

/// The key of the row with the format of the other rows.
pub(crate) const FORMAT: &[u8] = b"f";

pub(crate) fn rows(view: &dyn View) -> Rows {
    scan(view, ALL).into_iter().collect()
}
