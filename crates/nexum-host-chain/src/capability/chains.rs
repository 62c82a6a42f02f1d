//! All chains of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::topic::ChainId;
use nexum_core::capability::ChainMethods;
use nexum_core::source::EventSource;
use nexum_core::source::Position;
use parking_lot::RwLock;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::capability::requests::ChainRequests;
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::modules::ModuleCounts;
use crate::probe::{self, EndpointProbe};
use crate::rpc::endpoints::Endpoints;
use crate::rpc::submit::SubmitPlaces;
use crate::source::ChainSource;

/// The chains of the operator's configuration. Clones share their endpoints, and a change of the
/// configuration changes all clones: see [`Chains::replace`].
#[derive(Clone, Debug, Default)]
pub struct Chains {
    by_id: Arc<BTreeMap<ChainId, ConfiguredChain>>,
    /// The methods that other parts of the host answer.
    methods: Vec<Arc<dyn ChainMethods>>,
    /// Held while a change is prepared.
    changing: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct ConfiguredChain {
    current: RwLock<Current>,
    source: Arc<ChainSource>,
    modules: Arc<ModuleCounts>,
}

/// The parts of a chain that change with its configuration.
#[derive(Clone, Debug)]
struct Current {
    config: ChainConfig,
    endpoints: Arc<Endpoints>,
    requests: Arc<ChainRequests>,
    submit: Arc<SubmitPlaces>,
}

impl Current {
    fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        Self {
            config: config.clone(),
            requests: Arc::new(ChainRequests::new(config, Arc::clone(&endpoints))),
            submit: Arc::new(SubmitPlaces::new(config, Arc::clone(&endpoints))),
            endpoints,
        }
    }
}

impl ConfiguredChain {
    fn current(&self) -> Current {
        self.current.read().clone()
    }
}

impl Chains {
    /// Validates the `[chains.<id>]` tables of `engine.toml`, by chain id. Does not use the
    /// network.
    ///
    /// # Errors
    ///
    /// All errors in the tables.
    pub fn from_sections(sections: &BTreeMap<ChainId, Section>) -> Result<Self, ConfigErrors> {
        Self::configs(sections).map(Self::new)
    }

    /// Validates the `[chains.<id>]` tables of `engine.toml`, by chain id, for
    /// [`replace`](Self::replace) or [`probe`](crate::probe).
    ///
    /// # Errors
    ///
    /// All errors in the tables.
    pub fn configs(sections: &BTreeMap<ChainId, Section>) -> Result<Vec<ChainConfig>, ConfigErrors> {
        let mut errors = Vec::new();
        let mut configs = Vec::with_capacity(sections.len());
        for (chain_id, section) in sections {
            match ChainConfig::from_section(*chain_id, section) {
                Ok(config) => configs.push(config),
                Err(found) => errors.extend(found),
            }
        }
        ConfigErrors::check(errors)?;
        Ok(configs)
    }

    /// Creates the endpoints. Does not use the network. The last of several configurations of one
    /// chain overrides the others.
    pub fn new(configs: impl IntoIterator<Item = ChainConfig>) -> Self {
        let chain = |config: ChainConfig| {
            let endpoints = Arc::new(Endpoints::new(&config));
            let modules = Arc::new(ModuleCounts::new(config.chain_id));
            let source = ChainSource::new(&config, Arc::clone(&endpoints), Arc::clone(&modules));
            let configured = ConfiguredChain {
                current: RwLock::new(Current::new(&config, endpoints)),
                source: Arc::new(source),
                modules,
            };
            (config.chain_id, configured)
        };
        Self {
            by_id: Arc::new(configs.into_iter().map(chain).collect()),
            methods: Vec::new(),
            changing: Arc::default(),
        }
    }

    /// Adds methods of `chain.request` and `chain.request-batch` that another part of the host answers. The first part
    /// that answers a method receives its requests; no endpoint does. Clones from before do not have the methods.
    #[must_use]
    pub fn with_methods(mut self, methods: Arc<dyn ChainMethods>) -> Self {
        self.methods.push(methods);
        self
    }

    /// The part of the host that answers a method.
    pub(super) fn answering(&self, method: &str) -> Option<Arc<dyn ChainMethods>> {
        self.methods.iter().find(|methods| methods.answers(method)).cloned()
    }

    /// The part of the host that may change the parameters of a method.
    pub(super) fn rewriting(&self, method: &str) -> Option<Arc<dyn ChainMethods>> {
        self.methods.iter().find(|methods| methods.rewrites(method)).cloned()
    }

    /// Probes all endpoints: see [`probe`](crate::probe).
    pub async fn probe(&self) -> Vec<EndpointProbe> {
        let configs: Vec<_> = self.by_id.values().map(|chain| chain.current().config).collect();
        probe::probe(&configs).await
    }

