//! The order books of a host, by chain.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use cowprotocol::{DomainSeparator, HttpRequest, settlement_domain};
use nexum_config::topic::ChainId;
use nexum_net::HttpHeaders;
use tokio::time::Instant;

use crate::base_url::BaseUrl;
use crate::call::Call;
use crate::config::{ChainConfig, CowConfig};
use crate::doubts::Doubts;
use crate::error::{ErrorAnswer, RequestError};
use crate::metrics::RouteMetrics;
use crate::origin::{Failed, Origin, Terms};
use crate::public;
use crate::route::Route;

/// The order books that modules can reach, by chain. Clones share the rate limits.
#[derive(Clone, Debug)]
pub struct OrderBooks(Arc<BTreeMap<ChainId, Arc<OrderBook>>>);

/// The order book of one chain.
#[derive(Debug)]
pub(crate) struct OrderBook {
    pub(crate) chain_id: ChainId,
    pub(crate) base: BaseUrl,
    settlement: Address,
    /// The signing domain of orders on this chain.
    pub(crate) domain: DomainSeparator,
    headers: HttpHeaders,
    pub(crate) doubts: Doubts,
    /// Whether the order book has answered with a UID that nexum computed.
    pub(crate) is_domain_known: AtomicBool,
    origin: Arc<Origin>,
}

/// The facts about an order book that an operator can compare with others. They have no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The chain.
    pub chain_id: ChainId,
    /// Scheme, host and port of the order book.
    pub host: String,
    /// The settlement contract that orders are signed for.
    pub settlement: Address,
    /// The hash of the EIP-712 domain that orders are signed in.
    pub domain_separator: B256,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chain_id,
            host,
            settlement,
            domain_separator,
        } = self;
        write!(
            f,
            "orders of chain {chain_id} go to {host}, signed for the contract {settlement} (domain separator {domain_separator})"
        )
    }
}

impl OrderBooks {
    /// Creates the public order books, with the replacements and additions of the configuration.
    /// Does not use the network.
    pub fn new(config: &CowConfig) -> Self {
        let mut chains: BTreeMap<ChainId, ChainConfig> = public::chains()
            .map(|chain_id| (chain_id, ChainConfig::default()))
            .collect();
        chains.extend(config.chains.clone());
        let mut origins: BTreeMap<String, Arc<Origin>> = BTreeMap::new();
        let book = |(chain_id, chain): (ChainId, ChainConfig)| {
            let base = chain.base_url.or_else(|| public::order_book(chain_id))?;
            let settlement = chain.settlement.unwrap_or_else(|| public::settlement(&base));
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
                settlement,
                domain: settlement_domain(chain_id, settlement),
                headers: chain.headers,
                doubts: Doubts::default(),
                is_domain_known: AtomicBool::new(false),
                origin: Arc::clone(origin),
                base,
            };
            Some((chain_id, Arc::new(book)))
        };
        Self(Arc::new(chains.into_iter().filter_map(book).collect()))
    }

    /// The chains with an order book.
    pub fn chains(&self) -> impl Iterator<Item = ChainId> + '_ {
        self.0.keys().copied()
    }

    /// The facts about the order books, by chain, for the operator.
    pub fn facts(&self) -> impl Iterator<Item = Facts> + '_ {
        self.0.values().map(|book| Facts {
            chain_id: book.chain_id,
            host: book.base.to_string(),
            settlement: book.settlement,
            domain_separator: book.domain.separator(),
        })
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
    /// Scheme, host and port.
    pub(crate) fn endpoint(&self) -> &str {
        self.origin.name()
    }

    /// As [`OrderBooks::request`].
    pub(crate) async fn request(&self, call: &Call, deadline: Instant) -> Result<String, RequestError> {
        let terms = Terms {
            repeatable: call.route.is_repeatable(),
            deadline,
            metrics: RouteMetrics::new(self.chain_id, call.route),
        };
        Ok(self.send(&call.to_request(&self.base)?, &terms).await?)
    }

    /// Posts an order. A repetition is harmless: the order book identifies an existing order by its
    /// UID.
    pub(crate) async fn post_order(&self, request: &HttpRequest, deadline: Instant) -> Result<String, Failed> {
        let terms = Terms {
            repeatable: true,
            deadline,
            metrics: RouteMetrics::new(self.chain_id, Route::SUBMIT),
        };
        self.send(request, &terms).await
    }

    async fn send(&self, request: &HttpRequest, terms: &Terms) -> Result<String, Failed> {
        self.origin.send(request, &self.headers, terms).await.map_err(|failed| {
            let error = match failed.error {
                RequestError::Answer(answer) => {
                    let body = self
                        .base
                        .redact(answer.body, public::slug(self.chain_id), &self.headers);
                    RequestError::Answer(ErrorAnswer::new(answer.status, answer.retry_after, body))
                }
                error => error,
            };
            Failed { error, ..failed }
        })
    }
}
