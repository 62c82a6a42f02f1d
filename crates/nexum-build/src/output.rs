//! The files of a finished build.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nexum_config::manifest::MANIFEST_FILE;
use nexum_config::names::ModuleName;
use tempfile::NamedTempFile;

use crate::Error;

/// The files of a module as an operator installs it.
pub(crate) struct Paths {
    pub(crate) component: PathBuf,
    pub(crate) manifest: PathBuf,
}

/// Writes `NAME.wasm` and `nexum.toml` into a directory, which is created. Readers see each file
/// complete, old or new. The component comes first: between the two, nexum refuses the module for
/// its digest.
pub(crate) fn write(directory: &Path, name: &ModuleName, component: &[u8], manifest: &str) -> Result<Paths, Error> {
    fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
    let paths = Paths {
        component: directory.join(format!("{name}.wasm")),
        manifest: directory.join(MANIFEST_FILE),
    };
    write_if_changed(&paths.component, component)?;
    write_if_changed(&paths.manifest, manifest.as_bytes())?;
    Ok(paths)
}

/// Replaces a file at once. Leaves an unchanged file as it is, so that nothing that depends on its
/// modification time is rebuilt or reloaded.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        // A temporary file is private.
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::file("write", path))
}
