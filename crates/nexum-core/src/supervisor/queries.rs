//! The modules of a run that answer queries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::ModuleName;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Run;
use super::error::SteerError;
use super::start::StartError;
use crate::module::query::QueryModule;
use crate::query::QueryPool;
use crate::state;
use crate::store::{self, StoreError};

/// The interval between two searches for idle instances. An instance can stay idle for up to this
/// much longer than [`QueryPool::IDLE_MAX`].
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(QueryPool::IDLE_MAX.as_secs() / 2);

/// The modules that answer queries, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Queries(Arc<Mutex<BTreeMap<ModuleName, Arc<QueryPool>>>>);

impl Queries {
    pub(super) fn get(&self, name: &ModuleName) -> Option<Arc<QueryPool>> {
        self.0.lock().get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<QueryPool>> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn discard_old(&self, now: Instant) {
        self.all().iter().for_each(|pool| pool.discard_old(now));
    }

    /// Removes a module. It still answers the calls in progress.
    pub(super) fn remove(&self, name: &ModuleName) -> bool {
        let removed = self.0.lock().remove(name);
        removed.as_ref().inspect(|pool| pool.retire()).is_some()
    }

    fn insert(&self, pool: QueryPool) {
        let replaced = self.0.lock().insert(pool.name().clone(), Arc::new(pool));
        replaced.inspect(|pool| pool.retire());
    }
}

impl Run {
    /// Starts answering the queries of these modules. Each replaces an earlier module of its name.
    pub(super) async fn answer(&mut self, modules: Vec<QueryModule>) -> Result<(), StoreError> {
        let names: Vec<_> = modules.iter().map(|module| module.meta.name.clone()).collect();
        let ids = store::blocking(&self.store, move |store| state::intern(store, &names)).await?;
        for (module, id) in modules.into_iter().zip(ids) {
            self.queries.insert(QueryPool::new(module, id, self.store.clone()));
        }
        Ok(())
    }

    /// Replaces a module that answers queries.
    pub(super) async fn reload_query(&mut self, module: QueryModule) -> Result<(), SteerError> {
        let name = &module.meta.name;
        if self.queries.get(name).is_none() {
            return Err(SteerError::NoModule(name.clone()));
        }
        Ok(self.answer(vec![module]).await.map_err(StartError::Store)?)
    }
}
