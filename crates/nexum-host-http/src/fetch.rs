//! A fetch: a request, and the requests of its redirects.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use tokio::time::Instant;

use crate::client::{Clients, headers};
use crate::config::HttpConfig;
use crate::error::{FetchError, Phase};
use crate::hop::{Answer, Hop};
use crate::metrics::HopMetrics;
use crate::pattern::HostPattern;
use crate::policy::{Permit, Policy, Rule};
use crate::redirect::{REDIRECTS_MAX, next};
use crate::request::Request;
use crate::resolver::{Lookup, ModuleLookups};
use crate::time::Time;

/// The operator's configuration and the connections, shared by all modules.
#[derive(Debug)]
pub(crate) struct Shared {
    policy: Policy,
    timeout: Duration,
    clients: Clients,
    lookups: ModuleLookups,
}

impl Shared {
    pub(crate) fn new(config: HttpConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            policy: config.policy.clone(),
            timeout: Duration::from_millis(config.timeout_ms),
            clients: Clients::new(config, lookup),
            lookups: ModuleLookups::default(),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Fetches for one module, from its permitted destinations.
#[derive(Clone, Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
    module: Arc<str>,
    wanted: Arc<[HostPattern]>,
}

impl Fetcher {
    pub(crate) fn new(shared: Arc<Shared>, module: &str, wanted: Vec<HostPattern>) -> Self {
        Self {
            shared,
            module: module.into(),
            wanted: wanted.into(),
        }
    }

    /// `http.fetch`: sends a request, follows redirects, and returns the final response. Each
    /// request of the chain passes every check. The fetch ends at the event's deadline, the
    /// request's timeout or the operator's timeout, whichever comes first.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a guest receives [`FetchError::to_host_error`].
    pub async fn fetch(&self, request: Request, deadline: Instant) -> Result<Answer, FetchError> {
        let time = self.time(request.timeout, deadline);
        self.fetch_within(request, time).await
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    pub(crate) fn wanted(&self) -> &[HostPattern] {
        &self.wanted
    }

    /// The time of a fetch that starts now.
    pub(crate) fn time(&self, timeout: Option<Duration>, deadline: Instant) -> Time {
        let operators = self.shared.timeout;
        Time::new(Phase::Total, timeout.unwrap_or(operators).min(operators)).before(deadline)
    }

    /// As [`fetch`](Self::fetch), within this time.
    pub(crate) async fn fetch_within(&self, request: Request, time: Time) -> Result<Answer, FetchError> {
        let mut last_method = request.method.clone();
        self.follow(request, time, &mut last_method).await
    }

    /// As [`fetch_within`](Self::fetch_within). Sets `last_method` to the method of the last request: a redirect
    /// can turn a request into a read.
    pub(crate) async fn follow(
        &self,
        request: Request,
        time: Time,
        last_method: &mut Method,
    ) -> Result<Answer, FetchError> {
        let mut request = request;
        for followed in 0.. {
            let hop = self.hop(&request, time);
            let next = match self.shared.lookups.within(&self.module, hop).await {
                Ok(Hop::Answer(answer)) => return Ok(answer),
                Ok(Hop::Redirect(_)) if followed == REDIRECTS_MAX => Err(FetchError::Denied {
                    rule: Rule::Redirects(REDIRECTS_MAX),
                    redirected: true,
                }),
                Ok(Hop::Redirect(next)) => Ok(*next),
                Err(error) if followed > 0 => Err(error.after_redirect()),
                Err(error) => Err(error),
            };
            request = next.inspect_err(|error| self.tell(&request, error))?;
            last_method.clone_from(&request.method);
        }
        Err(FetchError::Internal)
    }

    /// Sends one request. Returns the response, or the request of its redirect.
    async fn hop(&self, request: &Request, time: Time) -> Result<Hop, FetchError> {
        let permit = self.shared.policy.permit(&self.wanted, &request.to);
        let permit = permit.map_err(|rule| FetchError::Denied {
            rule,
            redirected: false,
        })?;
        let metrics = HopMetrics::new(permit.entry, &request.method);
        let hop = self.exchange(request, permit, time).await;
        let took = metrics.done(&hop);
        if let Ok(Hop::Answer(answer)) = &hop {
            tracing::debug!(
                target: "nexum::http",
                module = &*self.module,
                host = %request.to.host(),
                method = request.method.as_str(),
                status = answer.status,
                bytes = answer.body.len(),
                ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "fetched"
            );
        }
        hop
    }

    async fn exchange(&self, request: &Request, permit: Permit<'_>, time: Time) -> Result<Hop, FetchError> {
        let clients = &self.shared.clients;
        let response: Response = clients.send(request, permit.may_be_private, time).await?;
        let (status, headers) = (response.status(), headers(response.headers())?);
        if let Some(next) = next(request, status, response.headers())? {
            return Ok(Hop::Redirect(Box::new(next)));
        }
        Ok(Hop::Answer(Answer {
            status: status.as_u16(),
            headers,
            body: clients.read(response, request.waits.between_bytes, time).await?,
        }))
    }

    /// Logs a failed fetch.
    fn tell(&self, request: &Request, error: &FetchError) {
        let (module, host) = (&*self.module, request.to.host());
        if let FetchError::Denied { rule, .. } = error {
            crate::metrics::denied(*rule);
            tracing::warn!(target: "nexum::http", module, %host, %error, "fetch denied");
        } else {
            tracing::debug!(target: "nexum::http", module, %host, %error, "fetch failed");
        }
    }
}
