//! The modules in compilation.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use parking_lot::Mutex;

use crate::capability::module_meta::ModuleMeta;

/// The modules in compilation, in the order of their start.
#[derive(Debug, Default)]
pub(super) struct Loading(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    entries: BTreeMap<u64, (ModuleConfig, Arc<ModuleMeta>)>,
}

/// Keeps a module in the list until it is dropped.
#[derive(Debug)]
pub(super) struct ListedModule<'a> {
    of: &'a Loading,
    number: u64,
}

impl Loading {
    pub(super) fn enter(&self, origin: &ModuleConfig, meta: &Arc<ModuleMeta>) -> ListedModule<'_> {
        let mut entries = self.0.lock();
        let number = entries.next;
        entries.next += 1;
        entries.entries.insert(number, (origin.clone(), meta.clone()));
        ListedModule { of: self, number }
    }

    pub(super) fn all(&self) -> Vec<(ModuleConfig, Arc<ModuleMeta>)> {
        self.0.lock().entries.values().cloned().collect()
    }
}

impl Drop for ListedModule<'_> {
    fn drop(&mut self) {
        self.of.0.lock().entries.remove(&self.number);
    }
}
