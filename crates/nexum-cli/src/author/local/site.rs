//! The files of a daemon that runs a project on local chains: its configuration and its state.
//!
//! The configuration is the project's `engine.toml` with other endpoints, another state directory and
//! another log. `nexum status` and the other commands find the daemon with `--config`.

mod draft;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use nexum_build::project::OUTPUT;
use nexum_config::aliases::{ALIASES, Alias, File};
use nexum_config::manifest::Manifest;
use nexum_config::names::ModuleName;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, value};

pub(in crate::author) use self::draft::Draft;
use super::chains::{Identities, LocalChains};
use super::configured_chain::ConfiguredChain;
use crate::report::Refusal;

/// The name of the configuration, of the project's and of the generated one.
const CONFIG: &str = "engine.toml";

/// The directory of the state, in that of the site.
const STATE: &str = "data";

/// The directory of compiled components in the state directory, which outlives the state.
const CACHE: &str = "cache";

/// The file with the chains that the state belongs to: a line with id and identity for each.
const CHAINS: &str = "chains";

/// The log of the daemon: every event, every record of a module, and the daemon's own warnings.
const LOG_LEVEL: &str = "warn,nexum::event=debug,nexum::module=trace,nexum::daemon=info,nexum_host_chain=info";

/// The keys of a chain that name its endpoints, or say how to reach them.
const ENDPOINT_KEYS: [&str; 4] = ["rpc_url", "endpoints", "require_ws", "use_proxy"];

/// `head_stall_seconds` of a local chain, which mines a block only on demand: a day.
const HEAD_STALL_SECONDS: i64 = 86_400;

/// The keys of `[[modules]]` that are paths.
const PATH_KEYS: [&str; 2] = ["path", "manifest"];

/// The built files of a project's module.
#[derive(Clone, Debug)]
pub(in crate::author) struct Module {
    pub(in crate::author) name: ModuleName,
    pub(in crate::author) component: PathBuf,
    pub(in crate::author) manifest: PathBuf,
}

/// The directory of the files.
#[derive(Debug)]
pub(in crate::author) struct Site {
    project: PathBuf,
    directory: PathBuf,
    _lock: fs::File,
}

