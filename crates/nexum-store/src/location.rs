//! The free space at the files of a store.

use std::path::Path;

use nexum_config::masked_path::MaskedPath;
use nexum_core::store::Location;

/// The location of a store with this file or directory, as an absolute path.
pub(crate) fn location(path: &MaskedPath) -> Location {
    Location {
        path: path.shown_absolute(),
        free_bytes: free_bytes(path),
    }
}

/// The bytes that this process's user can still write to the file system of a path.
fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
