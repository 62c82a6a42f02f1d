//! `[store]` of `engine.toml`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Defaults, NumberRange, Section, toml_string};
use nexum_config::limits::saturating_usize;
use nexum_config::masked_path::MaskedPath;
use nexum_core::CommitPolicy;
use nexum_core::store::StateStore;
use serde::Deserialize;

use crate::backend::Backend;
use crate::cluster::{ClusterConfig, StoreOfNode};
use crate::database::{DurabilityWarning, KEYS, PostgresConfig, RawPostgres, RawTls};
use crate::directory;
use crate::error::{OpenError, PostgresError};

/// The range of `cursor_flush_ms`. A shorter time is no gain, because the commit of an event with
/// writes flushes the cursor anyway. After a crash, the events of a minute are few enough to handle
/// again.
pub const CURSOR_FLUSH_MS_RANGE: RangeInclusive<u64> = 10..=60_000;

/// The range of `replay_commit_events`. 1 makes a commit for each event. Above 10,000, a crash
/// loses more work than the commits cost.
pub const REPLAY_COMMIT_EVENTS_RANGE: RangeInclusive<u64> = 1..=10_000;

/// Default of `cache_bytes`, the memory for the back-end's cache: it holds the whole state of a few
/// modules, and the index of many.
pub const CACHE_BYTES: u64 = 64 << 20;

/// Default of `cache_bytes` with PostgreSQL, where each row in the cache saves a request.
const CACHE_BYTES_REMOTE: u64 = 256 << 20;

/// Default of `cursor_flush_ms` with PostgreSQL: a flush of the cursors of 10,000 modules takes the
/// database a quarter of a second.
const CURSOR_FLUSH_REMOTE: Duration = Duration::from_secs(10);

/// The range of `cache_bytes`. Less than a MiB does not hold the pages of one commit, and more than
/// a TiB is a typing error.
pub const CACHE_BYTES_RANGE: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// The validated `[store]` table: where the state is, and when it becomes durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The back-end. Default [`Backend::Redb`].
    pub backend: Backend,
    /// The policy for [`HostBuilder::commit_policy`](nexum_core::HostBuilder::commit_policy).
    pub policy: CommitPolicy,
    /// The approximate memory of the back-end's cache, in bytes. Default [`CACHE_BYTES`].
    pub cache_bytes: usize,
    /// The database of the back-end [`Backend::Postgres`].
    pub postgres: Option<PostgresConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    backend: Option<Backend>,
    cursor_flush_ms: Option<u64>,
    replay_commit_events: Option<u64>,
    cache_bytes: Option<u64>,
    url: Option<String>,
    password_file: Option<PathBuf>,
    schema: Option<String>,
    tls: Option<RawTls>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            policy: CommitPolicy::default(),
            cache_bytes: saturating_usize(CACHE_BYTES),
            postgres: None,
        }
    }
}

