//! The modules that nexum refused at the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_core::{HostHandle, LoadErrors};
use parking_lot::Mutex;

/// The modules that nexum refused at the start, by file, and why.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<Mutex<Start>>);

/// How far the start has come.
#[derive(Default)]
struct Start {
    /// By the absolute path of the component.
    reasons: BTreeMap<PathBuf, Reasons>,
    is_complete: bool,
}

/// Why nexum refused the modules of one file.
#[derive(Default)]
struct Reasons {
    /// The path without the content of variables.
    shown: PathBuf,
    lines: Vec<String>,
}

impl Refused {
    /// Records errors of the start.
    pub(super) fn add(&self, errors: &LoadErrors) {
        let reasons = &mut self.0.lock().reasons;
        for error in errors {
            let lines = error.lines().into_iter().map(|(line, _)| line);
            let of_file = reasons.entry(absolute(&error.path)).or_default();
            of_file.shown = error.path.shown_absolute();
            of_file.lines.extend(lines);
        }
    }

    /// Records that every module has started or is refused.
    pub(super) fn complete(&self) {
        self.0.lock().is_complete = true;
    }

    /// Forgets the modules: a reload of the configuration has replaced them.
    pub(super) fn clear(&self) {
        self.0.lock().reasons.clear();
    }

    /// Whether every module has started or is refused.
    pub(super) fn is_complete(&self) -> bool {
        self.0.lock().is_complete
    }

    /// The file and the reason of each refused module that the operator has not loaded since.
    pub(super) fn missing(&self, host: &HostHandle) -> Vec<(PathBuf, String)> {
        let origins = host.all().into_iter().filter_map(|module| module.origin());
        let here: Vec<_> = origins.map(|(origin, _)| absolute(&origin.path)).collect();
        let start = self.0.lock();
        let refused = start.reasons.iter().filter(|(path, _)| !here.contains(path));
        refused
            .map(|(_, reasons)| (reasons.shown.clone(), reasons.lines.join("; ")))
            .collect()
    }
}

/// The absolute path, or the path as it is if the working directory is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
