//! The paths of the work tree.

use std::path::{Path, PathBuf};

/// The root of the work tree.
pub(crate) fn root() -> &'static Path {
    // `xtask/` lies directly in the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The workspace of the guests.
pub(crate) fn modules() -> PathBuf {
    root().join("modules")
}

/// The directory of built guests. Each has a directory with its name, beside its manifest.
pub(crate) fn built_modules() -> PathBuf {
    root().join("target/modules")
}
