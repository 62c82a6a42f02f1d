//! The verification of a block's logs: which endpoints are asked, and which answers are accepted.

use std::sync::Arc;

use nexum_core::source::Log;

use super::filters::{self, Filters};
use super::header::Header;
use super::receipts::{self, Checked};
use super::wire_log::{self, RawLog};
use super::{FollowError, Purpose, Reader};
use crate::config::VerifyLogs;
use crate::error::{RequestError, Retry};
use crate::rpc::endpoint::Endpoint;

/// An endpoint's answer about the logs of a block.
enum Found {
    /// Logs without a contradiction.
    Logs(Vec<Log>),
    /// No logs, although the header allows some.
    NoneWhereSomeMayBe,
    /// Logs that the header denies: its bloom lacks one, or its root does not match the receipts.
    Denied(Vec<Log>),
}

/// The first answer that the header denies, and its endpoint.
struct Claim<'a> {
    endpoint: &'a Arc<Endpoint>,
    logs: Vec<Log>,
}

impl Reader {
    /// The logs of a block, verified as configured. Asks `endpoint` first, and the others if it
    /// fails or its answer is not accepted. All are asked by hash, so that every answer concerns
    /// this block.
    ///
    /// Accepts two equal answers against the header, so that a wrong header cannot stop the chain.
    pub(super) async fn logs_of(
        &self,
        endpoint: &Arc<Endpoint>,
        header: &Header,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Vec<Log>, FollowError> {
        if filters.is_empty() || self.is_ruled_out(endpoint, header, filters).await {
            return Ok(Vec::new());
        }
        let others = self.endpoints.by_preference();
        let others = others.iter().filter(|other| !Arc::ptr_eq(other, endpoint));
        let mut failure: Option<(&Arc<Endpoint>, FollowError)> = None;
        let mut doubted: Vec<&Arc<Endpoint>> = Vec::new();
        let mut claim: Option<Claim<'_>> = None;
        for asked in std::iter::once(endpoint).chain(others) {
            let found = self.ask(asked, header, filters).await;
            if let (Ok(_), Some((failed, error))) = (&found, &failure) {
                self.blame(failed, error, purpose);
            }
            match found {
                Ok(Found::Logs(logs)) => {
                    self.contradict(&logs, &doubted, claim);
                    return Ok(logs);
                }
                Ok(Found::Denied(logs)) => match &claim {
                    Some(first) if are_equal(&first.logs, &logs) => {
                        self.note_denied(first.endpoint, header);
                        return Ok(logs);
                    }
                    Some(_) => {}
                    None => claim = Some(Claim { endpoint: asked, logs }),
                },
                // A bloom may match by chance.
                Ok(Found::NoneWhereSomeMayBe) if !doubted.is_empty() && claim.is_none() => return Ok(Vec::new()),
                Ok(Found::NoneWhereSomeMayBe) => doubted.push(asked),
                Err(error) if error.may_pass() || claim.is_some() => failure = failure.or(Some((asked, error))),
                // Another endpoint may give the block's receipts.
                Err(error) if error.is_too_large() => {
                    failure = failure.filter(|(_, kept)| !kept.may_pass()).or(Some((asked, error)));
                }
                Err(error) => return Err(error),
            }
        }
        match (claim, doubted.first(), failure) {
            (Some(claim), ..) => self.look_again(claim, header, filters).await,
            // One empty answer proves nothing beside one that is too large.
            (None, _, Some((_, error))) if !error.may_pass() => Err(error),
            (None, Some(only), _) => self.logs_of_doubted(only, header, filters).await,
            (None, None, failure) => Err(failure.map_or(FollowError::BadLogs, |(_, error)| error)),
        }
    }

    /// Counts a failure against an endpoint, because another endpoint has answered the request.
    fn blame(&self, endpoint: &Endpoint, error: &FollowError, purpose: Purpose) {
        match purpose {
            Purpose::Replay => endpoint.health().lacks_history(),
            Purpose::Follow if error.is_refusal() || error.request().is_some_and(RequestError::is_rate_limit) => {
                self.endpoints.stop_following(endpoint, error.method(), error)
            }
            Purpose::Follow => endpoint.health().suspects(error.method()),
        }
    }

    async fn ask(&self, endpoint: &Endpoint, header: &Header, filters: &Filters) -> Result<Found, FollowError> {
        let verify = self.config.verify_logs;
        if verify == VerifyLogs::Receipts {
            match self.logs_of_receipts(endpoint, header, filters).await? {
                Receipts::Proven(logs) => return Ok(Found::Logs(logs)),
                Receipts::Unproven(logs) => return Ok(Found::Denied(logs)),
                Receipts::Unknown => self.note_unverified(header, "its receipts are of a kind that cannot be checked"),
            }
        }
        let logs = self.logs_in(endpoint, header, filters).await?;
        let bloom = header.bloom.as_deref().filter(|_| verify != VerifyLogs::Off);
        let Some(bloom) = bloom else {
            return Ok(Found::Logs(logs));
        };
        if logs.is_empty() && filters.may_be_in(bloom) {
            return Ok(Found::NoneWhereSomeMayBe);
        }
        if verify != VerifyLogs::Bloom || filters::are_in(bloom, &logs) {
            return Ok(Found::Logs(logs));
        }
        if self.blooms.are_untrue() {
            self.note_denied(endpoint, header);
            return Ok(Found::Logs(logs));
        }
        Ok(Found::Denied(logs))
    }

    /// The logs of a block from the endpoint's `eth_getLogs`, in order. Repeats the request after
    /// an empty answer for a block with transactions, if the endpoint may lack the block.
    pub(super) async fn logs_in(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Vec<Log>, FollowError> {
        let asked = self.ask_block(endpoint, header, filters).await?;
        let logs = of_block(asked.logs, header, filters)?;
        if !logs.is_empty() || asked.has_block || !header.may_have_transactions() {
            return Ok(logs);
        }
        if self.refuses_unknown(endpoint, header, filters).await? {
            return Ok(logs);
        }
        match self.logs_and_block(endpoint, header, filters).await {
            Ok(logs) => of_block(logs, header, filters),
            // A retry would fail too, and the chain would stop.
            Err(error) if error.request().is_some_and(|error| error.retry() != Retry::Anywhere) => {
                self.note_unverified(header, "the endpoint does not say whether it has the block");
                Ok(logs)
            }
            Err(error) => Err(error),
        }
    }

    /// Blames the endpoints that contradict accepted logs: those that returned none, or returned
    /// logs that the header denies.
    fn contradict(&self, logs: &[Log], doubted: &[&Arc<Endpoint>], claim: Option<Claim<'_>>) {
        let empty = doubted.iter().filter(|_| !logs.is_empty());
        let at_fault = empty.map(|endpoint| (*endpoint, "it has no logs for a block that has some"));
        let claimed = claim.map(|claim| (claim.endpoint, "it has logs that the block does not have"));
        for (endpoint, why) in at_fault.chain(claimed) {
            self.metrics.verification_failures.increment(1);
            self.endpoints.rest(endpoint, why);
        }
    }

    /// Repeats the request for logs that the header denies, if no other endpoint answers. Accepts
    /// the logs if `eth_getLogs` returns them again, or returns those of the receipts.
    async fn look_again(&self, claim: Claim<'_>, header: &Header, filters: &Filters) -> Result<Vec<Log>, FollowError> {
        let logs = self.logs_in(claim.endpoint, header, filters).await?;
        if are_equal(&claim.logs, &logs) {
            self.note_denied(claim.endpoint, header);
            return Ok(logs);
        }
        self.metrics.verification_failures.increment(1);
        let why = "it has logs for a block that the header denies, and other logs at the next request";
        self.endpoints.rest(claim.endpoint, why);
        Err(FollowError::BadLogs)
    }

    /// Checks an empty answer with the block's receipts, which can prove that the block has no
    /// wanted logs. Used if no other endpoint can be asked.
    async fn logs_of_doubted(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Vec<Log>, FollowError> {
        let bloom = header.bloom.as_deref();
        let (logs, doubt) = match self.logs_of_receipts(endpoint, header, filters).await {
            Ok(Receipts::Proven(logs)) => (logs, None),
            Ok(Receipts::Unproven(logs)) if bloom.is_none_or(|bloom| filters::are_in(bloom, &logs)) => {
                (logs, Some("its receipts are not those of the header's root"))
            }
            Ok(Receipts::Unproven(_)) => return Err(self.refuse_receipts(endpoint)),
            Ok(Receipts::Unknown) => (Vec::new(), Some("its receipts are of a kind that cannot be checked")),
            // A retry would fail too, and the chain would stop.
            Err(error) if error.request().is_some_and(|error| error.retry() != Retry::Anywhere) => {
                (Vec::new(), Some("the endpoint does not give its receipts"))
            }
            Err(error) => return Err(error),
        };
        if let Some(why) = doubt {
            self.note_unverified(header, why);
        }
        if !logs.is_empty() {
            self.metrics.verification_failures.increment(1);
            tracing::warn!(
                chain = self.chain_id,
                endpoint = endpoint.label(),
                block = header.position.number,
                "the endpoint's eth_getLogs lacks logs that the block's receipts have"
            );
        }
        Ok(logs)
    }

    /// The logs of a block from its receipts.
    async fn logs_of_receipts(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Receipts, FollowError> {
        let wanted = |logs| plain(wire_log::in_order(logs, filters));
        match self.checked_receipts(endpoint, header).await? {
            Checked::Proven(logs) => Ok(Receipts::Proven(wanted(logs))),
            Checked::Unproven(logs) => Ok(Receipts::Unproven(wanted(logs))),
            Checked::Unknown => Ok(Receipts::Unknown),
            Checked::Foreign => Err(self.refuse_receipts(endpoint)),
        }
    }

    /// The wanted logs of a block from its receipts, instead of an answer of `eth_getLogs`. None if
    /// they cannot be checked.
    pub(super) async fn raw_logs_of_receipts(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Option<Vec<RawLog>>, FollowError> {
        let logs = match self.checked_receipts(endpoint, header).await? {
            Checked::Proven(logs) => logs,
            Checked::Unproven(logs) => {
                self.note_unverified(header, "its receipts are not those of the header's root");
                logs
            }
            Checked::Unknown | Checked::Foreign => return Ok(None),
        };
        Ok(Some(wire_log::in_order(logs, filters)))
    }

    async fn checked_receipts(&self, endpoint: &Endpoint, header: &Header) -> Result<Checked, FollowError> {
        let answer = endpoint.request(&receipts::request(header)?).await;
        let answer = answer.map_err(FollowError::asked("eth_getBlockReceipts"))?;
        receipts::check(answer, header, self.chain_id).await
    }

    fn refuse_receipts(&self, endpoint: &Endpoint) -> FollowError {
        self.metrics.verification_failures.increment(1);
        let why = "the receipts that it has for a block are not the block's";
        self.endpoints.rest(endpoint, why);
        FollowError::BadLogs
    }

    /// Records that logs of this block were accepted against its header.
    fn note_denied(&self, endpoint: &Endpoint, header: &Header) {
        if self.config.verify_logs == VerifyLogs::Receipts {
            self.note_unverified(header, "its receipts are not those of the header's root");
            self.note_unproven(endpoint, header);
        } else {
            self.note_unverified(header, "a log is not in the header's bloom");
            self.note_untrue(endpoint, header);
        }
    }

    /// Warns once that a chain's receipts prove nothing.
    fn note_unproven(&self, endpoint: &Endpoint, header: &Header) {
        if self.unproven.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        tracing::warn!(
            chain = self.chain_id,
            endpoint = endpoint.label(),
            block = header.position.number,
            "the block's receipts are not those of the header's root: nexum delivers the logs of such blocks when a second answer \
             has them, and counts them in nexum_chain_unverified_total"
        );
    }

    pub(super) fn note_unverified(&self, header: &Header, why: &str) {
        self.metrics.unverified.increment(1);
        tracing::debug!(
            chain = self.chain_id,
            block = header.position.number,
            why,
            "the logs of the block could not be verified"
        );
    }

    /// The best other working endpoint.
    pub(super) fn other_than(&self, endpoint: &Arc<Endpoint>) -> Option<Arc<Endpoint>> {
        let others = self.endpoints.by_preference();
        others.into_iter().find(|other| !Arc::ptr_eq(other, endpoint))
    }
}

/// The wanted logs of a block, from its receipts.
enum Receipts {
    Proven(Vec<Log>),
    /// The receipts do not match the header's root.
    Unproven(Vec<Log>),
    /// The receipts are of a kind that cannot be checked.
    Unknown,
}

/// The wanted logs of a block, in order. Fails if a log is from another block.
fn of_block(logs: Vec<RawLog>, header: &Header, filters: &Filters) -> Result<Vec<Log>, FollowError> {
    let logs = wire_log::in_order(logs, filters);
    if logs.iter().any(|raw| raw.block != header.position) {
        return Err(FollowError::BadLogs);
    }
    Ok(plain(logs))
}

fn plain(logs: Vec<RawLog>) -> Vec<Log> {
    logs.into_iter().map(|raw| raw.log).collect()
}

/// Whether two answers contain equal logs of one block. Compares no indexes: those of receipts are
/// counted, those of `eth_getLogs` come from the endpoint.
fn are_equal(one: &[Log], other: &[Log]) -> bool {
    let is_equal = |(one, other): (&Log, &Log)| {
        (&one.transaction_hash, &one.address) == (&other.transaction_hash, &other.address)
            && (&one.topics, &one.data) == (&other.topics, &other.data)
    };
    one.len() == other.len() && one.iter().zip(other).all(is_equal)
}
