//! The conditions for a module's start.

use nexum_config::topic::ChainId;
use tokio::task::JoinSet;

use super::chains::Sources;
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

/// Gives each chain that a module requires the time to become readable, unless it is in trouble. Each
/// source bounds the wait. A module whose chains are readable then starts at once, and another one waits
/// by itself.
pub(super) async fn await_readable(sources: &Sources, module: Option<&Module>) {
    let required = module.into_iter().flat_map(|module| &module.required_chains);
    let sources = required.filter_map(|chain_id| sources.get(chain_id));
    let mut waiting = JoinSet::new();
    for source in sources.filter(|source| source.trouble().is_none()) {
        let source = source.clone();
        waiting.spawn(async move { drop(source.ready().await) });
    }
    // The runner of the module reports a chain that is not readable.
    while waiting.join_next().await.is_some() {}
}
