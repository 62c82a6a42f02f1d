//! The source files of a project, watched for changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{self, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

use crate::daemon::{Change, change};

/// The time without changes before a build: an editor writes several files at once for as long.
const QUIET: Duration = Duration::from_millis(50);

/// The most changes that wait while the project is built. They are one build.
const CHANGES_MAX: usize = 64;

/// Directories at the top of the project that have no sources. Deeper ones with these names can have some.
const OUTPUTS: [&str; 4] = ["target", "build", "data", "venv"];

/// Directories that have no sources at any depth, beside those whose name begins with a dot.
const CACHES: [&str; 2] = ["node_modules", "__pycache__"];

/// The extensions of source files.
const SOURCES: [&str; 13] = [
    "rs", "toml", "js", "mjs", "cjs", "ts", "json", "py", "txt", "c", "h", "wit", "sol",
];

/// The operator's configuration, which a build does not read.
const CONFIG: &str = "engine.toml";

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::author) enum Changed {
    Sources,
    /// The configuration, and perhaps sources too.
    Config,
}

/// Watches the directory of a project.
pub(in crate::author) struct Sources {
    project: PathBuf,
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    watched: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<Change>,
}

impl Sources {
    /// # Errors
    ///
    /// If the system cannot watch the directory.
    pub(in crate::author) fn watch(project: &Path) -> notify::Result<Self> {
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        let tell = move |events: DebounceEventResult| {
            if let Some(change) = change(events) {
                // A full queue has a change already. A closed one belongs to a process that ends.
                let _ = sender.try_send(change);
            }
        };
        let project = std::path::absolute(project).map_err(notify::Error::io)?;
        let mut sources = Self {
            debouncer: new_debouncer(QUIET, None, tell)?,
            watched: BTreeSet::new(),
            changes,
            project,
        };
        sources.debouncer.watch(&sources.project, RecursiveMode::NonRecursive)?;
        sources.follow();
        Ok(sources)
    }

    /// Waits for a change of a source file or of the configuration. The future can be dropped
    /// without the loss of a change.
    pub(in crate::author) async fn changed(&mut self) -> Changed {
        loop {
            let Some(change) = self.changes.recv().await else {
                // The watcher has ended, which it does with this value only.
                return std::future::pending().await;
            };
            self.follow();
            match change {
                Change::Any => return Changed::Config,
                Change::Paths(paths) => {
                    let kinds = paths.iter().filter_map(|path| kind(&self.project, path));
                    if let Some(kind) = kinds.max_by_key(|kind| *kind == Changed::Config) {
                        return kind;
                    }
                }
            }
        }
    }

    /// Watches the directories at the top of the project that can have sources. New ones can appear
    /// at any time.
    fn follow(&mut self) {
        let entries = fs::read_dir(&self.project).into_iter().flatten().flatten();
        for directory in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            if is_output(&directory) || self.watched.contains(&directory) {
                continue;
            }
            // A directory that has gone meanwhile has no sources.
            if self.debouncer.watch(&directory, RecursiveMode::Recursive).is_ok() {
                self.watched.insert(directory);
            }
        }
        self.watched.retain(|directory| directory.is_dir());
    }
}

/// Whether a directory at the top of the project has no sources.
fn is_output(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || OUTPUTS.contains(&&*name) || CACHES.contains(&&*name)
}

/// The kind of a changed file. `None` if it is no source.
fn kind(project: &Path, path: &Path) -> Option<Changed> {
    let inside = path.strip_prefix(project).ok()?;
    if inside == Path::new(CONFIG) {
        return Some(Changed::Config);
    }
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let is_cache = |name: &std::ffi::OsStr| CACHES.contains(&&*name.to_string_lossy());
    let top = inside.iter().next()?.to_string_lossy();
    let extension = inside.extension()?.to_str()?;
    let is_source = SOURCES.contains(&extension)
        && !inside.iter().any(|name| is_hidden(name) || is_cache(name))
        && !OUTPUTS.contains(&&*top);
    is_source.then_some(Changed::Sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_from_outputs() {
        let project = Path::new("/p");
        for (path, expected) in [
            ("/p/src/lib.rs", Some(Changed::Sources)),
            ("/p/Cargo.toml", Some(Changed::Sources)),
            ("/p/nexum.toml", Some(Changed::Sources)),
            ("/p/app.py", Some(Changed::Sources)),
            ("/p/src/abi/erc20.json", Some(Changed::Sources)),
            ("/p/engine.toml", Some(Changed::Config)),
            ("/p/target/release/a.rs", None),
            ("/p/build/nexum.toml", None),
            ("/p/data/state.redb", None),
            ("/p/src/.lib.rs.swp", None),
            ("/p/src/lib.rs~", None),
            ("/p/.git/config.toml", None),
            ("/p/Cargo.lock", None),
            ("/p/node_modules/a/index.js", None),
            ("/p/src/node_modules/a/index.js", None),
            ("/p/tests/__pycache__/a.py", None),
            ("/p/src/data/mod.rs", Some(Changed::Sources)),
            ("/p/src/build/target/a.rs", Some(Changed::Sources)),
            ("/q/src/lib.rs", None),
        ] {
            assert_eq!(kind(project, Path::new(path)), expected, "{path}");
        }
    }
}
