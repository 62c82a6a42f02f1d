//! The order books of a host, by chain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cowprotocol::{Chain, DomainSeparator, GPV2_SETTLEMENT, HttpRequest, settlement_domain};
use nexum_config::topic::ChainId;
use tokio::time::Instant;

use crate::base_url::BaseUrl;
use crate::call::Call;
use crate::config::CowConfig;
use crate::error::{ErrorAnswer, RequestError};
use crate::metrics::RouteMetrics;
use crate::origin::{Origin, Terms};
use crate::route::Route;

/// The chains that `cowprotocol` knows. `cowprotocol` exports no such list.
const PUBLIC: [Chain; 10] = [
    Chain::Mainnet,
    Chain::Bnb,
    Chain::Gnosis,
    Chain::Polygon,
    Chain::Base,
    Chain::Plasma,
    Chain::ArbitrumOne,
    Chain::Avalanche,
    Chain::Linea,
    Chain::Sepolia,
];

/// The order books that modules can reach, by chain. Clones share the rate limits.
#[derive(Clone, Debug)]
pub struct OrderBooks(Arc<BTreeMap<ChainId, Arc<OrderBook>>>);

/// The order book of one chain.
#[derive(Debug)]
pub(crate) struct OrderBook {
    pub(crate) chain_id: ChainId,
    pub(crate) base: BaseUrl,
    /// The signing domain of orders on this chain.
    pub(crate) domain: DomainSeparator,
    origin: Arc<Origin>,
}

impl OrderBooks {
    /// Creates the public order books, with the replacements and additions of the configuration.
    /// Does not use the network.
    pub fn new(config: &CowConfig) -> Self {
        let public = PUBLIC.into_iter().filter_map(|chain| {
            let base = BaseUrl::new(chain.orderbook_base_url()).ok()?;
            Some((chain.id(), base))
        });
        let mut bases: BTreeMap<ChainId, BaseUrl> = public.collect();
        bases.extend(config.base_urls.clone());
        let mut origins: BTreeMap<String, Arc<Origin>> = BTreeMap::new();
        let book = |(chain_id, base): (ChainId, BaseUrl)| {
            // With the port, because each port has its own rate limit.
            let origin = origins
                .entry(base.url().origin().ascii_serialization())
                .or_insert_with(|| {
                    let timeout = Duration::from_millis(config.request_timeout_ms);
                    Arc::new(Origin::new(
                        base.to_string(),
                        config.requests_per_second,
                        timeout,
                        config.use_proxy,
                    ))
                });
            let book = OrderBook {
                chain_id,
                domain: settlement_domain(chain_id, GPV2_SETTLEMENT),
                origin: Arc::clone(origin),
                base,
            };
            (chain_id, Arc::new(book))
        };
        Self(Arc::new(bases.into_iter().map(book).collect()))
    }

    /// The chains with an order book.
    pub fn chains(&self) -> impl Iterator<Item = ChainId> + '_ {
        self.0.keys().copied()
    }

    /// `cow-api.request`: sends a request to a chain's order book and returns the body of a 2xx
    /// response as received. Waits for the rate limit. Retries after a temporary failure, if a
    /// repetition is harmless, until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; a guest receives [`RequestError::to_host_error`].
    pub async fn request(&self, chain_id: ChainId, call: &Call, deadline: Instant) -> Result<String, RequestError> {
        self.book(chain_id)?.request(call, deadline).await
    }

    pub(crate) fn book(&self, chain_id: ChainId) -> Result<&Arc<OrderBook>, RequestError> {
        let book = self.0.get(&chain_id);
        book.ok_or_else(|| RequestError::unsupported(format!("there is no order book for chain {chain_id}")))
    }
}

impl OrderBook {
    /// As [`OrderBooks::request`].
    pub(crate) async fn request(&self, call: &Call, deadline: Instant) -> Result<String, RequestError> {
        let terms = Terms {
            repeatable: call.route.is_repeatable(),
            deadline,
            metrics: RouteMetrics::new(self.chain_id, call.route),
        };
        self.send(&call.to_request(&self.base)?, &terms).await
    }

    /// Posts an order. A repetition is harmless: the order book identifies an existing order by its
    /// UID.
    pub(crate) async fn post_order(&self, request: &HttpRequest, deadline: Instant) -> Result<String, RequestError> {
        let terms = Terms {
            repeatable: true,
            deadline,
            metrics: RouteMetrics::new(self.chain_id, Route::SUBMIT),
        };
        self.send(request, &terms).await
    }

    async fn send(&self, request: &HttpRequest, terms: &Terms) -> Result<String, RequestError> {
        self.origin.send(request, terms).await.map_err(|error| match error {
            RequestError::Answer(answer) => {
                let public = Chain::try_from(self.chain_id).ok().map(Chain::orderbook_slug);
                let body = self.base.redact(answer.body, public);
                RequestError::Answer(ErrorAnswer::new(answer.status, answer.retry_after, body))
            }
            error => error,
        })
    }
}
