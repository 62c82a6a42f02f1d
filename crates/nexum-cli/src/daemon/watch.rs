//! `nexum run --watch`: reloads a module when the content of its files changes.
//!
//! An event of the file system is only a reason to compare: opening a file is an event too. nexum
//! reloads a module if its files differ from the running version, and from the last version that it
//! tried.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexum_config::component::{self, ModuleKind};
use nexum_config::document;
use nexum_config::engine::ModuleConfig;
use nexum_config::manifest::MANIFEST_BYTES_MAX;
use nexum_config::names::{Digest, ModuleName};
use nexum_core::capability::ModuleMeta;
use notify_debouncer_full::notify::event::{AccessKind, AccessMode};
use notify_debouncer_full::notify::{self, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

use super::api::ApiState;
use crate::report::Refusals;

/// The time without changes before nexum reads files: a linker writes for as long, and no author
/// notices the wait.
const QUIET: Duration = Duration::from_millis(300);

/// The interval at which nexum looks for modules that were loaded or removed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The most changes that wait while a module is reloaded. The thread that finds changes waits with
/// the next one.
const CHANGES_MAX: usize = 64;

/// Reloads modules whose files have changed. Never returns. Logs an error if files cannot be
/// watched.
pub(crate) async fn reload_changed(api: &ApiState) -> Infallible {
    if let Err(mut error) = watch(api).await {
        // A path can contain the content of a variable.
        error.paths.clear();
        tracing::error!(%error, "nexum cannot watch files: use `nexum module reload` to reload modules");
    }
    std::future::pending().await
}

/// A possible change of files.
pub(crate) enum Change {
    Paths(Vec<PathBuf>),
    /// The system has lost events.
    Any,
}

async fn watch(api: &ApiState) -> notify::Result<()> {
    let (changed, mut changes) = mpsc::channel(CHANGES_MAX);
    let tell = move |events: DebounceEventResult| {
        if let Some(change) = change(events) {
            // The receiver is closed when nexum ends.
            let _ = changed.blocking_send(change);
        }
    };
    let mut watcher = Watcher {
        debouncer: new_debouncer(QUIET, None, tell)?,
        directories: BTreeSet::new(),
    };
    let mut turns = tokio::time::interval(LOOK_EVERY);
    let mut watched = BTreeSet::new();
    let mut tried = BTreeMap::new();
    loop {
        let modules = modules(api);
        watcher.follow(modules.values())?;
        tried.retain(|name, _| modules.contains_key(name));
        let before = std::mem::replace(&mut watched, modules.keys().cloned().collect());
        for (name, files) in modules.iter().filter(|(name, _)| !before.contains(*name)) {
            // The files may have changed between their reading and the start of the watch.
            look(api, &mut tried, name, files).await;
        }
        let change = tokio::select! {
            _ = turns.tick() => continue,
            Some(change) = changes.recv() => change,
        };
        for (name, files) in modules.iter().filter(|(_, files)| files.are_in(&change)) {
            look(api, &mut tried, name, files).await;
        }
    }
}

/// Reloads a module if its files have another content than the module was loaded from. Does not try a content twice.
async fn look(api: &ApiState, tried: &mut BTreeMap<ModuleName, Content>, name: &ModuleName, files: &Files) {
    let content = files.read().await;
    if content == files.loaded {
        tried.remove(name);
    } else if tried.get(name) != Some(&content) {
        tried.insert(name.clone(), content);
        reload(api, name).await;
    }
}

/// The possible change that these events report. Ignores events of reading.
pub(crate) fn change(events: DebounceEventResult) -> Option<Change> {
    let Ok(events) = events else {
        return Some(Change::Any);
    };
    if events.iter().any(|event| event.need_rescan()) {
        return Some(Change::Any);
    }
    let is_read =
        |kind: &EventKind| matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write));
    let events = events.into_iter().filter(|event| !is_read(&event.kind));
    let paths: Vec<_> = events.flat_map(|event| event.event.paths).collect();
    (!paths.is_empty()).then_some(Change::Paths(paths))
}

async fn reload(api: &ApiState, name: &ModuleName) {
    tracing::info!(module = name.as_str(), "a file of the module has changed");
    match api.host.reload(name).await {
        Ok(_) => tracing::info!(module = name.as_str(), "the module is reloaded"),
        Err(error) => Refusals::from(error).log(),
    }
}

/// The files of each module.
fn modules(api: &ApiState) -> BTreeMap<ModuleName, Files> {
    let files = api.supervisor.all().into_iter().filter_map(|module| {
        let (origin, meta) = module.origin()?;
        Some((meta.name.clone(), Files::of(&origin, module.kind(), &meta)))
    });
    files.collect()
}

/// The files of a module, and their content at its last load.
struct Files {
    component: PathBuf,
    /// Every file that can be the manifest.
    manifests: Vec<PathBuf>,
    loaded: Content,
}

/// The content of a module's files.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    /// None for a file that is missing or cannot be read.
    component: Option<Digest>,
    /// One for each manifest that can be read.
    manifests: Vec<Digest>,
}

impl Files {
    fn of(origin: &ModuleConfig, kind: ModuleKind, meta: &ModuleMeta) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            component: absolute(&origin.path),
            manifests: origin.manifest_paths(kind).iter().map(|path| absolute(path)).collect(),
            loaded: Content {
                component: Some(meta.digest),
                manifests: meta.manifest.into_iter().collect(),
            },
        }
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.manifests.iter().chain([&self.component])
    }

    fn are_in(&self, change: &Change) -> bool {
        match change {
            Change::Paths(paths) => self.paths().any(|path| paths.contains(path)),
            Change::Any => true,
        }
    }

    /// The current content of the files.
    async fn read(&self) -> Content {
        let (component, manifests) = (self.component.as_path().into(), self.manifests.clone());
        let read = tokio::task::spawn_blocking(move || Content {
            component: component::read(&component).ok().map(|bytes| Digest::of(&bytes)),
            manifests: manifests
                .iter()
                .filter_map(|path| document::read(&path.as_path().into(), MANIFEST_BYTES_MAX).ok())
                .map(|bytes| Digest::of(&bytes))
                .collect(),
        });
        match read.await {
            Ok(content) => content,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

struct Watcher {
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    directories: BTreeSet<PathBuf>,
}

impl Watcher {
    /// Watches the directories of these files. A watch of a file itself would end when the file is
    /// replaced.
    fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Files>) -> notify::Result<()> {
        let parents = files.flat_map(Files::paths).map(|path| path.parent());
        let wanted: BTreeSet<_> = parents.flatten().map(Path::to_owned).collect();
        for directory in wanted.difference(&self.directories) {
            self.debouncer.watch(directory, RecursiveMode::NonRecursive)?;
        }
        for directory in self.directories.difference(&wanted) {
            // The directory may have been removed.
            let _ = self.debouncer.unwatch(directory);
        }
        self.directories = wanted;
        Ok(())
    }
}
