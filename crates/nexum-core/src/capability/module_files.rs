//! The read-only files of a module.

use std::fmt;

use nexum_config::files::{Files, FilesError, FilesName};
use nexum_config::masked_path::MaskedPath;
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode};

/// The open directory of a module's read-only files. All instances of the module share it.
#[derive(Clone)]
pub struct ModuleFiles {
    path: MaskedPath,
    entries: usize,
    directory: Dir,
}

impl ModuleFiles {
    /// Opens and checks the directory: see [`Files::open`]. Blocks on the file system.
    pub(crate) fn open(beside: &MaskedPath, name: &FilesName, private: &[MaskedPath]) -> Result<Self, FilesError> {
        let Files {
            path,
            directory,
            entries,
        } = Files::open(beside, name, private)?;
        // A guest's call for files runs on another thread than its computation.
        let may_block = false;
        Ok(Self {
            path,
            entries,
            directory: Dir::new(directory, FsPerms::ReadOnly, OpenMode::READ, may_block),
        })
    }

    /// The path of the directory, for errors and reports.
    pub fn path(&self) -> &MaskedPath {
        &self.path
    }

    /// The number of files, directories and links when nexum opened the directory.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The directory for a guest.
    pub(super) fn directory(&self) -> &Dir {
        &self.directory
    }
}

impl fmt::Debug for ModuleFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleFiles")
            .field("path", &self.path)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
