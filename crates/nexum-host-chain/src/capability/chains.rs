//! All chains of a host, and their capability.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::topic::ChainId;
use nexum_core::BoxError;
use nexum_core::capability::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostState};
use nexum_core::source::EventSource;
use nexum_core::source::Position;
use nexum_core::{Extension, HostBuilder};
use parking_lot::RwLock;
use tokio::sync::{Mutex, OwnedMutexGuard};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::chain;
use crate::bindings::trigger;
use crate::capability::pin::Pin;
use crate::capability::requests::ChainRequests;
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::methods;
use crate::modules::ModuleCounts;
use crate::probe::{self, EndpointProbe};
use crate::rpc::endpoints::Endpoints;
use crate::source::ChainSource;

/// The chains of the operator's configuration. Clones share their endpoints, and a change of the
/// configuration changes all clones: see [`Chains::replace`].
#[derive(Clone, Debug, Default)]
pub struct Chains {
    by_id: Arc<BTreeMap<ChainId, ConfiguredChain>>,
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
}

impl Current {
    fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        Self {
            config: config.clone(),
            requests: Arc::new(ChainRequests::new(config, Arc::clone(&endpoints))),
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
            changing: Arc::default(),
        }
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

    /// The capability that provides `nexum:host/chain` on these chains.
    pub fn capability(&self) -> Chain {
        Chain { chains: self.clone() }
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

    fn chain(&self, chain_id: ChainId) -> Result<Arc<ChainRequests>, RequestError> {
        let chain = self.by_id.get(&chain_id);
        let chain = chain.map(|chain| Arc::clone(&chain.current.read().requests));
        chain.ok_or_else(|| RequestError::unsupported(format!("chain {chain_id} is not configured")))
    }
}

/// The capability and the sources.
impl Extension for Chains {
    fn add_to(self, host: HostBuilder) -> HostBuilder {
        let host = host.capability(self.capability());
        self.sources().fold(host, HostBuilder::source)
    }
}

/// The capability that provides `nexum:host/chain`.
#[derive(Clone, Debug)]
pub struct Chain {
    chains: Chains,
}

/// The chains, for one instance of a module.
#[derive(Clone, Debug)]
pub struct ModuleChains {
    pub(crate) chains: CountedChains,
    pub(crate) pin: Pin,
}

/// The chains, which count the requests of one module.
#[derive(Clone, Debug)]
pub(crate) struct CountedChains {
    pub(super) chains: Chains,
    pub(super) module: Arc<str>,
}

impl CountedChains {
    /// As [`Chains::request_at`].
    pub(crate) async fn request_at(
        &self,
        block: Option<Position>,
        chain_id: ChainId,
        method: &str,
        params: &str,
    ) -> Result<String, RequestError> {
        self.count(chain_id, [method]);
        self.chains.request_at(block, chain_id, method, params).await
    }

    /// As [`Chains::request_batch_at`].
    pub(crate) async fn request_batch_at(
        &self,
        block: Option<Position>,
        chain_id: ChainId,
        requests: &[(&str, &str)],
        bytes_max: u64,
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
        self.count(chain_id, requests.iter().map(|(method, _)| *method));
        self.chains.request_batch_at(block, chain_id, requests, bytes_max).await
    }

    /// Whether a method may change something, and the operator allows it on the chain.
    pub(crate) fn allows_change(&self, chain_id: ChainId, method: &str) -> bool {
        let chain = self.chains.chain(chain_id);
        chain.is_ok_and(|chain| chain.allows_change(method))
    }

    /// As [`Chains::endpoints`].
    pub(crate) fn endpoints(&self, chain_id: ChainId) -> Option<Arc<Endpoints>> {
        self.chains.endpoints(chain_id)
    }

    fn count<'a>(&self, chain_id: ChainId, methods: impl IntoIterator<Item = &'a str>) {
        if let Some(chain) = self.chains.by_id.get(&chain_id) {
            methods
                .into_iter()
                .for_each(|method| chain.modules.asked(&self.module, method));
        }
    }
}

impl Capability for Chain {
    type State = ModuleChains;

    fn name(&self) -> &'static str {
        "chain"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/chain@0.2.0", "nexum:host/chain@0.1.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        chain::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)?;
        trigger::nexum::host::chain::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        Pin::from_section(settings).map(drop)
    }

    /// A signed transaction has a hash, by which every node recognises it.
    fn unrepeatable(&self, _settings: Option<&Section>) -> Option<String> {
        let of_chain = |(chain_id, chain): (&ChainId, &ConfiguredChain)| {
            let config = chain.current().config;
            let is_once = |method: &&String| methods::may_change(method) && *method != methods::SEND_RAW;
            let method = config.extra_methods.iter().find(is_once)?;
            Some(format!(
                "the calls that `extra_methods` of chain {chain_id} allows it (`{method}`)"
            ))
        };
        self.chains.by_id.iter().find_map(of_chain)
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let settings = module.settings.get(self.name());
        Ok(ModuleChains {
            chains: CountedChains {
                chains: self.chains.clone(),
                module: module.name.as_str().into(),
            },
            pin: settings.map(Pin::from_section).transpose()?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use nexum_testing::{Answer, Node, TEST_CHAIN_ID};
    use serde_json::json;

    use super::*;
    use crate::EndpointUrl;

    #[tokio::test]
    async fn the_requests_of_each_module_are_counted_by_class() {
        let node = Node::start().await;
        node.on("eth_call", |_| Answer::Result(json!("0x")));
        let config = ChainConfig::new(TEST_CHAIN_ID, EndpointUrl::parse(&node.http_url()).unwrap());
        let chains = Chains::new([config]);
        let counted = ["one", "two"].map(|module| CountedChains {
            chains: chains.clone(),
            module: module.into(),
        });
        let [one, two] = &counted;
        for _ in 0..2 {
            one.request_at(None, TEST_CHAIN_ID, "eth_call", "[]").await.unwrap();
        }
        let batch = [("eth_blockNumber", "[]"), ("eth_call", "[]")];
        let answers = two.request_batch_at(None, TEST_CHAIN_ID, &batch, u64::MAX).await;
        assert!(answers.unwrap().iter().all(Result::is_ok));
        one.request_at(None, 1, "eth_call", "[]").await.unwrap_err();

        let report = chains.source(TEST_CHAIN_ID).unwrap().report();
        let counts = report.requests_by_module.iter();
        let counts: Vec<_> = counts.map(|one| (&*one.module, one.class, one.count)).collect();
        assert_eq!(counts, [("one", "call", 2), ("two", "call", 1), ("two", "block", 1)]);
    }
}
