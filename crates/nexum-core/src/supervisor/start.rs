//! The conditions for a module's start.

use std::collections::HashMap;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use tokio::task::JoinSet;

use super::chains::Sources;
use crate::bus::source::SourceError;
use crate::module::loader::Module;
use crate::runner::topics;
use crate::store::StoreError;

/// An error of starting a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A module subscribes to a chain without a source.
    #[error("no source follows chain {chain_id}")]
    NoSource {
        /// The chain id.
        chain_id: ChainId,
    },
    /// A chain that a module needs is not readable.
    #[error("chain {}, which the module {module} requires, cannot be read", error.chain_id)]
    NotReady {
        /// The module.
        module: ModuleName,
        /// The fault of the chain.
        #[source]
        error: SourceError,
    },
    /// The module's state is not readable.
    #[error("the state store cannot be used")]
    Store(#[from] StoreError),
}

/// Refuses modules that follow or need a chain without a source.
pub(super) fn check_sources<'a>(
    sources: &Sources,
    modules: impl IntoIterator<Item = &'a Module>,
) -> Result<(), StartError> {
    for module in modules {
        let followed = topics(module).into_iter().map(|topic| topic.chain_id);
        let mut chains = followed.chain(module.required_chains.iter().copied());
        if let Some(chain_id) = chains.find(|chain_id| !sources.contains_key(chain_id)) {
            return Err(StartError::NoSource { chain_id });
        }
    }
    Ok(())
}

/// Waits for all chains that these modules need, concurrently.
pub(super) async fn ready<'a>(
    sources: &Sources,
    modules: impl IntoIterator<Item = &'a Module>,
) -> Result<(), StartError> {
    let mut required = HashMap::new();
    for module in modules {
        for chain_id in &module.required_chains {
            required.entry(*chain_id).or_insert(&module.meta.name);
        }
    }
    let mut waiting = JoinSet::new();
    for (chain_id, module) in required {
        if let Some(source) = sources.get(&chain_id).cloned() {
            let module = module.clone();
            waiting.spawn(async move {
                let ready = source.ready().await;
                ready.map_err(|error| StartError::NotReady { module, error })
            });
        }
    }
    while let Some(ready) = waiting.join_next().await {
        // The supervisor reports a source that panics here when it follows the chain.
        ready.unwrap_or(Ok(()))?;
    }
    Ok(())
}
