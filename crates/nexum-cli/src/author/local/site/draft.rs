//! The next configuration of a daemon, which nexum checks before the daemon ends.

use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::of_file;
use crate::args::Files;
use crate::modules::Settings;
use crate::report::{Refusal, Refusals};

/// The next configuration of a daemon, in a file beside the current one. Dropping the value deletes it.
#[derive(Debug)]
pub(in crate::author) struct Draft {
    pub(super) file: NamedTempFile,
    /// The path of the current configuration.
    pub(super) path: PathBuf,
}

impl Draft {
    /// Checks the sections of the configuration as `nexum run` does. Blocks on files.
    ///
    /// # Errors
    ///
    /// The errors of `original`, the project's file, with its lines. If that one has none, the errors of the draft.
    pub(in crate::author) fn checked(self, original: &Path) -> Result<Self, Refusals> {
        let errors = errors_of(self.file.path());
        if errors.is_empty() {
            return Ok(self);
        }
        let original = errors_of(original);
        Err(if original.is_empty() { errors } else { original })
    }

    /// Replaces the current configuration.
    ///
    /// # Errors
    ///
    /// If the file cannot be renamed.
    pub(in crate::author) fn publish(self) -> Result<(), Refusal> {
        let Self { file, path } = self;
        file.persist(&path).map(drop).map_err(|error| of_file(&path, &error))
    }
}

/// The errors of a configuration.
fn errors_of(path: &Path) -> Refusals {
    let files = Files {
        config: Some(path.to_owned()),
        ..Files::default()
    };
    match Settings::read(files) {
        Ok(settings) => settings.plan().errors,
        Err(errors) => errors,
    }
}
