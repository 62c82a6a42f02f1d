//! The modules that a host runs: those of the configuration, and what the operator changed.

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_config::names::ModuleName;

use super::entries::{self, ModuleEntry};
use crate::state::OperatorRows;

/// Selects modules, and collects the entries of the configured ones.
pub(super) struct Selection {
    rows: OperatorRows,
    with_disabled: bool,
    /// The modules of the configuration or of the command line, in their order.
    pub(super) configured: Vec<ModuleEntry>,
    /// The names of modules that the operator loaded, and that the configuration has meanwhile.
    pub(super) superseded: Vec<ModuleName>,
}

impl Selection {
    /// A selection with these rows of the operator. It includes disabled modules only if `with_disabled`.
    pub(super) fn new(rows: OperatorRows, with_disabled: bool) -> Self {
        Self {
            rows,
            with_disabled,
            configured: Vec::new(),
            superseded: Vec::new(),
        }
    }

    /// The modules to inspect: the configured ones, and then those that the operator loaded.
    pub(super) fn all(&self, configured: Vec<ModuleConfig>) -> Vec<ModuleConfig> {
        let loaded = entries::loaded(&self.rows).into_values();
        configured.into_iter().chain(loaded).collect()
    }

    /// Whether the host runs this module. `name` is `None` if the files with the name are faulty.
    pub(super) fn admits(&mut self, config: &ModuleConfig, name: Option<&ModuleName>) -> bool {
        let row = name.and_then(|name| self.rows.get(name));
        let is_removed = row.is_some_and(|row| row.removed.is_some());
        if config.source != EntrySource::Operator {
            self.configured.push(ModuleEntry {
                name: name.cloned(),
                config: config.clone(),
            });
            return !is_removed && (config.enabled || self.with_disabled);
        }
        let Some(name) = name else { return true };
        let mut enabled = self.configured.iter().filter(|entry| entry.config.enabled);
        let is_superseded = !is_removed && enabled.any(|entry| entry.name.as_ref() == Some(name));
        if is_superseded {
            self.superseded.push(name.clone());
        }
        !is_superseded
    }
}
