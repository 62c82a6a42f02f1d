//! The entries for modules that a host knows, and what the operator wants of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};

use crate::clock::Clock;
use crate::membership::Tenure;
use crate::state::{self, Act, OperatorRow, OperatorRows, Wanted};
use crate::store::{self, StateStore, StoreError};

/// A module that the configuration or the command line names.
#[derive(Clone, Debug)]
pub struct ModuleEntry {
    /// The module's name. `None` if the files with the name are faulty.
    pub name: Option<ModuleName>,
    /// The operator's entry for the module.
    pub config: ModuleConfig,
}

/// A module that has an entry and is not to run.
#[derive(Clone, Debug)]
pub struct AbsentModule {
    /// The entry for the module.
    pub entry: ModuleEntry,
    /// The command that removed the module. `None` if its entry says `enabled = false`.
    pub removed: Option<Act>,
    /// The time of the removal, or the time since which nexum knows that the entry disables the module,
    /// in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// How long a command of an operator has effect.
#[derive(Debug)]
pub enum Lasts {
    /// Until another command.
    AcrossRestarts,
    /// Until the process ends, because the store is in memory.
    UntilExit,
    /// Until the process ends, because the store failed.
    Unstored(StoreError),
}

/// The turn of one of the operator's commands to a module. It ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "a lock")] Arc<OwnedMutexGuard<()>>);

/// The entries of a host, and the operator's rows. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Entries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn StateStore>,
    configured: Mutex<Configured>,
    clock: Arc<dyn Clock>,
    rows: Mutex<OperatorRows>,
    /// The modules whose last change is not in the store, because the store failed.
    unstored: Mutex<BTreeSet<ModuleName>>,
    /// The number of changes by this process.
    changes: AtomicU64,
    /// One lock for the operator's commands to each module, as long as one is in progress.
    turns: Mutex<HashMap<ModuleName, Weak<tokio::sync::Mutex<()>>>>,
}

/// The modules of the configuration or of the command line.
#[derive(Debug, Default)]
struct Configured {
    /// The entries, in their order.
    entries: Vec<ModuleEntry>,
    /// The time since which nexum knows that an entry disables a module of this path, in milliseconds
    /// since the Unix epoch.
    disabled: BTreeMap<PathBuf, u64>,
}

impl Configured {
    /// Replaces the entries. A module that stays disabled keeps its time.
    fn replace(&mut self, entries: Vec<ModuleEntry>, now_ms: u64) {
        let disabled = entries.iter().filter(|entry| !entry.config.enabled).map(|entry| {
            let path = entry.config.path.to_path_buf();
            let since_ms = self.disabled.get(&path).copied().unwrap_or(now_ms);
            (path, since_ms)
        });
        self.disabled = disabled.collect();
        self.entries = entries;
    }
}

impl Entries {
    pub(super) fn new(
        store: Arc<dyn StateStore>,
        entries: Vec<ModuleEntry>,
        rows: OperatorRows,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut configured = Configured::default();
        configured.replace(entries, clock.now_ms());
        Self(Arc::new(Shared {
            store,
            configured: Mutex::new(configured),
            clock,
            rows: Mutex::new(rows),
            unstored: Mutex::default(),
            changes: AtomicU64::new(0),
            turns: Mutex::default(),
        }))
    }

    /// The modules of the configuration or of the command line.
    pub(super) fn configured(&self) -> Vec<ModuleEntry> {
        self.0.configured.lock().entries.clone()
    }

    pub(super) fn set_configured(&self, entries: Vec<ModuleEntry>) {
        self.0.configured.lock().replace(entries, self.0.clock.now_ms());
    }

    /// The configured entry of this name, if the module is enabled.
    pub(super) fn enabled(&self, name: &ModuleName) -> Option<ModuleConfig> {
        let configured = self.0.configured.lock();
        let mut enabled = configured.entries.iter().filter(|entry| entry.config.enabled);
        let found = enabled.find(|entry| entry.name.as_ref() == Some(name));
        found.map(|entry| entry.config.clone())
    }

    /// Whether the only entry of this name says `enabled = false`.
    pub(super) fn is_disabled(&self, name: &ModuleName) -> bool {
        let configured = self.0.configured.lock();
        let mut named = configured
            .entries
            .iter()
            .filter(|entry| entry.name.as_ref() == Some(name))
            .peekable();
        named.peek().is_some() && named.all(|entry| !entry.config.enabled)
    }

    pub(super) fn row(&self, name: &ModuleName) -> OperatorRow {
        self.0.rows.lock().get(name).cloned().unwrap_or_default()
    }

    pub(super) fn rows(&self) -> OperatorRows {
        self.0.rows.lock().clone()
    }

    /// The entries of the modules that the operator loaded.
    pub(super) fn loaded(&self) -> BTreeMap<ModuleName, ModuleConfig> {
        loaded(&self.0.rows.lock())
    }

    /// Whether the operator wants the module to be stopped.
    pub(super) fn is_stopped(&self, name: &ModuleName) -> bool {
        let rows = self.0.rows.lock();
        rows.get(name).is_some_and(|row| row.wanted() == Wanted::Stopped)
    }

