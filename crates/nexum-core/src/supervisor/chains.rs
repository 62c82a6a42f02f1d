//! The chains of the modules: their logs, and the tasks that append to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::topic::{ChainId, ChainTopic, Finality};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bus::report::Trouble;
use crate::bus::source::{ChainLogs, EventSource, SourceError, TopicHandle};
use crate::state::HeaderStore;
use crate::store::committer::Lazy;
use crate::store::{self, StateStore, StoreError};

/// The chains that have a source.
pub(super) type Sources = BTreeMap<ChainId, Arc<dyn EventSource>>;

/// The chains whose sources have trouble, with the reasons.
pub(super) fn troubles(sources: &Sources) -> BTreeMap<ChainId, Trouble> {
    let trouble = |(chain_id, source): (&ChainId, &Arc<dyn EventSource>)| Some((*chain_id, source.trouble()?));
    sources.iter().filter_map(trouble).collect()
}

/// The chains that modules follow or need.
pub(super) struct Chains {
    sources: Sources,
    store: Arc<dyn StateStore>,
    lazy: Lazy,
    chains: BTreeMap<ChainId, Chain>,
    /// Chains that no module follows. Their sources run for modules that send requests to them.
    needed: BTreeMap<ChainId, CancellationToken>,
    /// Held by the task that follows a chain. The next task waits for its end.
    following: BTreeMap<ChainId, Arc<tokio::sync::Mutex<()>>>,
    tasks: JoinSet<Result<(), SourceError>>,
    stop: CancellationToken,
}

struct Chain {
    logs: ChainLogs,
    is_followed: bool,
    stop: CancellationToken,
}

impl Chains {
    pub(super) fn new(sources: Sources, store: Arc<dyn StateStore>, lazy: Lazy, stop: CancellationToken) -> Self {
        Self {
            sources,
            store,
            lazy,
            chains: BTreeMap::new(),
            needed: BTreeMap::new(),
            following: BTreeMap::new(),
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// The chains that have a source.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Creates logs for these topics, with the stored headers of their chains. No source appends to
    /// a new log before [`Self::begin`], so that its readers miss no block.
    pub(super) async fn open(
        &mut self,
        topics: &BTreeSet<ChainTopic>,
    ) -> Result<BTreeMap<ChainTopic, TopicHandle>, StoreError> {
        let chains = topics.iter().map(|topic| topic.chain_id);
        let unknown: BTreeSet<_> = chains.filter(|chain_id| !self.chains.contains_key(chain_id)).collect();
        if !unknown.is_empty() {
            let lazy = self.lazy.clone();
            let load = move |store: &dyn StateStore| {
                let view = &*store.view()?;
                let load = |chain_id| Ok((chain_id, HeaderStore::load(view, chain_id, lazy.clone())?));
                unknown.into_iter().map(load).collect::<Result<Vec<_>, StoreError>>()
            };
            for (chain_id, headers) in store::blocking(&self.store, load).await? {
                let logs = ChainLogs::remembered(chain_id, headers);
                let chain = Chain {
                    logs,
                    is_followed: false,
                    stop: self.stop.child_token(),
                };
                self.chains.insert(chain_id, chain);
            }
        }
        // All logs exist before the search for a chain's finalized blocks.
        for topic in topics {
            if let Some(chain) = self.chains.get(&topic.chain_id) {
                chain.logs.open(topic.finality);
            }
        }
        let followed = |topic: &ChainTopic| {
            let logs = &self.chains.get(&topic.chain_id)?.logs;
            let followed = TopicHandle {
                log: logs.open(topic.finality),
                finalized: logs.get(Finality::Finalized),
                source: self.sources.get(&topic.chain_id)?.clone(),
            };
            Some((*topic, followed))
        };
        Ok(topics.iter().filter_map(followed).collect())
    }

    /// Starts the sources of all open topics, and of the chains in `needed`, which have no log.
    pub(super) fn begin(&mut self, needed: impl IntoIterator<Item = ChainId>) {
        for (chain_id, chain) in &mut self.chains {
            if !std::mem::replace(&mut chain.is_followed, true)
                && let Some(source) = self.sources.get(chain_id).cloned()
            {
                self.needed.remove(chain_id).inspect(CancellationToken::cancel);
                let alone = self.following.entry(*chain_id).or_default().clone();
                self.tasks
                    .spawn(follow(source, chain.logs.clone(), chain.stop.clone(), alone));
            }
        }
        for chain_id in needed {
            if !self.chains.contains_key(&chain_id)
                && !self.needed.contains_key(&chain_id)
                && let Some(source) = self.sources.get(&chain_id).cloned()
            {
                let stop = self.stop.child_token();
                self.needed.insert(chain_id, stop.clone());
                let alone = self.following.entry(chain_id).or_default().clone();
                self.tasks.spawn(follow(source, ChainLogs::new(chain_id), stop, alone));
            }
        }
    }

    /// Ends the sources of the chains that are not in `used`. A later [`Self::open`] follows them again, from
    /// their stored headers.
    pub(super) fn retain(&mut self, used: &BTreeSet<ChainId>) {
        let unused = self.chains.extract_if(.., |chain_id, _| !used.contains(chain_id));
        unused.for_each(|(_, chain)| chain.stop.cancel());
        let unused = self.needed.extract_if(.., |chain_id, _| !used.contains(chain_id));
        unused.for_each(|(_, stop)| stop.cancel());
    }

    /// Whether no source runs.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next end of a source. Never returns without a source.
    pub(super) async fn ended(&mut self) -> Result<Result<(), SourceError>, JoinError> {
        match self.tasks.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Ends all sources, and returns the errors of those that failed meanwhile.
    pub(super) async fn finish(&mut self) -> Vec<SourceError> {
        self.stop.cancel();
        let mut lost = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            lost.extend(ended.ok().and_then(Result::err));
        }
        lost
    }
}

/// Follows a chain, after the end of an earlier task that followed it. After an error, closes the chain's logs
/// with the reason.
async fn follow(
    source: Arc<dyn EventSource>,
    logs: ChainLogs,
    stop: CancellationToken,
    alone: Arc<tokio::sync::Mutex<()>>,
) -> Result<(), SourceError> {
    let _alone = alone.lock().await;
    let followed = source.follow(&logs, &stop).await;
    if let Err(error) = &followed {
        let reason = error.reason_with_causes();
        logs.all().iter().for_each(|log| log.close(&reason));
    }
    followed
}
