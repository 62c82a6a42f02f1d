//! All chains of a host, and the capability that they are to modules.

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
use wasmtime::component::Linker;

use crate::bindings::nexum::host::chain;
use crate::capability::pin::Pin;
use crate::capability::requests::ChainRequests;
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::rpc::endpoints::Endpoints;
use crate::source::ChainSource;

/// The chains that an operator has configured. Clones share their endpoints.
#[derive(Clone, Debug, Default)]
pub struct Chains(Arc<BTreeMap<ChainId, ConfiguredChain>>);

#[derive(Debug)]
struct ConfiguredChain {
    endpoints: Arc<Endpoints>,
    requests: ChainRequests,
    source: Arc<ChainSource>,
}

impl Chains {
    /// Validates the `[chains.<id>]` tables of `engine.toml`, by chain id. Touches no network.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn from_sections(sections: &BTreeMap<ChainId, Section>) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut configs = Vec::with_capacity(sections.len());
        for (chain_id, section) in sections {
            match ChainConfig::from_section(*chain_id, section) {
                Ok(config) => configs.push(config),
                Err(found) => errors.extend(found),
            }
        }
        ConfigErrors::check(errors)?;
        Ok(Self::new(configs))
    }

    /// Makes the endpoints, without touching the network. Of two configurations of one chain the later holds.
    pub fn new(configs: impl IntoIterator<Item = ChainConfig>) -> Self {
        let chain = |config: ChainConfig| {
            let endpoints = Arc::new(Endpoints::new(&config));
            let configured = ConfiguredChain {
                requests: ChainRequests::new(&config, Arc::clone(&endpoints)),
                source: Arc::new(ChainSource::new(&config, Arc::clone(&endpoints))),
                endpoints,
            };
            (config.chain_id, configured)
        };
        Self(Arc::new(configs.into_iter().map(chain).collect()))
    }

    /// The capability that gives modules `nexum:host/chain` on these chains.
    pub fn capability(&self) -> Chain {
        Chain { chains: self.clone() }
    }

    /// What follows a chain, for the supervisor.
    pub fn source(&self, chain_id: ChainId) -> Option<Arc<dyn EventSource>> {
        let source: Arc<dyn EventSource> = self.0.get(&chain_id)?.source.clone();
        Some(source)
    }

    /// A chain's endpoints, which requests and the source share.
    pub fn endpoints(&self, chain_id: ChainId) -> Option<&Arc<Endpoints>> {
        self.0.get(&chain_id).map(|chain| &chain.endpoints)
    }

    /// What follows each chain, by chain id.
    pub fn sources(&self) -> impl Iterator<Item = Arc<dyn EventSource>> + '_ {
        self.0
            .values()
            .map(|chain| -> Arc<dyn EventSource> { chain.source.clone() })
    }

    /// `chain.request`: sends one request for a module. `params` is the text of a JSON array, which goes out as it is; the
    /// result is JSON text as it came in.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::to_host_error`] is what a guest gets.
    pub async fn request(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, RequestError> {
        self.request_at(None, chain_id, method, params).await
    }

    /// As [`Self::request`]; with a block, `latest` in a read means that block: see [`pin`](crate::pin).
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

    /// `chain.request-batch`: sends several requests, methods and parameters, for a module. There is one answer for each, in
    /// their order; what may not be sent is answered here, and the rest goes out together.
    ///
    /// # Errors
    ///
    /// When the batch as a whole is refused: an unknown chain, or over [`BATCH_REQUESTS_MAX`](crate::BATCH_REQUESTS_MAX) or
    /// [`PARAMS_BYTES_MAX`](crate::PARAMS_BYTES_MAX).
    pub async fn request_batch(
        &self,
        chain_id: ChainId,
        requests: &[(&str, &str)],
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
        self.request_batch_at(None, chain_id, requests, u64::MAX).await
    }

    /// As [`Self::request_batch`]; with a block, `latest` in a read means that block. The results together have at most `bytes_max`
    /// bytes.
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

    fn chain(&self, chain_id: ChainId) -> Result<&ChainRequests, RequestError> {
        let chain = self.0.get(&chain_id).map(|chain| &chain.requests);
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

/// Gives modules `nexum:host/chain`.
#[derive(Clone, Debug)]
pub struct Chain {
    chains: Chains,
}

/// The chains, as an instance of a module has them.
#[derive(Clone, Debug)]
pub struct ModuleChains {
    pub(crate) chains: Chains,
    pub(crate) pin: Pin,
}

impl Capability for Chain {
    type State = ModuleChains;

    fn name(&self) -> &'static str {
        "chain"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/chain@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        chain::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        Pin::from_section(settings).map(drop)
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let settings = module.settings.get(self.name());
        Ok(ModuleChains {
            chains: self.chains.clone(),
            pin: settings.map(Pin::from_section).transpose()?.unwrap_or_default(),
        })
    }
}
