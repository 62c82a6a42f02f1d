//! The project's part of the user's cache, which outlives a clone of the project. It has tools and compiled crates.

pub(crate) mod builds;

use std::path::{Path, PathBuf};

use anyhow::Result;
use nexum_build::cache::Cache;
use sha2::{Digest, Sha256};

use crate::{paths, process::Steps};

/// The number of hexadecimal digits of a digest in a directory's name. They tell the versions of one
/// clone apart.
const DIGITS: usize = 16;

/// The user's cache. If the user cannot write there, the cache is in the work tree.
pub(crate) fn cache() -> Result<Cache> {
    Ok(Cache::of_user().or_else(|_| Cache::at(&paths::root().join("target/cache")))?)
}

/// The directory `name` of the tools in the cache. If it is absent, `make` fills an empty directory.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    cache()?.once(name, &Steps, make)
}

/// A name with the digest of these parts, for a tool that depends on them.
pub(crate) fn named(name: &str, parts: &[Vec<u8>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{}", &digest[..DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_the_bounds_of_its_parts() {
        let name = |parts: &[&str]| {
            named(
                "a",
                &parts.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(name(&["b", "c"]).len(), "a-".len() + DIGITS);
        assert_eq!(name(&["b", "c"]), name(&["b", "c"]));
        assert_ne!(name(&["b", "c"]), name(&["bc"]));
    }
}
