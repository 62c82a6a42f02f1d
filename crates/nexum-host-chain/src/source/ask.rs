//! Requests logs in the form that an endpoint accepts: by hash or by number, for all addresses at
//! once or in parts, or by the block's receipts.

use std::ops::RangeInclusive;

use super::filters::{Filters, Question, VALUES_MAX};
use super::header::{self, Header};
use super::per_endpoint::PerEndpoint;
use super::wire_log::{self, RawLog};
use super::{FollowError, Reader};
use crate::error::{AnswerKind, RequestError, Retry};
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

/// The blocks in a row that an endpoint must refuse by hash and answer by number before nexum
/// requests blocks by number first. One refusal may be an outage that ended in between.
const HASH_REFUSALS_MAX: u32 = 2;

/// How many times in a row an endpoint has to fail to give receipts before nexum takes it as a refusal. An outage shows in
/// other requests as well.
const RECEIPT_FAILURES_MAX: u32 = 3;

/// The form in which each of a chain's endpoints accepts `eth_getLogs`, as known so far.
#[derive(Debug)]
pub(super) struct Manners(PerEndpoint<Manner>);

#[derive(Clone, Copy, Debug)]
struct Manner {
    /// The blocks in a row that the endpoint refused by hash and answered by number.
    hash_refusals: u32,
    /// The most addresses, or first topics, in a request to the endpoint.
    values_max: usize,
    /// How many times in a row it failed to give the receipts of a block.
    receipt_failures: u32,
}

impl Manners {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        Self(PerEndpoint::new(endpoints, |endpoint| {
            let said = endpoint.max_addresses().and_then(|max| usize::try_from(max).ok());
            Manner {
                hash_refusals: 0,
                values_max: said.unwrap_or(VALUES_MAX),
                receipt_failures: 0,
            }
        }))
    }

    /// The most addresses, or first topics, in one request to the endpoint.
    pub(super) fn values_max(&self, endpoint: &Endpoint) -> usize {
        self.0.with(endpoint, |manner| manner.values_max)
    }

    /// Notes whether an endpoint gave the receipts of a block. Returns whether a failure may pass.
    fn gave_receipts(&self, endpoint: &Endpoint, gave: bool) -> bool {
        self.0.with(endpoint, |manner| {
            manner.receipt_failures = if gave {
                0
            } else {
                manner.receipt_failures.saturating_add(1)
            };
            manner.receipt_failures < RECEIPT_FAILURES_MAX
        })
    }

    fn wants_numbers(&self, endpoint: &Endpoint) -> bool {
        self.0
            .with(endpoint, |manner| manner.hash_refusals >= HASH_REFUSALS_MAX)
    }
}

/// The logs of a block in an endpoint's answers.
pub(super) struct Asked {
    pub(super) logs: Vec<RawLog>,
    /// Whether the endpoint has shown that it has the block, so that an empty answer means that the
    /// block has no logs.
    pub(super) has_block: bool,
}

