//! The operator's rows: changes of an operator to the configuration, by the name of the module.
//!
//! A row outlives the module's other rows: it applies to a module of this name as long as the operator
//! does not change it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nexum_config::engine::{EntrySource, Metering, ModuleConfig};
use nexum_config::names::{Digest, ModuleName};
use serde::{Deserialize, Serialize};

use super::rows;
use crate::store::{Batch, StateStore, StoreError, View};

/// The most bytes of the reason of an [`Act`]: a few sentences. A reason is in every list of modules.
pub const REASON_BYTES_MAX: usize = 500;

/// The giver of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// The program that embeds nexum.
    #[default]
    Program,
    /// The user with this id, on the control socket.
    User(u32),
    /// A client with the token of the admin port.
    Token,
    /// A user whose id the system does not know.
    Unknown,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("the program"),
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Token => f.write_str("the admin token"),
            Self::Unknown => f.write_str("an unknown user"),
        }
    }
}

/// A command of an operator, and its circumstances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The giver of the command.
    pub by: Actor,
    /// The time of the command, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The reason that the operator gave, of at most [`REASON_BYTES_MAX`] bytes.
    pub reason: Option<String>,
}

/// `by the operator (uid 1000)`, and the reason if there is one.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by the operator ({})", self.by)?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

/// The changes of an operator to the configuration of one module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRow {
    /// The command that stopped the module, if the operator has not started it since.
    pub stopped: Option<Act>,
    /// The command that removed the configured module, if the operator has not loaded it since.
    pub removed: Option<Act>,
    /// The command that loaded the module, with the entry for the module.
    pub loaded: Option<(LoadedEntry, Act)>,
}

/// The state of a module that the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The module runs.
    Running,
    /// The module is loaded, and handles no events.
    Stopped,
    /// The configuration has the module, and it is not loaded.
    Removed,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        })
    }
}

impl OperatorRow {
    /// The state that the operator wants.
    pub fn wanted(&self) -> Wanted {
        match self {
            Self {
                removed: Some(_),
                loaded: None,
                ..
            } => Wanted::Removed,
            Self { stopped: Some(_), .. } => Wanted::Stopped,
            _ => Wanted::Running,
        }
    }

    /// Whether the row says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The entry for a module that an operator loaded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedEntry {
    /// The bytes of the path.
    path: Vec<u8>,
    manifest: Option<Vec<u8>>,
    name: Option<String>,
    digest: Option<String>,
    metering: Metering,
    reads: Vec<String>,
    config: Vec<(String, String)>,
}

/// `Debug` omits the values of `config`, as that of [`ModuleConfig`].
impl fmt::Debug for LoadedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedEntry")
            .field("path", &path_of(&self.path))
            .field("manifest", &self.manifest.as_deref().map(path_of))
            .finish_non_exhaustive()
    }
}

impl From<&ModuleConfig> for LoadedEntry {
    fn from(config: &ModuleConfig) -> Self {
        Self {
            path: bytes_of(&config.path),
            manifest: config.manifest.as_ref().map(|path| bytes_of(path)),
            name: config.name.as_ref().map(ToString::to_string),
            digest: config.digest.as_ref().map(ToString::to_string),
            metering: config.metering,
            reads: config.reads.iter().map(ToString::to_string).collect(),
            config: config.config.clone(),
        }
    }
}

impl LoadedEntry {
    /// The entry, from the operator.
    ///
    /// # Errors
    ///
    /// Fails if a name or the digest is not valid.
    pub fn config(&self) -> Result<ModuleConfig, StoreError> {
        let damaged = |_| StoreError::Damaged("a loaded module's name is not valid".to_owned());
        let name = |name: &String| name.parse::<ModuleName>().map_err(damaged);
        let digest = |digest: &String| {
            let digest = digest.parse::<Digest>();
            digest.map_err(|_| StoreError::Damaged("a loaded module's digest is not valid".to_owned()))
        };
        Ok(ModuleConfig {
            manifest: self.manifest.as_deref().map(|bytes| path_of(bytes).into()),
            name: self.name.as_ref().map(name).transpose()?,
            digest: self.digest.as_ref().map(digest).transpose()?,
            metering: self.metering,
            reads: self.reads.iter().map(name).collect::<Result<_, _>>()?,
            config: self.config.clone(),
            source: EntrySource::Operator,
            ..ModuleConfig::new(path_of(&self.path))
        })
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// The operator's rows, by the name of the module.
pub type OperatorRows = BTreeMap<ModuleName, OperatorRow>;

/// Returns the operator's rows of all modules.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn operator_rows(view: &dyn View) -> Result<OperatorRows, StoreError> {
    let mut found = OperatorRows::new();
    let mut damaged = None;
    rows::scan(
        view,
        &rows::operators(),
        &mut |key, value| match (rows::name_of(key), decode(value)) {
            (Ok(name), Ok(row)) => {
                found.insert(name, row);
                ControlFlow::Continue(())
            }
            (Err(error), _) | (_, Err(error)) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(found), Err)
}

/// Replaces the operator's row of a module, and returns when the change is durable. Removes a row that
/// says nothing.
///
/// # Errors
///
/// Fails if the store is not usable.
pub fn set_operator_row(store: &dyn StateStore, name: &ModuleName, row: &OperatorRow) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let value = (!row.is_empty()).then(|| rows::encode(row));
    batch.put(rows::operator(name), value);
    store.write(&batch)
}

/// Replaces the operator's rows of all modules, and returns when the change is durable.
///
/// # Errors
///
/// Fails if the store is not usable or is damaged.
pub fn replace_operator_rows(store: &dyn StateStore, rows: &OperatorRows) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for name in operator_rows(&*store.view()?)?.keys() {
        batch.put(rows::operator(name), None);
    }
    for (name, row) in rows.iter().filter(|(_, row)| !row.is_empty()) {
        batch.put(rows::operator(name), Some(rows::encode(row)));
    }
    store.write(&batch)
}

