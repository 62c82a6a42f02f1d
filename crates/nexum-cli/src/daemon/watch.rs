//! `nexum run --watch`: reloads a module when its files change.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexum_core::config::ModuleConfig;
use nexum_core::loader::MANIFEST_FILE;
use nexum_core::names::ModuleName;
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, Debouncer, new_debouncer};
use tokio::sync::mpsc;

use super::control::ControlState;

/// How long files have to be left alone before they are read: a linker writes for as long, and nobody notices.
const QUIET: Duration = Duration::from_millis(300);

/// How often it is looked for modules that have been loaded or removed meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many changes may wait for a module that is being reloaded; the thread that finds them waits with the next.
const CHANGES_MAX: usize = 64;

/// Reloads modules whose files have changed. Never returns: where files cannot be watched, it says so.
pub(crate) async fn reload_changed(control: &ControlState) -> Infallible {
    if let Err(error) = watch(control).await {
        tracing::error!(%error, "files cannot be watched: modules are reloaded with `nexum module reload` alone");
    }
    std::future::pending().await
}

async fn watch(control: &ControlState) -> Result<(), notify_debouncer_mini::notify::Error> {
    let (changed, mut changes) = mpsc::channel(CHANGES_MAX);
    let tell = move |event: DebounceEventResult| {
        let paths = event.into_iter().flatten().map(|event| event.path);
        // There is nobody left to tell when nexum ends.
        let _ = changed.blocking_send(paths.collect::<Vec<_>>());
    };
    let mut watcher = Watcher {
        debouncer: new_debouncer(QUIET, tell)?,
        directories: BTreeSet::new(),
    };
    let mut turns = tokio::time::interval(LOOK_EVERY);
    loop {
        let files = files(control);
        watcher.follow(&files)?;
        tokio::select! {
            _ = turns.tick() => {}
            Some(paths) = changes.recv() => {
                for (name, of_module) in files {
                    if paths.iter().any(|path| of_module.contains(path)) {
                        reload(control, &name).await;
                    }
                }
            }
        }
    }
}

async fn reload(control: &ControlState, name: &ModuleName) {
    tracing::info!(module = name.as_str(), "a file of the module has changed");
    match control.reload(name).await {
        Ok(()) => tracing::info!(module = name.as_str(), "the module is reloaded"),
        Err(refusals) => refusals.log(),
    }
}

/// The files of each module.
fn files(control: &ControlState) -> BTreeMap<ModuleName, Vec<PathBuf>> {
    let (modules, queries) = (control.supervisor.modules(), control.supervisor.queries());
    let modules = modules
        .iter()
        .map(|status| (status.name().clone(), files_of(&status.module().origin)));
    let queries = queries
        .iter()
        .map(|pool| (pool.name().clone(), files_of(&pool.module().origin)));
    modules.chain(queries).collect()
}

fn files_of(origin: &ModuleConfig) -> Vec<PathBuf> {
    let manifest = origin.manifest.clone();
    let manifest = manifest.unwrap_or_else(|| origin.path.with_file_name(MANIFEST_FILE));
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    vec![absolute(&origin.path), absolute(&manifest)]
}

struct Watcher {
    debouncer: Debouncer<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
}

impl Watcher {
    /// Watches the directories that these files are in: a file that is replaced is another one.
    fn follow(
        &mut self,
        files: &BTreeMap<ModuleName, Vec<PathBuf>>,
    ) -> Result<(), notify_debouncer_mini::notify::Error> {
        let parents = files.values().flatten().filter_map(|file| file.parent());
        let wanted: BTreeSet<_> = parents.map(Path::to_owned).collect();
        for directory in wanted.difference(&self.directories) {
            self.debouncer.watcher().watch(directory, RecursiveMode::NonRecursive)?;
        }
        for directory in self.directories.difference(&wanted) {
            // It may be gone.
            let _ = self.debouncer.watcher().unwatch(directory);
        }
        self.directories = wanted;
        Ok(())
    }
}