impl Site {
    /// Creates the directory if it is absent.
    ///
    /// # Errors
    ///
    /// If another process uses the directory, or it cannot be created.
    pub(in crate::author) fn open(project: &Path, directory: &Path) -> Result<Self, Refusal> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(|error| of_file(path, &error));
        let (project, directory) = (absolute(project)?, absolute(directory)?);
        let path = directory.join("lock");
        let opened = fs::create_dir_all(&directory).and_then(|()| fs::File::create(&path));
        let lock = opened.map_err(|error| of_file(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                project,
                directory,
                _lock: lock,
            }),
            Err(fs::TryLockError::WouldBlock) => Err(Refusal::new(format!(
                "another `nexum dev` runs in {}",
                project.display()
            ))),
            Err(fs::TryLockError::Error(error)) => Err(of_file(&path, &error)),
        }
    }

    /// The configuration for `nexum run`, and for the commands that ask it.
    pub(in crate::author) fn config(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// The chains of the project's `engine.toml`, and those of the module's manifest, in order of
    /// their ids.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not TOML.
    pub(in crate::author) fn chains(&self, manifest: &Manifest) -> Result<Vec<ConfiguredChain>, Refusal> {
        let document = self.original()?;
        let of_manifest = manifest.chains.required.iter().copied();
        let of_manifest = of_manifest.chain(manifest.subscriptions.iter().filter_map(|one| one.chain_id()));
        let mut chains: Vec<_> = of_manifest.map(|id| ConfiguredChain { id, port: None }).collect();
        let configured = document.get("chains").and_then(Item::as_table_like);
        for (key, chain) in configured.into_iter().flat_map(TableLike::iter) {
            let Ok(id) = key.parse() else { continue };
            let url = chain.as_table_like().and_then(|chain| chain.get("rpc_url")?.as_str());
            chains.retain(|chain| chain.id != id);
            chains.push(ConfiguredChain {
                id,
                port: url.and_then(local_port),
            });
        }
        chains.sort_unstable_by_key(|chain| chain.id);
        chains.dedup_by_key(|chain| chain.id);
        Ok(chains)
    }

    /// Writes the next configuration beside the current one. `once` is for a test: each event fails at
    /// its first failure, and nothing listens on the ports of the project's file.
    ///
    /// # Errors
    ///
    /// If the project's file cannot be read or is not TOML, if it names another module in place of
    /// the built one, or if the next configuration cannot be written.
    pub(in crate::author) fn draft(&self, module: &Module, chains: &LocalChains, once: bool) -> Result<Draft, Refusal> {
        let mut document = self.original()?;
        // Another daemon on this machine can have the port, and no reader expects these metrics.
        document.remove("metrics");
        if once {
            document.remove("query");
        }
        if let Some(engine) = table(&mut document, "engine") {
            engine.insert("state_dir", value(text(&self.state_dir())));
            engine.insert("log_level", value(LOG_LEVEL));
            engine.insert("log_format", value("json"));
            // The name of `[metrics]` in former versions.
            engine.remove("metrics");
            if once && let Some(restart) = child(engine, "restart") {
                restart.insert("attempts_max", value(1));
            }
        }
        if let Some(tables) = table(&mut document, "chains") {
            for chain in chains.iter() {
                let Some(entry) = child(tables, &chain.id.to_string()) else {
                    continue;
                };
                ENDPOINT_KEYS.iter().for_each(|key| drop(entry.remove(key)));
                entry.insert("rpc_url", value(chain.url.as_str()));
                if chain.rpc.is_local() {
                    entry.insert("head_stall_seconds", value(HEAD_STALL_SECONDS));
                }
            }
        }
        self.modules(&mut document, module)?;
        // Only its owner can read a temporary file, and a URL in this one can have a key.
        let written = tempfile::Builder::new().suffix(".toml").tempfile_in(&self.directory);
        let written = written.and_then(|mut file| file.write_all(document.to_string().as_bytes()).map(|()| file));
        let path = self.config();
        match written {
            Ok(file) => Ok(Draft { file, path }),
            Err(error) => Err(of_file(&path, &error)),
        }
    }

    /// The file of the last build in place of the one that `nexum build` writes. `None` for any other path.
    fn built<'a>(&self, path: &Path, module: &'a Module) -> Option<&'a Path> {
        let directory = |path: &Path| fs::canonicalize(path.parent()?).ok();
        let output = self.project.join(OUTPUT);
        let files = [&module.component, &module.manifest];
        let file = files.into_iter().find(|file| file.file_name() == path.file_name())?;
        (directory(path)? == fs::canonicalize(output).ok()?).then_some(file)
    }

    /// Makes the paths of the modules absolute, and adds the project's module if there is none.
    ///
    /// # Errors
    ///
    /// If a module has the path of a build of this project under another name, and none has the path of
    /// the last build: the author has renamed the module.
    fn modules(&self, document: &mut DocumentMut, module: &Module) -> Result<(), Refusal> {
        let mut modules = match document.remove("modules").map(Item::into_array_of_tables) {
            None => ArrayOfTables::new(),
            Some(Ok(modules)) => modules,
            Some(Err(other)) if other.as_array().is_some_and(toml_edit::Array::is_empty) => ArrayOfTables::new(),
            // The daemon reports a value that is no list of tables.
            Some(Err(other)) => {
                document.insert("modules", other);
                return Ok(());
            }
        };
        self.check_name(&modules, module)?;
        for entry in modules.iter_mut() {
            for key in PATH_KEYS {
                // A path that begins with a variable is absolute, or fails as it does in `nexum run`.
                let written = entry
                    .get(key)
                    .and_then(Item::as_str)
                    .filter(|path| !path.starts_with("${"));
                if let Some(path) = written.map(|path| self.project.join(path)) {
                    entry.insert(key, value(text(self.built(&path, module).unwrap_or(&path))));
                }
            }
        }
        if modules.is_empty() {
            let mut entry = Table::new();
            entry.insert("path", value(text(&module.component)));
            entry.insert("manifest", value(text(&module.manifest)));
            modules.push(entry);
        }
        document.insert("modules", Item::ArrayOfTables(modules));
        Ok(())
    }

    fn check_name(&self, modules: &ArrayOfTables, module: &Module) -> Result<(), Refusal> {
        let written = modules.iter().filter_map(|entry| entry.get("path")?.as_str());
        let paths: Vec<_> = written.map(|path| self.project.join(path)).collect();
        let output = self.project.join(OUTPUT);
        let other = paths
            .iter()
            .filter_map(|path| path.strip_prefix(&output).ok())
            .find(|inside| inside.components().count() == 1);
        match other {
            Some(other) if !paths.iter().any(|path| self.built(path, module).is_some()) => {
                let named = Path::new(OUTPUT).join(other);
                let refusal = Refusal::new(format!(
                    "{CONFIG} names {}, and the module is {}",
                    named.display(),
                    module.name
                ));
                Err(refusal.with_hint(format!("write `path = \"{OUTPUT}/{}.wasm\"` in {CONFIG}", module.name)))
            }
            _ => Ok(()),
        }
    }

    /// The path of the project's own configuration.
    pub(in crate::author) fn original_path(&self) -> PathBuf {
        self.project.join(CONFIG)
    }

    /// The project's `engine.toml`, with the ids of chains in place of old names. Empty if the file is
    /// missing.
    fn original(&self) -> Result<DocumentMut, Refusal> {
        let path = self.original_path();
        let content = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| of_file(&path, &error))?,
        };
        let mut document = content.parse().map_err(|error| of_file(&path, &error))?;
        rename_chains(&mut document);
        Ok(document)
    }

    /// Whether the state fits these chains: it belongs to no other chain with the id of one of them.
    pub(in crate::author) fn is_state_of(&self, chains: &Identities) -> bool {
        self.known().is_some_and(|known| fits(&known, chains))
    }

    /// The chains that the state belongs to. `None` if the file is missing or unreadable.
    fn known(&self) -> Option<Identities> {
        let text = fs::read_to_string(self.directory.join(CHAINS)).ok()?;
        let chains = text.lines().map(|line| {
            let (id, identity) = line.split_once(' ')?;
            Some((id.parse().ok()?, identity.to_owned()))
        });
        chains.collect()
    }

    /// Deletes the state if it does not fit these chains, or if `is_new`. Returns whether there was a
    /// state that it has deleted.
    ///
    /// # Errors
    ///
    /// If a file cannot be written or deleted.
    pub(in crate::author) fn keep_state_of(&self, chains: &Identities, is_new: bool) -> Result<bool, Refusal> {
        let kept = self.known().filter(|known| !is_new && fits(known, chains));
        let had_state = match &kept {
            Some(_) => false,
            None => self.clear().map_err(|error| of_file(&self.state_dir(), &error))?,
        };
        // The state can have entries of a chain that the project leaves out for a while.
        let mut all = kept.unwrap_or_default();
        all.extend(chains.clone());
        let lines: String = all.iter().map(|(id, identity)| format!("{id} {identity}\n")).collect();
        let path = self.directory.join(CHAINS);
        fs::write(&path, lines).map_err(|error| of_file(&path, &error))?;
        Ok(had_state)
    }

    /// Deletes the state, but not the compiled components.
    fn clear(&self) -> std::io::Result<bool> {
        let entries = match fs::read_dir(self.state_dir()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        let mut had_state = false;
        for entry in entries {
            let entry = entry?;
            if entry.file_name() == CACHE {
                continue;
            }
            had_state = true;
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(had_state)
    }

    /// The state directory, with the control socket.
    pub(in crate::author) fn state_dir(&self) -> PathBuf {
        self.directory.join(STATE)
    }
}

/// Whether no chain is another one than the known chain with its id.
fn fits(known: &Identities, chains: &Identities) -> bool {
    chains
        .iter()
        .all(|(id, identity)| known.get(id).is_none_or(|known| known == identity))
}

/// Replaces the old names of chains, such as `chains.sepolia`, beside which an entry with the id would
/// be an error. An old name stays if the file has the id too: the daemon reports it.
fn rename_chains(document: &mut DocumentMut) {
    const PREFIX: &str = "chains.";
    let Some(chains) = document.get_mut("chains").and_then(Item::as_table_like_mut) else {
        return;
    };
    for Alias { file, old, new, .. } in ALIASES {
        if *file == File::Engine
            && let (Some(old), Some(new)) = (old.strip_prefix(PREFIX), new.strip_prefix(PREFIX))
            && !chains.contains_key(new)
            && let Some(chain) = chains.remove(old)
        {
            chains.insert(new, chain);
        }
    }
}

/// A table at the top level, which is created if it is missing. `None` for a key with another value,
/// which the daemon reports.
fn table<'a>(document: &'a mut DocumentMut, key: &str) -> Option<&'a mut dyn TableLike> {
    let item = document.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    item.as_table_like_mut()
}

/// A table in another one, which is created if it is missing.
fn child<'a>(parent: &'a mut dyn TableLike, key: &str) -> Option<&'a mut dyn TableLike> {
    if !parent.contains_key(key) {
        parent.insert(key, Item::Table(Table::new()));
    }
    parent.get_mut(key)?.as_table_like_mut()
}

/// The port of a URL of this machine.
fn local_port(url: &str) -> Option<u16> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    port.parse().ok().filter(|_| is_local)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn of_file(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(format!("{}: {error}", path.display()))
}