    /// The modules that have an entry and are not to run.
    pub(super) fn absent(&self) -> Vec<AbsentModule> {
        let rows = self.rows();
        let removed = |entry: &ModuleEntry| {
            let row = rows.get(entry.name.as_ref()?)?;
            row.removed.clone().filter(|_| row.wanted() == Wanted::Removed)
        };
        let configured = self.0.configured.lock();
        let absent = |entry: &ModuleEntry| {
            let removed = removed(entry);
            let disabled = configured.disabled.get(&*entry.config.path).copied();
            let disabled = disabled.filter(|_| !entry.config.enabled);
            let since_ms = removed.as_ref().map(|act| act.at_ms).or(disabled)?;
            Some(AbsentModule {
                entry: entry.clone(),
                removed,
                since_ms,
            })
        };
        configured.entries.iter().filter_map(absent).collect()
    }

    /// Waits until no other command of the operator to this module is in progress.
    pub(super) async fn turn(&self, name: &ModuleName) -> Turn {
        let lock = {
            let mut turns = self.0.turns.lock();
            turns.retain(|_, lock| lock.strong_count() > 0);
            let known = turns.get(name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                turns.insert(name.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        Turn(Arc::new(lock.lock_owned().await))
    }

    /// Changes the operator's row of a module, and returns when the change is durable. The change begins
    /// when the caller first polls the future, and then needs no caller: it keeps the turn until its end.
    pub(super) async fn change(&self, name: &ModuleName, turn: &Turn, change: impl FnOnce(&mut OperatorRow)) -> Lasts {
        let Some(row) = self.changed(name, change) else {
            return self.lasts();
        };
        let (module, turn) = (name.clone(), turn.clone());
        let write = move |store: &dyn StateStore| {
            let written = state::set_operator_row(store, &module, &row);
            drop(turn);
            written
        };
        match store::blocking(&self.0.store, write).await {
            Ok(()) => {
                self.0.unstored.lock().remove(name);
                self.lasts()
            }
            Err(error) => Lasts::Unstored(error),
        }
    }

    /// Changes the operator's row of a module in memory. Returns the new row if the store does not have it.
    fn changed(&self, name: &ModuleName, change: impl FnOnce(&mut OperatorRow)) -> Option<OperatorRow> {
        let mut rows = self.0.rows.lock();
        let before = rows.get(name).cloned().unwrap_or_default();
        let mut row = before.clone();
        change(&mut row);
        match row.is_empty() {
            true => rows.remove(name),
            false => rows.insert(name.clone(), row.clone()),
        };
        let mut unstored = self.0.unstored.lock();
        if row != before {
            self.0.changes.fetch_add(1, Ordering::Release);
            // Until the store has it.
            unstored.insert(name.clone());
        }
        unstored.contains(name).then_some(row)
    }

    /// Reads the rows again whenever the process begins or ceases to own modules: the operator may have given
    /// commands to other nodes. Never returns.
    pub(super) async fn refresh_with(&self, tenure: Option<watch::Receiver<Tenure>>) {
        if let Some(mut tenure) = tenure {
            while tenure.changed().await.is_ok() {
                self.refresh().await;
            }
        }
        std::future::pending().await
    }

    /// Reads the rows again, except those that a command changes now.
    async fn refresh(&self) {
        if !self.0.unstored.lock().is_empty() {
            return;
        }
        let read = |store: &dyn StateStore| state::operator_rows(&*store.view()?);
        let changes = self.0.changes.load(Ordering::Acquire);
        let stored = match store::blocking(&self.0.store, read).await {
            Ok(stored) => stored,
            // The modules that wait for the store say so.
            Err(error) => return tracing::debug!(%error, "nexum cannot read what the operator wants"),
        };
        let mut rows = self.0.rows.lock();
        let unstored = self.0.unstored.lock();
        if unstored.is_empty() && self.0.changes.load(Ordering::Acquire) == changes {
            *rows = stored;
        }
    }

    /// Forgets that the operator loaded these modules, because the configuration has them now.
    pub(super) async fn supersede(&self, names: &[ModuleName]) {
        for name in names {
            let module = name.as_str();
            tracing::warn!(
                module,
                "the configuration has the module now, and replaces what the operator loaded with `nexum module load`"
            );
            let turn = self.turn(name).await;
            if let Lasts::Unstored(error) = self.change(name, &turn, |row| row.loaded = None).await {
                tracing::error!(module, %error, "the state store failed: the next start of nexum repeats this");
            }
        }
    }

    fn lasts(&self) -> Lasts {
        match self.0.store.is_durable() {
            true => Lasts::AcrossRestarts,
            false => Lasts::UntilExit,
        }
    }
}

/// The entries of the modules that the operator loaded, according to these rows.
pub(super) fn loaded(rows: &OperatorRows) -> BTreeMap<ModuleName, ModuleConfig> {
    let config = |(name, row): (&ModuleName, &OperatorRow)| {
        let (entry, _) = row.loaded.as_ref()?;
        // The rows have been decoded, so their entries are valid.
        let config = entry.config().ok()?;
        Some((
            name.clone(),
            ModuleConfig {
                name: Some(name.clone()),
                ..config
            },
        ))
    };
    rows.iter().filter_map(config).collect()
}

/// Whether an entry names a configured module by its files alone.
pub(super) fn names_files_of(entry: &ModuleConfig, configured: &ModuleConfig) -> bool {
    let absolute = |config: &ModuleConfig| {
        let paths = [Some(&config.path), config.manifest.as_ref()];
        paths.map(|path| path.map(|path| std::path::absolute(&**path).unwrap_or_else(|_| path.to_path_buf())))
    };
    let mut bare = ModuleConfig::new(entry.path.clone());
    bare.manifest.clone_from(&entry.manifest);
    bare.name.clone_from(&entry.name);
    bare.source = EntrySource::Operator;
    entry.is_like(&bare) && absolute(entry) == absolute(configured)
}
