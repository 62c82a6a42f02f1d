//! The places where a chain takes signed transactions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nexum_core::capability::{Submission, SubmitTo};
use tokio::time::{Instant, timeout_at};

use crate::config::{ChainConfig, RelayConfig, SubmitConfig};
use crate::error::RequestError;
use crate::rpc::endpoint::{Answer, Endpoint, RpcRequest, Signal};
use crate::rpc::endpoints::{Endpoints, unique_label};

/// The wait for the answers of the other places after one place has the transaction. A place that works answers within
/// it, and the caller has no use for the others.
const PATIENCE: Duration = Duration::from_millis(250);

/// The submit places of a chain: those of `[[chains.<id>.submit]]`, and its endpoints.
#[derive(Debug)]
pub(crate) struct SubmitPlaces {
    /// The places of `[[chains.<id>.submit]]`.
    configured: Vec<Arc<Endpoint>>,
    endpoints: Arc<Endpoints>,
    submission: Submission,
    timeout: Duration,
}

impl SubmitPlaces {
    /// The places of a chain with these endpoints. Does not use the network.
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        let mut taken: BTreeSet<String> = endpoints.all().iter().map(|one| one.label().to_owned()).collect();
        let signal: Arc<Signal> = Arc::default();
        let place = |place: &SubmitConfig| {
            let label = unique_label(&place.url, &mut taken);
            Arc::new(Endpoint::for_transactions(config, place, label, &signal))
        };
        Self {
            configured: config.submit().iter().map(place).collect(),
            endpoints,
            submission: submission(config.submit()),
            timeout: Duration::from_millis(config.request_timeout_ms),
        }
    }

    pub(crate) fn submission(&self) -> Submission {
        self.submission
    }

    /// Sends a request once to each place, at the same time. Returns the answer of each place, with its label.
    pub(crate) async fn submit(&self, request: &RpcRequest, to: SubmitTo) -> Vec<(String, Answer)> {
        let began = Instant::now();
        let places = self.places(to);
        let attempt = |(index, place): (usize, &Arc<Endpoint>)| {
            let place = Arc::clone(place);
            async move {
                let answer = place.attempt(request, began + self.timeout).await;
                (index, answer.map_err(|failure| failure.error))
            }
        };
        let mut waiting: FuturesUnordered<_> = places.iter().enumerate().map(attempt).collect();
        let mut answers: Vec<Option<Answer>> = vec![None; places.len()];
        // The first half is for a wait that the rate limit of an endpoint requires.
        let mut by = began + self.timeout.saturating_mul(2);
        while let Ok(Some((index, answer))) = timeout_at(by, waiting.next()).await {
            if has_transaction(&answer) {
                by = by.min(Instant::now() + PATIENCE);
            }
            answers[index] = Some(answer);
        }
        let none = || {
            let timeout_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Err(RequestError::Timeout { timeout_ms })
        };
        let label = |place: &Arc<Endpoint>| place.label().to_owned();
        let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(none));
        places.iter().map(label).zip(answers).collect()
    }

    fn places(&self, to: SubmitTo) -> &[Arc<Endpoint>] {
        let is_public = match to {
            SubmitTo::Configured => self.configured.is_empty(),
            SubmitTo::Public => self.configured.is_empty() || self.submission.fallback,
        };
        match is_public {
            true => self.endpoints.all(),
            false => &self.configured,
        }
    }
}

/// Whether the place has the transaction. Its text may say so in an error.
pub(crate) fn has_transaction(answer: &Answer) -> bool {
    answer
        .as_ref()
        .map_or_else(RequestError::is_known_transaction, |_| true)
}

/// How a chain with these places takes transactions. Either all of them are private relays or none.
fn submission(places: &[SubmitConfig]) -> Submission {
    let relays = || places.iter().filter_map(|place| place.relay);
    let blocks = |relay: RelayConfig| relay.blocks.get();
    Submission {
        is_private: relays().next().is_some(),
        blocks: relays().map(blocks).max().unwrap_or_default(),
        fallback: relays().next().is_some() && relays().all(|relay| relay.fallback),
    }
}
