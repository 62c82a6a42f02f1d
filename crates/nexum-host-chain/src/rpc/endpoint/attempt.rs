//! One attempt at a request over one of an endpoint's connections. Its outcome counts for the
//! endpoint's health.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::connect::Connector;
use super::connection::Connection;
use super::{Endpoint, RpcRequest};
use crate::error::RequestError;

/// The result of one request of a batch.
pub(crate) type Attempted = Result<Box<RawValue>, Failure>;

/// Why an attempt has failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: RequestError,
    /// Whether the endpoint may have received the request.
    pub(crate) sent: bool,
}

impl Failure {
    fn unsent(error: RequestError) -> Self {
        Self { error, sent: false }
    }
}

impl Endpoint {
    /// As [`Endpoint::request`], for a module. Does not wait for a pause of the endpoint that ends
    /// after `deadline`.
    pub(crate) async fn attempt(&self, request: &RpcRequest, deadline: Instant) -> Result<Box<RawValue>, Failure> {
        self.attempt_over(self.asking(), request, deadline).await
    }

    /// As [`Endpoint::batch`], for modules. Does not wait for a pause of the endpoint that ends
    /// after `deadline`. The results have at most `bytes_max` bytes: see
    /// [`RequestError::OverBudget`].
    pub(crate) async fn attempt_batch(
        &self,
        requests: &[RpcRequest],
        deadline: Instant,
        bytes_max: u64,
    ) -> Vec<Attempted> {
        self.attempt_batch_over(self.asking(), requests, deadline, bytes_max)
            .await
    }

    /// The connection for modules.
    fn asking(&self) -> &Connector {
        self.asking.as_deref().unwrap_or(&self.following)
    }

    /// Sends one request once over this connection.
    pub(super) async fn attempt_over(
        &self,
        connector: &Connector,
        request: &RpcRequest,
        deadline: Instant,
    ) -> Result<Box<RawValue>, Failure> {
        self.admit(1, deadline).await?;
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let answer = self
            .within_timeout(&sent, async {
                let connection = self.connect(connector, &sent).await?;
                connection.call(request, connector.secrets()).await
            })
            .await;
        self.settle(connector, &started, &[&request.0], answer.as_ref().err());
        answer
    }

    /// A connection for a request that is sent now.
    pub(super) async fn connect(&self, connector: &Connector, sent: &AtomicBool) -> Result<Connection, RequestError> {
        let connection = connector.connect(&self.health).await?;
        sent.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// Waits until the rate limit allows this many calls.
    pub(super) async fn admit(&self, calls: usize, deadline: Instant) -> Result<(), Failure> {
        if let Some(until) = self.health.paused_until() {
            if until > deadline {
                let retry_after = Some(until.saturating_duration_since(Instant::now()));
                return Err(Failure::unsent(RequestError::from_status(429, retry_after, None)));
            }
            let began = Instant::now();
            tokio::time::sleep_until(until).await;
            self.metrics.rate_limit_wait(began.elapsed());
        }
        if let Some(rate_limit) = &self.rate_limit {
            let began = Instant::now();
            if rate_limit.admit(calls).await {
                self.metrics.rate_limit_wait(began.elapsed());
            }
        }
        Ok(())
    }

    /// Limits the time of a request. The request sets `sent` before it sends a module's data.
    pub(super) async fn within_timeout<T>(
        &self,
        sent: &AtomicBool,
        asked: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, Failure> {
        let answer = tokio::time::timeout(self.timeout, asked).await;
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        answer
            .unwrap_or(Err(RequestError::Timeout { timeout_ms }))
            .map_err(|error| Failure {
                sent: sent.load(Ordering::Relaxed)
                    && !matches!(error, RequestError::Unreachable { .. } | RequestError::Tls(_)),
                error,
            })
    }

    /// Measures calls that were sent together, and counts the outcome for the endpoint's health.
    pub(super) fn settle(&self, connector: &Connector, started: &Started, methods: &[&str], failure: Option<&Failure>) {
        let took = started.at.elapsed();
        let error = failure.map(|failure| &failure.error);
        for method in methods {
            self.metrics.request(method, error, took);
            self.usage.called(error, took);
        }
        let Some(Failure { error, sent }) = failure else {
            self.health.answered();
            return methods.iter().for_each(|method| self.did(method));
        };
        self.usage.failed(error);
        match error {
            RequestError::Refused { .. } | RequestError::Internal => {}
            error if error.is_rate_limit() => {
                if self.health.pause(error, self.has_others) {
                    self.log_failure(error, true);
                }
            }
            // No data of a module has been sent, or the connection is at fault.
            error if !sent || error.is_endpoints_fault() => {
                // An endpoint that has answered other requests meanwhile works: only this request
                // takes long.
                let is_heavy =
                    matches!(error, RequestError::Timeout { .. }) && self.health.answers() != started.answers;
                if !is_heavy {
                    connector.reset();
                    let is_first = self.health.failed(error);
                    self.log_failure(error, is_first);
                }
            }
            RequestError::Status { .. } => {
                // The next request checks the chain id, which shows whether the endpoint refuses
                // everything or only this request.
                connector.reset();
                if error.refuses_method() {
                    methods.iter().for_each(|method| self.refused(method, error));
                }
            }
            _ => self.health.answered(),
        }
    }

    fn did(&self, method: &str) {
        if self.health.did(method) {
            tracing::info!(chain = self.chain_id, endpoint = %self.label, method, "the endpoint answers the method again");
        }
    }

    /// Records that the endpoint refuses a method, as its HTTP status or the result of another
    /// endpoint shows. For a while, other endpoints receive modules' requests for the method.
    pub(crate) fn refused(&self, method: &str, error: &RequestError) {
        let (chain, endpoint) = (self.chain_id, &self.label);
        // The endpoint's error may quote a module's request.
        let text = error.to_string();
        let error = text.escape_debug();
        if self.has_others && self.health.refused(method) {
            tracing::warn!(chain, %endpoint, method, %error, "the endpoint refuses the method: other endpoints receive it");
        } else {
            tracing::debug!(chain, %endpoint, method, %error, "the endpoint refuses the method");
        }
    }

    /// Logs the first failure as a warning, so that an outage does not fill the log. A wrong chain
    /// id is reported elsewhere.
    fn log_failure(&self, error: &RequestError, is_first: bool) {
        let (chain, endpoint) = (self.chain_id, &self.label);
        if is_first && !matches!(error, RequestError::WrongChain { .. }) {
            tracing::warn!(chain, %endpoint, %error, "the endpoint has failed and is rested");
        } else {
            tracing::debug!(chain, %endpoint, %error, "the endpoint has failed again");
        }
    }
}

/// The time of a request, and the number of answers of the endpoint before it.
pub(super) struct Started {
    at: Instant,
    answers: u64,
}

impl Started {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            at: Instant::now(),
            answers: endpoint.health.answers(),
        }
    }
}