    /// The chains, by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = ChainId> {
        self.by_id.keys().copied()
    }

    /// The configuration and the endpoints of a chain.
    pub(super) fn in_use(&self, chain_id: ChainId) -> Option<(ChainConfig, Arc<Endpoints>)> {
        let Current { config, endpoints, .. } = self.by_id.get(&chain_id)?.current();
        Some((config, endpoints))
    }

    /// The places where a chain takes transactions.
    pub(super) fn submit_places(&self, chain_id: ChainId) -> Option<Arc<SubmitPlaces>> {
        Some(Arc::clone(&self.by_id.get(&chain_id)?.current.read().submit))
    }

    /// The counts of modules' requests to a chain.
    pub(super) fn counts(&self, chain_id: ChainId) -> Option<&ModuleCounts> {
        self.by_id.get(&chain_id).map(|chain| &*chain.modules)
    }

    /// Prevents other changes of the configuration until the result is dropped. None if there is one.
    pub(super) fn begin_change(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.changing).try_lock_owned().ok()
    }

    /// Continues a chain with another configuration, and the endpoints of this configuration.
    pub(super) fn continue_with(&self, config: &ChainConfig, endpoints: &Arc<Endpoints>) {
        if let Some(chain) = self.by_id.get(&config.chain_id) {
            *chain.current.write() = Current::new(config, Arc::clone(endpoints));
            chain.source.continue_with(config, Arc::clone(endpoints));
        }
    }

    /// The source of a chain's blocks and logs, for the supervisor.
    pub fn source(&self, chain_id: ChainId) -> Option<Arc<dyn EventSource>> {
        let source: Arc<dyn EventSource> = self.by_id.get(&chain_id)?.source.clone();
        Some(source)
    }

    /// A warning for each chain whose configuration gives modules more than reads.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.by_id.values().filter_map(|chain| chain.current().config.warning())
    }

    /// A chain's endpoints, which modules' requests and the source share.
    pub fn endpoints(&self, chain_id: ChainId) -> Option<Arc<Endpoints>> {
        self.by_id.get(&chain_id).map(|chain| chain.current().endpoints)
    }

    /// The source of each chain, by chain id.
    pub fn sources(&self) -> impl Iterator<Item = Arc<dyn EventSource>> + '_ {
        self.by_id
            .values()
            .map(|chain| -> Arc<dyn EventSource> { chain.source.clone() })
    }

    /// `chain.request`: sends one request for a module. `params` is the text of a JSON array, and
    /// is sent unchanged. The result is the endpoint's JSON text.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; a guest receives [`RequestError::to_host_error`].
    pub async fn request(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, RequestError> {
        self.request_at(None, chain_id, method, params).await
    }

    /// As [`Self::request`]. With a block, `latest` in a read means that block: see
    /// [`pin`](crate::pin).
    ///
    /// # Errors
    ///
    /// As [`Self::request`].
    pub async fn request_at(
        &self,
        block: Option<Position>,
        chain_id: ChainId,
        method: &str,
        params: &str,
    ) -> Result<String, RequestError> {
        self.chain(chain_id)?.request(method, params, block).await
    }

    /// `chain.request-batch`: sends several requests, each a method and parameters, for a module.
    /// Returns one answer per request, in order. A request that is not allowed gets its error here;
    /// the others are sent together.
    ///
    /// # Errors
    ///
    /// If the whole batch is refused: for an unknown chain, or above
    /// [`BATCH_REQUESTS_MAX`](crate::BATCH_REQUESTS_MAX) or
    /// [`PARAMS_BYTES_MAX`](crate::PARAMS_BYTES_MAX).
    pub async fn request_batch(
        &self,
        chain_id: ChainId,
        requests: &[(&str, &str)],
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
        self.request_batch_at(None, chain_id, requests, u64::MAX).await
    }

    /// As [`Self::request_batch`]. With a block, `latest` in a read means that block. The results
    /// together have at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::request_batch`], and [`RequestError::OverBudget`].
    pub async fn request_batch_at(
        &self,
        block: Option<Position>,
        chain_id: ChainId,
        requests: &[(&str, &str)],
        bytes_max: u64,
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
        self.chain(chain_id)?.batch(requests, block, bytes_max).await
    }

    pub(super) fn chain(&self, chain_id: ChainId) -> Result<Arc<ChainRequests>, RequestError> {
        let chain = self.by_id.get(&chain_id);
        let chain = chain.map(|chain| Arc::clone(&chain.current.read().requests));
        chain.ok_or_else(|| RequestError::unsupported(format!("chain {chain_id} is not configured")))
    }
}
