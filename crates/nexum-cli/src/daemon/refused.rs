//! The modules that nexum refused at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::{HostHandle, LoadErrors, ModuleEntry};
use parking_lot::Mutex;

use crate::protocol::modules::RefusedModule;

/// The modules that nexum refused at the start, by entry, and why. Several entries may name one file.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<Mutex<Start>>);

/// How far the start has come.
struct Start {
    /// The begin of the start, in milliseconds since the Unix epoch.
    begun_ms: u64,
    /// One for each entry. Entries that are alike share one.
    refusals: Vec<Refusal>,
    is_complete: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            begun_ms: SystemClock::new().now_ms(),
            refusals: Vec::new(),
            is_complete: false,
        }
    }
}

/// Why nexum refused the module of an entry.
struct Refusal {
    entry: ModuleConfig,
    /// The time of the first error, in milliseconds since the Unix epoch.
    since_ms: u64,
    lines: Vec<String>,
}

impl Refused {
    /// Records errors of the start.
    pub(super) fn add(&self, errors: &LoadErrors) {
        let now_ms = SystemClock::new().now_ms();
        let refusals = &mut self.0.lock().refusals;
        for error in errors {
            let known = refusals.iter().position(|refusal| refusal.entry.is_like(&error.entry));
            let index = known.unwrap_or_else(|| {
                refusals.push(Refusal {
                    entry: error.entry.clone(),
                    since_ms: now_ms,
                    lines: Vec::new(),
                });
                refusals.len() - 1
            });
            let lines = &mut refusals[index].lines;
            for (line, _) in error.lines() {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
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

    /// The begin of the start, in milliseconds since the Unix epoch.
    pub(super) fn begun_ms(&self) -> u64 {
        self.0.lock().begun_ms
    }

    /// The refused modules that are still wanted, and that nexum has not loaded since.
    pub(super) fn missing(&self, host: &HostHandle) -> Vec<RefusedModule> {
        let start = self.0.lock();
        if start.refusals.is_empty() {
            return Vec::new();
        }
        let mut running = Running::of(host);
        let absent = host.absent();
        let is_absent = |entry: &ModuleEntry| {
            let mut absent = absent.iter().map(|absent| &absent.entry);
            absent.any(|absent| absent.name == entry.name && absent.config.is_like(&entry.config))
        };
        let configured = host.configured().into_iter().filter(|entry| !is_absent(entry));
        let configured = configured.map(|entry| (None, entry.config));
        let loaded = host.loaded_by_operator().into_iter();
        let loaded = loaded.map(|(name, config)| (Some(name), config));
        let mut missing = Vec::new();
        for (loaded_as, entry) in configured.chain(loaded) {
            let refusal = start.refusals.iter().find(|refusal| refusal.entry.is_like(&entry));
            if let Some(refusal) = refusal
                && !running.take(&entry, refusal.since_ms)
            {
                missing.push(refused(host, loaded_as.as_ref(), &entry, refusal));
            }
        }
        missing
    }
}

/// The running modules that stand for no refused entry yet.
struct Running(Vec<RunningModule>);

struct RunningModule {
    name: ModuleName,
    origin: ModuleConfig,
    /// The time at which the operator loaded the module, in milliseconds since the Unix epoch.
    loaded_ms: Option<u64>,
}

impl Running {
    fn of(host: &HostHandle) -> Self {
        let rows = host.operator_rows();
        let running = host.all().into_iter().filter_map(|module| {
            let (origin, meta) = module.origin()?;
            let loaded = rows.get(&meta.name).and_then(|row| row.loaded.as_ref());
            let loaded = loaded.filter(|_| origin.source == EntrySource::Operator);
            Some(RunningModule {
                name: meta.name.clone(),
                origin,
                loaded_ms: loaded.map(|(_, act)| act.at_ms),
            })
        });
        Self(running.collect())
    }

    /// Takes the module of this entry, which nexum refused at `refused_ms`. It is a module with a like
    /// entry, or one that the operator has loaded since from the same file. Returns whether there is
    /// one.
    fn take(&mut self, entry: &ModuleConfig, refused_ms: u64) -> bool {
        let is_loaded_since = |module: &RunningModule| {
            module.loaded_ms.is_some_and(|loaded_ms| loaded_ms >= refused_ms)
                && absolute(&module.origin.path) == absolute(&entry.path)
                && entry.name.as_ref().is_none_or(|name| *name == module.name)
        };
        let alike = self.0.iter().position(|module| module.origin.is_like(entry));
        let found = alike.or_else(|| self.0.iter().position(is_loaded_since));
        found.map(|index| self.0.swap_remove(index)).is_some()
    }
}

/// The report about a refused module. `loaded_as` is the name with which the operator loaded it.
fn refused(
    host: &HostHandle,
    loaded_as: Option<&ModuleName>,
    entry: &ModuleConfig,
    refusal: &Refusal,
) -> RefusedModule {
    let path = entry.path.shown_absolute();
    let reason = refusal.lines.join("; ");
    // The name may be refused because another module has it.
    let name = entry.name.as_ref().filter(|name| host.get(name).is_err());
    RefusedModule {
        reason: match loaded_as {
            Some(name) => format!("{reason}; correct it, or remove the module with {}", forget(name)),
            None => reason,
        },
        name: name.map_or_else(|| path.display().to_string(), ModuleName::to_string),
        path,
        source: entry.source.to_string(),
        since_ms: refusal.since_ms,
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
