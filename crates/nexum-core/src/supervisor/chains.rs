//! The chains that modules follow: their logs, and the tasks that append to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::topic::{ChainId, ChainTopic, Finality};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bus::source::{ChainLogs, EventSource, Followed, SourceError};
use crate::state::Headers;
use crate::store::committer::Lazy;
use crate::store::{StateStore, StoreError};

/// The chains that there are sources for.
pub(super) type Sources = BTreeMap<ChainId, Arc<dyn EventSource>>;

/// The chains that somebody follows, or needs.
pub(super) struct Chains {
    sources: Sources,
    store: Arc<dyn StateStore>,
    lazy: Lazy,
    chains: BTreeMap<ChainId, Chain>,
    /// Chains that nobody follows, whose sources are kept fit for those who ask them.
    needed: BTreeMap<ChainId, CancellationToken>,
    tasks: JoinSet<Result<(), SourceError>>,
    stop: CancellationToken,
}

struct Chain {
    logs: ChainLogs,
    is_followed: bool,
}

impl Chains {
    pub(super) fn new(sources: Sources, store: Arc<dyn StateStore>, lazy: Lazy, stop: CancellationToken) -> Self {
        Self {
            sources,
            store,
            lazy,
            chains: BTreeMap::new(),
            needed: BTreeMap::new(),
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// The chains that there are sources for.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Makes logs for these topics, with what the store remembers of their chains. Nothing is appended to new ones before
    /// [`Self::begin`], so that whoever reads them misses nothing.
    pub(super) async fn open(
        &mut self,
        topics: &BTreeSet<ChainTopic>,
    ) -> Result<BTreeMap<ChainTopic, Followed>, StoreError> {
        let chains = topics.iter().map(|topic| topic.chain_id);
        let unknown: BTreeSet<_> = chains.filter(|chain_id| !self.chains.contains_key(chain_id)).collect();
        if !unknown.is_empty() {
            let (store, lazy) = (self.store.clone(), self.lazy.clone());
            let load = tokio::task::spawn_blocking(move || {
                let view = &*store.view()?;
                let load = |chain_id| Ok((chain_id, Headers::load(view, chain_id, lazy.clone())?));
                unknown.into_iter().map(load).collect::<Result<Vec<_>, StoreError>>()
            });
            for (chain_id, headers) in load.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))? {
                let logs = ChainLogs::remembered(chain_id, headers);
                let is_followed = false;
                self.chains.insert(chain_id, Chain { logs, is_followed });
            }
        }
        // Before anyone looks for the finalized blocks of its chain.
        for topic in topics {
            if let Some(chain) = self.chains.get(&topic.chain_id) {
                chain.logs.open(topic.finality);
            }
        }
        let followed = |topic: &ChainTopic| {
            let logs = &self.chains.get(&topic.chain_id)?.logs;
            let followed = Followed {
                log: logs.open(topic.finality),
                finalized: logs.get(Finality::Finalized),
                source: self.sources.get(&topic.chain_id)?.clone(),
            };
            Some((*topic, followed))
        };
        Ok(topics.iter().filter_map(followed).collect())
    }

    /// Has the sources of all open topics append to them, and those of the chains in `needed` do what they do without.
    pub(super) fn begin(&mut self, needed: impl IntoIterator<Item = ChainId>) {
        for (chain_id, chain) in &mut self.chains {
            if !std::mem::replace(&mut chain.is_followed, true)
                && let Some(source) = self.sources.get(chain_id).cloned()
            {
                self.needed.remove(chain_id).inspect(CancellationToken::cancel);
                self.tasks.spawn(follow(source, chain.logs.clone(), self.stop.clone()));
            }
        }
        for chain_id in needed {
            if !self.chains.contains_key(&chain_id)
                && !self.needed.contains_key(&chain_id)
                && let Some(source) = self.sources.get(&chain_id).cloned()
            {
                let stop = self.stop.child_token();
                self.needed.insert(chain_id, stop.clone());
                self.tasks.spawn(follow(source, ChainLogs::new(chain_id), stop));
            }
        }
    }

    /// Whether no chain is followed.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The next end of a source; never, if there is none.
    pub(super) async fn ended(&mut self) -> Result<Result<(), SourceError>, JoinError> {
        match self.tasks.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Ends them all, and returns those that were lost in the last moment.
    pub(super) async fn finish(&mut self) -> Vec<SourceError> {
        self.stop.cancel();
        let mut lost = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            lost.extend(ended.ok().and_then(Result::err));
        }
        lost
    }
}

/// Follows a chain, and tells those who read it when that has come to an end.
async fn follow(source: Arc<dyn EventSource>, logs: ChainLogs, stop: CancellationToken) -> Result<(), SourceError> {
    let followed = source.follow(&logs, &stop).await;
    if let Err(error) = &followed {
        let causes = std::iter::successors(
            error.source.as_deref().map(|cause| cause as &dyn std::error::Error),
            |error| error.source(),
        );
        let reason = causes.fold(error.reason.clone(), |text, cause| format!("{text}: {cause}"));
        logs.all().iter().for_each(|log| log.close(&reason));
    }
    followed
}
