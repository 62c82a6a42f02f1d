//! The modules that a host is loading.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use parking_lot::Mutex;

use crate::capability::module_meta::ModuleMeta;
use crate::module::candidate::Candidate;

/// A module that passed its checks and has not started yet.
#[derive(Clone, Debug)]
pub struct LoadingModule {
    /// The operator's entry for the module.
    pub origin: ModuleConfig,
    /// The module's properties.
    pub meta: Arc<ModuleMeta>,
    /// The size of the component, in bytes.
    pub component_bytes: usize,
    /// The time since when the host loads the module, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Whether the component is compiled.
    pub is_compiled: bool,
}

/// The modules that a host is loading, in the order of their start. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Loading(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    modules: BTreeMap<u64, LoadingModule>,
}

/// Keeps a module in the list until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    list: Loading,
    number: u64,
}

impl Loading {
    pub(super) fn enter(&self, candidate: &Candidate) -> Entry {
        let meta = &candidate.meta;
        let module = LoadingModule {
            origin: candidate.origin.clone(),
            meta: meta.clone(),
            component_bytes: candidate.component_bytes(),
            since_ms: meta.clock.now_ms(),
            is_compiled: false,
        };
        let mut entries = self.0.lock();
        let number = entries.next;
        entries.next += 1;
        entries.modules.insert(number, module);
        Entry {
            list: self.clone(),
            number,
        }
    }

    pub(super) fn all(&self) -> Vec<LoadingModule> {
        self.0.lock().modules.values().cloned().collect()
    }

    pub(super) fn has(&self, name: &ModuleName) -> bool {
        self.0.lock().modules.values().any(|module| module.meta.name == *name)
    }
}

impl Entry {
    /// Records that the component is compiled.
    pub(super) fn compiled(&self) {
        if let Some(module) = self.list.0.lock().modules.get_mut(&self.number) {
            module.is_compiled = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.0.lock().modules.remove(&self.number);
    }
}
