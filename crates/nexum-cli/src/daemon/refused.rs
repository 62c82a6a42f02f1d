//! The modules that nexum refused at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::{HostHandle, LoadErrors};
use parking_lot::Mutex;

use crate::protocol::modules::RefusedModule;

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
struct Reasons {
    /// The path without the content of variables.
    shown: PathBuf,
    /// The time of the first refusal, in milliseconds since the Unix epoch.
    since_ms: u64,
    lines: Vec<String>,
}

impl Refused {
    /// Records errors of the start.
    pub(super) fn add(&self, errors: &LoadErrors) {
        let now_ms = SystemClock::new().now_ms();
        let reasons = &mut self.0.lock().reasons;
        for error in errors {
            let lines = error.lines().into_iter().map(|(line, _)| line);
            let of_file = reasons.entry(absolute(&error.path)).or_insert_with(|| Reasons {
                shown: error.path.shown_absolute(),
                since_ms: now_ms,
                lines: Vec::new(),
            });
            of_file.lines.extend(lines);
        }
    }

    /// Records that every module has started or is refused.
    pub(super) fn complete(&self) {
        self.0.lock().is_complete = true;
    }

    /// Whether every module has started or is refused.
    pub(super) fn is_complete(&self) -> bool {
        self.0.lock().is_complete
    }

    /// The refused modules that are still wanted, and that the operator has not loaded since.
    pub(super) fn missing(&self, host: &HostHandle) -> Vec<RefusedModule> {
        let origins = host.all().into_iter().filter_map(|module| module.origin());
        let here: BTreeSet<_> = origins.map(|(origin, _)| absolute(&origin.path)).collect();
        let start = self.0.lock();
        let loaded = host.loaded_by_operator();
        let loaded = loaded.iter().map(|(name, config)| (Some(name), config));
        let absent: BTreeSet<_> = host
            .absent()
            .into_iter()
            .map(|absent| absolute(&absent.entry.config.path))
            .collect();
        let configured = host.configured();
        let configured = configured.iter().map(|entry| &entry.config);
        let configured = configured.filter(|config| !absent.contains(&absolute(&config.path)));
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for (name, config) in configured.map(|config| (None, config)).chain(loaded) {
            let path = absolute(&config.path);
            let Some(reasons) = start.reasons.get(&path).filter(|_| !here.contains(&path)) else {
                continue;
            };
            if seen.insert(path) {
                missing.push(refused(name, &config.source.to_string(), reasons));
            }
        }
        missing
    }
}

fn refused(name: Option<&ModuleName>, source: &str, reasons: &Reasons) -> RefusedModule {
    let path = reasons.shown.clone();
    let reason = reasons.lines.join("; ");
    RefusedModule {
        reason: match name {
            Some(name) => format!("{reason}; correct it, or remove the module with {}", forget(name)),
            None => reason,
        },
        name: name.map_or_else(|| path.display().to_string(), ModuleName::to_string),
        path,
        source: source.to_owned(),
        since_ms: reasons.since_ms,
    }
}

/// The command that makes nexum forget a module which the operator loaded.
pub(super) fn forget(name: &ModuleName) -> String {
    format!("`nexum module remove {name}`")
}

/// The absolute path, or the path as it is if the working directory is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