impl StoreConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 3] = [
        ("cursor_flush_ms", CURSOR_FLUSH_MS_RANGE),
        ("replay_commit_events", REPLAY_COMMIT_EVENTS_RANGE),
        ("cache_bytes", CACHE_BYTES_RANGE),
    ];

    /// The defaults of a back-end.
    fn of(backend: Backend) -> Self {
        let mut config = Self {
            backend,
            ..Self::default()
        };
        if backend == Backend::Postgres {
            config.cache_bytes = saturating_usize(CACHE_BYTES_REMOTE);
            config.policy.cursor_flush = CURSOR_FLUSH_REMOTE;
        }
        config
    }

    /// The keys with their default values for a back-end, by table.
    pub fn defaults(backend: Backend) -> Vec<(&'static str, Defaults)> {
        let Self {
            policy, cache_bytes, ..
        } = Self::of(backend);
        let backend = Backend::default();
        let keys = vec![
            ("backend", Some(toml_string(&backend.to_string()))),
            ("cursor_flush_ms", Some(policy.cursor_flush.as_millis().to_string())),
            ("replay_commit_events", Some(policy.replay_commit_events.to_string())),
            ("cache_bytes", Some(cache_bytes.to_string())),
            ("url", None),
            ("password_file", None),
            ("schema", None),
            ("tls", None),
        ];
        vec![("store", keys)]
    }

    /// Validates the `[store]` table.
    ///
    /// # Errors
    ///
    /// All errors in the table, and a back-end that this build lacks.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, &mut errors);
        if let Some(backend) = raw.as_ref().and_then(|raw| raw.backend)
            && !backend.is_built()
        {
            let error = section.error("backend", format!("this build lacks the back-end {backend}"));
            errors.push(match backend.feature_hint() {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        let mut config = Self::default();
        if let Some(raw) = raw {
            config = Self::of(raw.backend.unwrap_or_default());
            if config.backend == Backend::Postgres {
                let raw = RawPostgres {
                    url: raw.url,
                    password_file: raw.password_file,
                    schema: raw.schema,
                    tls: raw.tls,
                };
                config.postgres = PostgresConfig::from_raw(raw, section, &mut errors);
            } else {
                let foreign = KEYS.into_iter().filter(|key| section.keys().any(|found| found == *key));
                let error = |key| section.error(key, "only the back-end postgres has this key");
                errors.extend(foreign.map(error));
            }
            set(
                &mut config.policy.cursor_flush,
                raw.cursor_flush_ms.map(Duration::from_millis),
            );
            set(
                &mut config.policy.replay_commit_events,
                raw.replay_commit_events.map(saturating_usize),
            );
            set(&mut config.cache_bytes, raw.cache_bytes.map(saturating_usize));
        }
        ConfigErrors::check(errors)?;
        Ok(config)
    }

    /// Opens the state: in a directory, or in the database of the back-end. Creates a missing directory,
    /// with access for its owner only. `purpose` is a few words for other processes that try to open the
    /// state, such as `nexum run`. Blocks on the disk or the database; after a crash, a back-end may
    /// check the whole file.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if another process has the state open, if another back-end or version of nexum
    /// wrote it, or if it cannot be read.
    pub fn open(&self, state_dir: &MaskedPath, purpose: &str) -> Result<Arc<dyn StateStore>, OpenError> {
        if self.backend == Backend::Postgres {
            let open = OPEN_POSTGRES.ok_or(OpenError::NotBuilt(self.backend))?;
            let database = self.postgres.as_ref().ok_or(PostgresError::Url)?;
            return open(database, self.cache_bytes, purpose);
        }
        directory::open(self.backend, self.cache_bytes, state_dir, purpose).map_err(|error| error.masked(state_dir))
    }

    /// Opens the state as a node of an installation of several processes, which share the database of the
    /// back-end [`Backend::Postgres`]. The store refuses every write until the membership has joined. `purpose`
    /// is a few words for other processes, such as `nexum run`. Blocks on the database.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the back-end is another one, if the database is not usable, or if another version of
    /// nexum wrote the state.
    pub fn open_cluster(&self, cluster: &ClusterConfig, purpose: &str) -> Result<StoreOfNode, OpenError> {
        let open = OPEN_CLUSTER.ok_or(OpenError::NotBuilt(Backend::Postgres))?;
        let database = self.postgres.as_ref().ok_or(PostgresError::Url)?;
        open(database, self.cache_bytes, cluster, purpose)
    }

    /// Whether the database is reachable and has the tables, and its settings that can lose acknowledged
    /// commits. `None` if the back-end has no database. Call this in a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] if nexum could not open the state.
    pub async fn examine(&self) -> Option<Result<Vec<DurabilityWarning>, PostgresError>> {
        match (EXAMINE_POSTGRES, &self.postgres) {
            (Some(examine), Some(database)) => Some(examine(database).await),
            _ => None,
        }
    }

    /// Whether there may be state: in the directory, or in the database of the back-end.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn has_state(&self, state_dir: &MaskedPath) -> Result<bool, OpenError> {
        match self.backend {
            Backend::Postgres => Ok(true),
            _ => has_state(state_dir),
        }
    }
}

/// Opens the state in a database, with a cache of this many bytes for its rows.
type OpenPostgres = fn(&PostgresConfig, usize, &str) -> Result<Arc<dyn StateStore>, OpenError>;

/// Opens the state in a database as a node, with a cache of this many bytes for its rows.
type OpenCluster = fn(&PostgresConfig, usize, &ClusterConfig, &str) -> Result<StoreOfNode, OpenError>;

#[cfg(feature = "postgres")]
const OPEN_CLUSTER: Option<OpenCluster> = Some(crate::postgres::open_cluster);
#[cfg(not(feature = "postgres"))]
const OPEN_CLUSTER: Option<OpenCluster> = None;

#[cfg(feature = "postgres")]
const OPEN_POSTGRES: Option<OpenPostgres> = Some(crate::postgres::open);
#[cfg(not(feature = "postgres"))]
const OPEN_POSTGRES: Option<OpenPostgres> = None;

/// Looks at a database.
type ExaminePostgres = fn(&PostgresConfig) -> Examined<'_>;
type Examined<'a> = Pin<Box<dyn Future<Output = Result<Vec<DurabilityWarning>, PostgresError>> + Send + 'a>>;

#[cfg(feature = "postgres")]
const EXAMINE_POSTGRES: Option<ExaminePostgres> = Some(|config| Box::pin(crate::postgres::examine(config)));
#[cfg(not(feature = "postgres"))]
const EXAMINE_POSTGRES: Option<ExaminePostgres> = None;

/// Whether a directory contains state of any back-end. A missing directory contains none.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn has_state(state_dir: &MaskedPath) -> Result<bool, OpenError> {
    directory::has_state(state_dir).map_err(|error| error.masked(state_dir))
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
