//! The conditions for a module's start.

use std::time::Duration;

use nexum_config::topic::ChainId;
use tokio::task::JoinSet;

use super::chains::Sources;
use crate::module::loader::Module;
use crate::runner::topics;
use crate::store::StoreError;

/// The longest time that an operator's load waits for the first answers of chains: far more than a working endpoint
/// needs for a connection and a request.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);

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

/// Attempts to read each chain that a module requires and that is not in trouble, so that the run knows the state of
/// the chains when it adds the module. A module whose chains are readable then starts at once, and another one waits
/// by itself.
pub(super) async fn attempt_required(sources: &Sources, module: Option<&Module>) {
    let required = module.into_iter().flat_map(|module| &module.required_chains);
    let sources = required.filter_map(|chain_id| sources.get(chain_id));
    let mut attempts = JoinSet::new();
    for source in sources.filter(|source| source.trouble().is_none()) {
        let source = source.clone();
        attempts.spawn(async move { source.attempt().await });
    }
    let all = async { while attempts.join_next().await.is_some() {} };
    // The runner of the module waits for a chain without an answer.
    let _ = tokio::time::timeout(ATTEMPT_MAX, all).await;
}