impl Reader {
    /// Requests the logs of a block. After a refusal, sends narrower requests, as long as the
    /// endpoint answers them.
    pub(super) async fn ask_block(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Asked, FollowError> {
        let mut waiting = filters.questions(self.manners.values_max(endpoint));
        let mut asked = Asked {
            logs: Vec::new(),
            has_block: false,
        };
        while let Some(question) = waiting.pop() {
            let error = match self.ask_question(endpoint, header, &question).await {
                Ok(part) => {
                    asked.logs.extend(part.logs);
                    asked.has_block = part.has_block;
                    continue;
                }
                Err(error) => error,
            };
            if let Some(halves) = self.divide(endpoint, header, &question, &error).await {
                waiting.extend(halves);
            } else if error.is_too_large() || self.is_only(endpoint) {
                return self.ask_receipts(endpoint, header, filters, error).await;
            } else {
                return Err(error);
            }
        }
        Ok(asked)
    }

    /// Sends one query for a block: by hash, or by number if the endpoint refuses hashes.
    async fn ask_question(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        question: &Question<'_>,
    ) -> Result<Asked, FollowError> {
        if self.manners.wants_numbers(endpoint) {
            return self.ask_by_number(endpoint, header, question).await;
        }
        let request = question.of_block(&header.position.hash)?;
        let mut answer = endpoint.request(&request).await;
        if matches!(answer, Err(RequestError::CutOff { .. })) {
            // Repeats the request without the other blocks that were cut off, which shows whose
            // answer is too large.
            let _alone = self.alone.lock().await;
            answer = endpoint.request(&request).await;
        }
        let error = match answer {
            Ok(answer) => {
                self.manners.0.with(endpoint, |manner| manner.hash_refusals = 0);
                let logs = wire_log::parse(&answer, self.chain_id)?;
                return Ok(Asked { logs, has_block: false });
            }
            Err(error) => error,
        };
        if !may_be_of_form(&error) {
            return Err(FollowError::asked("eth_getLogs")(error));
        }
        let Ok(asked) = self.ask_by_number(endpoint, header, question).await else {
            return Err(FollowError::asked("eth_getLogs")(error));
        };
        let refusals = self.manners.0.with(endpoint, |manner| {
            manner.hash_refusals += 1;
            manner.hash_refusals
        });
        if refusals == HASH_REFUSALS_MAX {
            tracing::warn!(
                chain = self.chain_id,
                endpoint = endpoint.label(),
                method = "eth_getLogs",
                block = header.position.number,
                %error,
                "the endpoint refuses blocks by hash: nexum asks it by number, and compares the block's hash"
            );
        }
        Ok(asked)
    }

    /// Sends a query by number, then requests the block of that number, which must be this one.
    async fn ask_by_number(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        question: &Question<'_>,
    ) -> Result<Asked, FollowError> {
        let number = header.position.number;
        let answer = endpoint.request(&question.of_range(&(number..=number))?).await;
        let answer = answer.map_err(FollowError::asked("eth_getLogs"))?;
        let canonical = header::numbered(endpoint, number).await?;
        if canonical.is_none_or(|block| block.position != header.position) {
            return Err(FollowError::NoBlock(number));
        }
        let logs = wire_log::parse(&answer, self.chain_id)?;
        Ok(Asked { logs, has_block: true })
    }

    /// Divides a refused query into two. None if there is nothing to divide, or if the endpoint
    /// refuses a narrow query too. Learns how many addresses the endpoint accepts.
    async fn divide<'a>(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        question: &Question<'a>,
        error: &FollowError,
    ) -> Option<[Question<'a>; 2]> {
        let halves = question.halves()?;
        let request = error.request()?;
        if error.is_too_large() {
            return Some(halves);
        }
        if !may_be_of_form(request) {
            return None;
        }
        self.ask_question(endpoint, header, &question.narrowest()).await.ok()?;
        let values = question.values();
        let below = values / 2;
        let is_new = self.manners.0.with(endpoint, |manner| {
            let is_new = below < manner.values_max;
            manner.values_max = manner.values_max.min(below).max(1);
            is_new
        });
        if is_new {
            tracing::warn!(
                chain = self.chain_id,
                endpoint = endpoint.label(),
                method = "eth_getLogs",
                block = header.position.number,
                addresses = values,
                error = %request,
                "the endpoint refuses so many addresses or topics: nexum divides them; set max_addresses for this endpoint to the \
                 number that it accepts"
            );
        }
        Some(halves)
    }

    /// The logs of a block from its receipts, after `eth_getLogs` failed.
    async fn ask_receipts(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
        error: FollowError,
    ) -> Result<Asked, FollowError> {
        if !error.is_too_large() && !error.request().is_some_and(may_be_of_form) {
            return Err(error);
        }
        let receipts = self.raw_logs_of_receipts(endpoint, header, filters).await;
        let may_pass = self.manners.gave_receipts(endpoint, receipts.is_ok());
        match receipts {
            Ok(Some(logs)) => Ok(Asked { logs, has_block: true }),
            Err(failed) if !failed.is_too_large() && failed.is_passing() && may_pass => Err(failed),
            _ => Err(error),
        }
    }

