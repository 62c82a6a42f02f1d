//! Counts the requests of modules to one chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{Counter, counter};
use nexum_config::topic::ChainId;
use nexum_core::source::ModuleRequests;
use parking_lot::Mutex;

use crate::metrics::{CHAIN, CLASS, Class, MODULE, MODULE_REQUESTS};

/// The requests of modules to one chain, by module and class. There are as many modules as the
/// operator loads.
pub(crate) struct ModuleCounts {
    chain_id: ChainId,
    by_module: Mutex<BTreeMap<Arc<str>, Classes>>,
}

type Classes = [Count; Class::ALL.len()];

struct Count {
    requests: u64,
    metric: Counter,
}

impl ModuleCounts {
    pub(crate) fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            by_module: Mutex::default(),
        }
    }

    /// Counts a request of a module.
    pub(crate) fn asked(&self, module: &Arc<str>, method: &str) {
        let mut by_module = self.by_module.lock();
        let classes = match by_module.get_mut(module) {
            Some(classes) => classes,
            None => by_module
                .entry(Arc::clone(module))
                .or_insert_with(|| classes(self.chain_id, module)),
        };
        let count = &mut classes[Class::of(method) as usize];
        count.requests = count.requests.saturating_add(1);
        count.metric.increment(1);
    }

    /// The counts above 0, by module.
    pub(crate) fn report(&self) -> Vec<ModuleRequests> {
        let by_module = self.by_module.lock();
        let counts = by_module.iter().flat_map(|(module, classes)| {
            Class::ALL
                .iter()
                .zip(classes)
                .map(move |(class, count)| (module, class, count))
        });
        counts
            .filter(|(_, _, count)| count.requests > 0)
            .map(|(module, class, count)| ModuleRequests {
                module: module.to_string(),
                class: class.label(),
                count: count.requests,
            })
            .collect()
    }
}

fn classes(chain_id: ChainId, module: &str) -> Classes {
    Class::ALL.map(|class| Count {
        requests: 0,
        metric: counter!(
            MODULE_REQUESTS,
            MODULE => module.to_owned(),
            CHAIN => chain_id.to_string(),
            CLASS => class.label()
        ),
    })
}

impl std::fmt::Debug for ModuleCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleCounts")
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}