pub(super) fn decode(value: &[u8]) -> Result<OperatorRow, StoreError> {
    let row: OperatorRow = rows::decode(value, "an operator's row")?;
    row.loaded.as_ref().map(|(entry, _)| entry.config()).transpose()?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn act(by: Actor) -> Act {
        let reason = Some("a rehearsal".to_owned());
        Act { by, at_ms: 7, reason }
    }

    #[test]
    fn the_store_keeps_a_row_until_it_says_nothing() {
        let store = MemoryStore::new();
        let name: ModuleName = "keeper".parse().expect("a name");
        let config = ModuleConfig {
            manifest: Some("/a/other.toml".into()),
            name: Some("keeper".parse().expect("a name")),
            digest: Some(Digest::of(b"component")),
            metering: Metering::Epoch,
            reads: vec!["journal".parse().expect("a name")],
            config: vec![("key".to_owned(), "value".to_owned())],
            source: EntrySource::Operator,
            ..ModuleConfig::new("/a/keeper.wasm")
        };
        let row = OperatorRow {
            stopped: Some(act(Actor::Token)),
            removed: Some(act(Actor::User(1000))),
            loaded: Some((LoadedEntry::from(&config), act(Actor::Program))),
        };
        set_operator_row(&store, &name, &row).expect("a write");
        let read = |store: &MemoryStore| operator_rows(&*store.view().expect("a view")).expect("the rows");
        assert_eq!(read(&store), OperatorRows::from([(name.clone(), row.clone())]));
        let (entry, _) = row.loaded.expect("an entry");
        let entry = entry.config().expect("a valid entry");
        assert!(entry.is_like(&config), "{entry:?}");
        assert_eq!(entry.source, EntrySource::Operator);
        set_operator_row(&store, &name, &OperatorRow::default()).expect("a write");
        assert_eq!(read(&store), OperatorRows::new());
    }

    #[test]
    fn the_rows_of_all_modules_are_replaced() {
        let store = MemoryStore::new();
        let name = |name: &str| name.parse::<ModuleName>().expect("a name");
        let stopped = |by: Actor| OperatorRow {
            stopped: Some(act(by)),
            ..OperatorRow::default()
        };
        for module in ["gone", "stays"] {
            set_operator_row(&store, &name(module), &stopped(Actor::Program)).expect("a write");
        }
        let rows = OperatorRows::from([
            (name("stays"), stopped(Actor::Token)),
            (name("new"), stopped(Actor::User(7))),
            (name("empty"), OperatorRow::default()),
        ]);
        replace_operator_rows(&store, &rows).expect("a write");
        let mut expected = rows;
        expected.remove(&name("empty"));
        assert_eq!(
            operator_rows(&*store.view().expect("a view")).expect("the rows"),
            expected
        );
    }

    #[test]
    fn a_loaded_module_is_wanted_although_the_configured_one_is_removed() {
        let entry = LoadedEntry::from(&ModuleConfig::new("a.wasm"));
        let mut row = OperatorRow {
            removed: Some(act(Actor::Program)),
            ..OperatorRow::default()
        };
        assert_eq!(row.wanted(), Wanted::Removed);
        row.loaded = Some((entry, act(Actor::Program)));
        assert_eq!(row.wanted(), Wanted::Running);
        row.stopped = Some(act(Actor::Program));
        assert_eq!(row.wanted(), Wanted::Stopped);
    }
}
