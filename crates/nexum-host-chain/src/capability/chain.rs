//! The capability, and the chains for one module.

use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::topic::ChainId;
use nexum_core::BoxError;
use nexum_core::capability::{Capability, ChainMethods, Has, HostState, ModuleMeta};
use nexum_core::source::Position;
use nexum_core::{Extension, HostBuilder};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::chain;
use crate::bindings::trigger;
use crate::capability::chains::Chains;
use crate::capability::pin::Pin;
use crate::error::RequestError;
use crate::methods;
use crate::rpc::endpoints::Endpoints;

impl Chains {
    /// The capability that provides `nexum:host/chain` on these chains.
    pub fn capability(&self) -> Chain {
        Chain { chains: self.clone() }
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
    pub(super) chains: Chains,
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

    /// The part of the host that answers a method on a chain, if there is one. Counts the request.
    ///
    /// # Errors
    ///
    /// If the chain is not configured.
    pub(crate) fn answering(
        &self,
        chain_id: ChainId,
        method: &str,
    ) -> Result<Option<Arc<dyn ChainMethods>>, RequestError> {
        let Some(methods) = self.chains.answering(method) else {
            return Ok(None);
        };
        self.chains.chain(chain_id)?;
        self.count(chain_id, [method]);
        Ok(Some(methods))
    }

    fn count<'a>(&self, chain_id: ChainId, methods: impl IntoIterator<Item = &'a str>) {
        if let Some(counts) = self.chains.counts(chain_id) {
            methods
                .into_iter()
                .for_each(|method| counts.asked(&self.module, method));
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
        let of_chain = |chain_id: ChainId| {
            let (config, _) = self.chains.in_use(chain_id)?;
            let is_once = |method: &&String| methods::may_change(method) && *method != methods::SEND_RAW;
            let method = config.extra_methods.iter().find(is_once)?;
            Some(format!(
                "the calls that `extra_methods` of chain {chain_id} allows it (`{method}`)"
            ))
        };
        self.chains.ids().find_map(of_chain)
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
    use crate::{ChainConfig, EndpointUrl};

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
