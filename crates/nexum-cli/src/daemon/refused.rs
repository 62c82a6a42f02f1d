//! The modules that nexum refused at the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nexum_core::{HostHandle, LoadErrors};

/// The modules that nexum refused at the start, by file, and why. Unknown until every module is loaded or refused.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<OnceLock<BTreeMap<PathBuf, String>>>);

impl Refused {
    /// Records the errors of the start. `nexum run` calls it once.
    pub(super) fn set(&self, errors: &LoadErrors) {
        let mut reasons = BTreeMap::<PathBuf, Vec<String>>::new();
        for error in errors {
            let lines = error.lines().into_iter().map(|(line, _)| line);
            reasons.entry(absolute(&error.path)).or_default().extend(lines);
        }
        let reasons = reasons.into_iter().map(|(path, lines)| (path, lines.join("; ")));
        // No other code sets it.
        let _ = self.0.set(reasons.collect());
    }

    /// Whether every module is loaded or refused.
    pub(super) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// The file and the reason of each refused module that the operator has not loaded since.
    pub(super) fn missing(&self, host: &HostHandle) -> Vec<(PathBuf, String)> {
        let modules = host.modules();
        let of_events = modules
            .iter()
            .map(|status| absolute(status.module().origin.path.shown()));
        let queries = host.queries();
        let of_queries = queries.iter().map(|pool| absolute(pool.module().origin.path.shown()));
        let here: Vec<_> = of_events.chain(of_queries).collect();
        let refused = self.0.get().into_iter().flatten();
        refused
            .filter(|(path, _)| !here.contains(path))
            .map(|(path, reason)| (path.clone(), reason.clone()))
            .collect()
    }
}

/// The absolute path, or the path as it is if the working directory is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
