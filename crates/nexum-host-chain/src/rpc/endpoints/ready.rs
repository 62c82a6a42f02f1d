//! Whether a chain is usable at the start.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nexum_config::topic::ChainId;
use nexum_net::Backoff;

use super::Endpoints;
use crate::error::RequestError;
use crate::rpc::endpoint::Endpoint;

/// No endpoint of a chain was usable in time.
#[derive(Clone, Debug)]
pub struct NotReady {
    /// The chain.
    pub chain_id: ChainId,
    /// The limit, `startup_timeout_ms`.
    pub timeout_ms: u64,
    /// The label and the last failure of each endpoint. None for an endpoint that did not answer.
    pub failures: Vec<(String, Option<RequestError>)>,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chain_id,
            timeout_ms,
            failures,
        } = self;
        write!(
            f,
            "no endpoint of chain {chain_id} could be used within {timeout_ms} ms"
        )?;
        for (index, (label, failure)) in failures.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            match failure {
                Some(failure) => write!(f, "{separator}{label}: {failure}")?,
                None => write!(f, "{separator}{label}: no answer")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for NotReady {}

impl Endpoints {
    /// Asks all endpoints once, concurrently. Returns true as soon as one has confirmed the chain id, and false if none
    /// has.
    pub(crate) async fn can_be_reached(&self) -> bool {
        let mut asking: FuturesUnordered<_> = self.all.iter().map(|endpoint| endpoint.reach()).collect();
        while let Some(reached) = asking.next().await {
            if reached.is_ok() {
                return true;
            }
        }
        false
    }

    /// Waits until one of the endpoints has confirmed the chain id, for at most
    /// `startup_timeout_ms`. Asks all endpoints concurrently and repeatedly. For the start only:
    /// [`Self::request`] does not need it.
    ///
    /// # Errors
    ///
    /// If no endpoint has, with the last failure of each.
    pub async fn ready(&self) -> Result<(), NotReady> {
        let mut asking: FuturesUnordered<_> = self.all.iter().map(|endpoint| until_reached(endpoint)).collect();
        let first = tokio::time::timeout(self.startup_timeout, asking.next()).await;
        drop(asking);
        if first.is_ok() {
            return Ok(());
        }
        let failure = |endpoint: &Arc<Endpoint>| (endpoint.label().to_owned(), endpoint.health().last_failure());
        Err(NotReady {
            chain_id: self.chain_id,
            timeout_ms: u64::try_from(self.startup_timeout.as_millis()).unwrap_or(u64::MAX),
            failures: self.all.iter().map(failure).collect(),
        })
    }
}

/// Asks one endpoint until it is usable.
async fn until_reached(endpoint: &Endpoint) {
    let mut backoff = Backoff::default();
    while endpoint.reach().await.is_err() {
        tokio::time::sleep(backoff.after_failure()).await;
    }
}