    /// Sends one query for a range. After a refusal, finds out whether the width is the reason.
    /// `first` is the range's first block.
    pub(super) async fn ask_range(
        &self,
        endpoint: &Endpoint,
        question: &Question<'_>,
        numbers: &RangeInclusive<u64>,
        first: &Header,
        filters: &Filters,
    ) -> Result<Ranged, FollowError> {
        let failed = |error| FollowError::Range {
            from: *numbers.start(),
            to: *numbers.end(),
            error,
        };
        let request = question.of_range(numbers)?;
        let error = match endpoint.request(&request).await {
            Ok(answer) => return Ok(Ranged::Logs(wire_log::parse(&answer, self.chain_id)?)),
            Err(error) if is_too_much(&error) => return Ok(Ranged::TooMuch(error)),
            Err(error) if !may_be_of_width(&error) => return Err(failed(error)),
            Err(error) => error,
        };
        match endpoint.request(&request).await {
            Ok(answer) => return Ok(Ranged::Logs(wire_log::parse(&answer, self.chain_id)?)),
            Err(again) if again != error => return Err(failed(again)),
            Err(_) => {}
        }
        // The answer for a single block shows whether the width is the reason of the refusal.
        let before = self.manners.values_max(endpoint);
        if self.ask_block(endpoint, first, filters).await.is_err() {
            return Err(failed(error));
        }
        if self.manners.values_max(endpoint) < before {
            return Ok(Ranged::Divided);
        }
        if self.ranges.is_first_refusal(endpoint) {
            tracing::warn!(
                chain = self.chain_id,
                endpoint = endpoint.label(),
                method = "eth_getLogs",
                from = numbers.start(),
                to = numbers.end(),
                %error,
                "the endpoint refuses the range twice and answers for a single block: asking for fewer blocks at once; set \
                 max_log_range_blocks for this endpoint to the number that it accepts"
            );
        }
        Ok(Ranged::TooMuch(error))
    }

    fn is_only(&self, endpoint: &Endpoint) -> bool {
        let others = self.endpoints.by_preference();
        others.iter().all(|other| other.index() == endpoint.index())
    }
}

/// The outcome of a query for a range.
pub(super) enum Ranged {
    Logs(Vec<RawLog>),
    /// The endpoint may answer a narrower range.
    TooMuch(RequestError),
    /// The endpoint accepts fewer addresses: the queries must be made again.
    Divided,
}

/// Whether the endpoint may answer for fewer blocks. Proxies use a status to report that the node
/// takes too long.
pub(super) fn is_too_much(error: &RequestError) -> bool {
    match error {
        RequestError::Timeout { .. } | RequestError::Lost { .. } => true,
        RequestError::Status { status, .. } => matches!(status, 408 | 504) || error.is_too_large(),
        error => error.is_too_large(),
    }
}

/// Whether a refusal may concern the form of the request, such as a block's hash, the number of
/// addresses or the width of a range. Texts and codes are too vague, so every refusal counts except
/// those that concern the caller.
fn may_be_of_form(error: &RequestError) -> bool {
    match error {
        RequestError::Malformed => true,
        RequestError::Answer { .. } => error.is_refusal(),
        RequestError::Status { status, .. } => !matches!(status, 401 | 402 | 403 | 407 | 429 | 451),
        _ => false,
    }
}

/// As [`may_be_of_form`], for the width of a range: some endpoints report it as a rate limit, or as
/// an unknown block.
fn may_be_of_width(error: &RequestError) -> bool {
    match error {
        RequestError::Answer { kind, .. } => *kind != AnswerKind::Revert,
        error => may_be_of_form(error),
    }
}

impl FollowError {
    /// Whether a retry may succeed.
    fn is_passing(&self) -> bool {
        self.request().is_some_and(|error| error.retry() == Retry::Anywhere)
    }
}
