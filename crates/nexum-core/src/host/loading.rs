//! The modules that a host is loading.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

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
pub(super) struct Loading(Arc<List>);

#[derive(Debug, Default)]
struct List {
    entries: Mutex<Entries>,
    /// Notified when a module leaves the list.
    left: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    /// Each module, and the token that cancels its load.
    modules: BTreeMap<u64, (LoadingModule, CancellationToken)>,
}

/// Keeps a module in the list until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    list: Loading,
    number: u64,
    cancelled: CancellationToken,
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
        let cancelled = CancellationToken::new();
        let mut entries = self.0.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.modules.insert(number, (module, cancelled.clone()));
        Entry {
            list: self.clone(),
            number,
            cancelled,
        }
    }

    pub(super) fn all(&self) -> Vec<LoadingModule> {
        let entries = self.0.entries.lock();
        entries.modules.values().map(|(module, _)| module.clone()).collect()
    }

    pub(super) fn has(&self, name: &ModuleName) -> bool {
        let entries = self.0.entries.lock();
        entries.modules.values().any(|(module, _)| module.meta.name == *name)
    }

    /// Cancels the loads of a module, and waits until they have ended. A load that is too far to be
    /// cancelled ends with a module that runs. Returns whether there was a load.
    pub(super) async fn cancel(&self, name: &ModuleName) -> bool {
        let mut was_loading = false;
        loop {
            let mut left = pin!(self.0.left.notified());
            // A module that leaves the list from here on wakes this task.
            left.as_mut().enable();
            let mut is_loading = false;
            for (module, cancelled) in self.0.entries.lock().modules.values() {
                if module.meta.name == *name {
                    cancelled.cancel();
                    is_loading = true;
                }
            }
            if !is_loading {
                return was_loading;
            }
            was_loading = true;
            left.await;
        }
    }
}

impl Entry {
    /// Records that the component is compiled.
    pub(super) fn compiled(&self) {
        if let Some((module, _)) = self.list.0.entries.lock().modules.get_mut(&self.number) {
            module.is_compiled = true;
        }
    }

    /// Waits until the load is cancelled.
    pub(super) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.0.entries.lock().modules.remove(&self.number);
        self.list.0.left.notify_waiters();
    }
}
