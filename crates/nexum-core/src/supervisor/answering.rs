//! The pools that answer the queries of a run's modules.

use nexum_config::document::nearest;
use nexum_config::names::ModuleName;

use super::Run;
use super::start::StartError;
use crate::module::query::QueryModule;
use crate::query::QueryPool;
use crate::state::{self, ModuleId};
use crate::store::{self, StateStore, StoreError};

impl Run {
    /// Starts answering the queries of the modules that the run began with. A process that is not a member of its
    /// installation yet reads the store, and cannot add modules to it: modules that the store does not know wait
    /// until it joins.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be used. The modules then wait for the next call.
    pub(super) async fn answer(&mut self) -> Result<(), StoreError> {
        let names = names(&self.unanswered);
        let found = match self.find(names).await {
            Err(StoreError::Fenced { .. }) if !self.may_write() => return Ok(()),
            found => found?,
        };
        let modules = std::mem::take(&mut self.unanswered);
        let pools = self.pools_of(modules, found);
        pools.for_each(|pool| self.modules.set_queries(pool));
        Ok(())
    }

    /// Creates the pool of a module, if the module answers queries.
    pub(super) async fn pool(&self, queries: Option<Box<QueryModule>>) -> Result<Option<QueryPool>, StartError> {
        let queries = queries.map(|module| *module).into_iter().collect();
        Ok(self.pools(queries).await?.pop())
    }

    /// Creates the pools of these modules.
    pub(super) async fn pools(&self, modules: Vec<QueryModule>) -> Result<Vec<QueryPool>, StoreError> {
        let found = self.find(names(&modules)).await?;
        Ok(self.pools_of(modules, found).collect())
    }

    /// Finds the ids of modules, which it adds to the store if necessary, and all modules of the store.
    async fn find(&self, names: Vec<ModuleName>) -> Result<Found, StoreError> {
        if names.is_empty() {
            return Ok(Found::default());
        }
        let find = move |store: &dyn StateStore| {
            Ok(Found {
                ids: state::intern(store, &names)?,
                known: state::modules(&*store.view()?)?,
            })
        };
        store::blocking(&self.store, find).await
    }

    fn pools_of(&self, modules: Vec<QueryModule>, found: Found) -> impl Iterator<Item = QueryPool> + use<> {
        modules.iter().for_each(|module| warn_of_unknown(module, &found.known));
        let store = self.store.clone();
        let pool = move |(module, id)| QueryPool::new(module, id, store.clone());
        modules.into_iter().zip(found.ids).map(pool)
    }
}

/// The modules of the store.
#[derive(Default)]
struct Found {
    /// The ids of the requested modules, in their order.
    ids: Vec<ModuleId>,
    known: Vec<(ModuleName, ModuleId)>,
}

fn names(modules: &[QueryModule]) -> Vec<ModuleName> {
    modules.iter().map(|module| module.meta.name.clone()).collect()
}

/// Warns if the queries of a module read the rows of a module that the store does not have.
fn warn_of_unknown(module: &QueryModule, known: &[(ModuleName, ModuleId)]) {
    let Some(reads) = &module.reads else { return };
    if known.iter().all(|(name, _)| name != reads) {
        let names = known.iter().map(|(name, _)| name.as_str());
        tracing::warn!(
            module = module.meta.name.as_str(),
            nearest = nearest(reads.as_str(), names),
            "the module's queries read the state of the module {reads}, which is not in the store: they find no rows"
        );
    }
}
