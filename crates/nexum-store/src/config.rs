//! `[store]` of `engine.toml`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::masked_path::MaskedPath;
use nexum_core::CommitPolicy;
use nexum_core::store::StateStore;
use serde::Deserialize;

use crate::backend::Backend;
use crate::directory;
use crate::error::OpenError;

/// What `cursor_flush_ms` may be: quicker is what an event with writes does anyway, and after a crash a minute's events are few
/// enough to handle again.
pub const CURSOR_FLUSH_MS_RANGE: RangeInclusive<u64> = 10..=60_000;

/// What `replay_commit_events` may be: one is a commit for each event, and what a crash takes back beyond 10,000 is more than
/// the commits cost.
pub const REPLAY_COMMIT_EVENTS_RANGE: RangeInclusive<u64> = 1..=10_000;

/// How much memory a back-end may use to read faster, unless the operator says otherwise: the whole state of a few modules, and
/// the index of many.
pub const CACHE_BYTES: u64 = 64 << 20;

/// What `cache_bytes` may be: less than a MiB does not hold one commit's pages, and more than a TiB is a slip of the pen.
pub const CACHE_BYTES_RANGE: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// Where the state is kept, and when it is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Default [`Backend::Redb`].
    pub backend: Backend,
    /// For [`Supervisor::commit_policy`](nexum_core::supervisor::Supervisor::commit_policy).
    pub policy: CommitPolicy,
    /// About how much memory the back-end may use to read faster. Default [`CACHE_BYTES`].
    pub cache_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    backend: Option<Backend>,
    cursor_flush_ms: Option<u64>,
    replay_commit_events: Option<u64>,
    cache_bytes: Option<u64>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            policy: CommitPolicy::default(),
            cache_bytes: narrow(CACHE_BYTES),
        }
    }
}

impl StoreConfig {
    /// What each number may be, by its key.
    pub const RANGES: [(&str, RangeInclusive<u64>); 3] = [
        ("cursor_flush_ms", CURSOR_FLUSH_MS_RANGE),
        ("replay_commit_events", REPLAY_COMMIT_EVENTS_RANGE),
        ("cache_bytes", CACHE_BYTES_RANGE),
    ];

    /// Validates the `[store]` table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; a back-end that this build lacks is.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_all::<Raw>(&mut errors);
        for (key, range) in &Self::RANGES {
            errors.extend(section.out_of_range(key, range));
        }
        if let Some(backend) = raw.as_ref().and_then(|raw| raw.backend)
            && !backend.is_built()
        {
            let error = section.error("backend", format!("this build lacks the back-end {backend}"));
            errors.push(match backend.feature_hint() {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        ConfigErrors::check(errors)?;
        let mut config = Self::default();
        if let Some(raw) = raw {
            set(&mut config.backend, raw.backend);
            set(
                &mut config.policy.cursor_flush,
                raw.cursor_flush_ms.map(Duration::from_millis),
            );
            set(
                &mut config.policy.replay_commit_events,
                raw.replay_commit_events.map(narrow),
            );
            set(&mut config.cache_bytes, raw.cache_bytes.map(narrow));
        }
        Ok(config)
    }

    /// Opens the state in a directory, which is made if it is missing, for its owner alone. `purpose` is told to others who
    /// try to open it meanwhile: a few words, as `nexum run`. Blocks on the disk; after a crash it may check the whole file.
    ///
    /// # Errors
    ///
    /// When somebody has it open, when another back-end or another version of this program wrote it, and when it cannot be
    /// read.
    pub fn open(&self, state_dir: &MaskedPath, purpose: &str) -> Result<Arc<dyn StateStore>, OpenError> {
        directory::open(self.backend, self.cache_bytes, state_dir, purpose).map_err(|error| error.masked(state_dir))
    }
}

/// Whether a directory holds state, of any back-end. A directory that is missing holds none.
///
/// # Errors
///
/// When the directory cannot be searched.
pub fn has_state(state_dir: &MaskedPath) -> Result<bool, OpenError> {
    directory::has_state(state_dir).map_err(|error| error.masked(state_dir))
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// More than a machine can address is no bound.
fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
