//! What has to be there before a module starts.

use std::collections::HashMap;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use tokio::task::JoinSet;

use super::chains::Sources;
use crate::bus::source::SourceError;
use crate::module::loader::Module;
use crate::runner::topics;
use crate::store::StoreError;

/// Why a module was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A module subscribes to a chain without a source.
    #[error("no source follows chain {chain_id}")]
    NoSource {
        /// The chain.
        chain_id: ChainId,
    },
    /// A chain that a module cannot be without cannot be read.
    #[error("chain {}, which the module {module} requires, cannot be read", error.chain_id)]
    NotReady {
        /// The module.
        module: ModuleName,
        /// What is wrong with the chain.
        #[source]
        error: SourceError,
    },
    /// The state of a module cannot be read.
    #[error("the state store cannot be used")]
    Store(#[from] StoreError),
}

/// Refuses modules that follow a chain, or cannot be without one, which has no source.
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

/// Waits for every chain that one of these modules cannot be without, at the same time.
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
        // A source that panics here is named when it is followed.
        ready.unwrap_or(Ok(()))?;
    }
    Ok(())
}
