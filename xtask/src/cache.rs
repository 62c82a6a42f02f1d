//! The project's part of the user's cache, which outlives a clone of the project. It has tools and compiled crates.

pub(crate) mod builds;

use std::path::{Path, PathBuf};

use anyhow::Result;
use nexum_build::cache::Cache;

use crate::{paths, process::Steps};

/// The user's cache. If the user cannot write there, the cache is in the work tree.
pub(crate) fn cache() -> Result<Cache> {
    Ok(Cache::of_user().or_else(|_| Cache::at(&paths::root().join("target/cache")))?)
}

/// The directory `name` of the tools in the cache. If it is absent, `make` fills an empty directory.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    cache()?.once(name, &Steps, make)
}
