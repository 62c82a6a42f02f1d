//! Whether an empty answer may come from a node that does not have the block.
//!
//! Behind one URL there may be several nodes, some of them behind. Most nodes refuse `eth_getLogs`
//! for a hash that they do not know; some answer with an empty list, as for a block without logs.

use alloy_primitives::keccak256;
use nexum_net::Backoff;

use super::filters::Filters;
use super::header::{self, Header};
use super::per_endpoint::PerEndpoint;
use super::wire_log::{self, RawLog};
use super::{FollowError, Reader};
use crate::error::{AnswerKind, RequestError};
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

/// The empty answers that nexum accepts before it tests the endpoint again with a hash of no block.
/// Another node may answer by then, and one request per 64 costs little.
const BELIEVED_MAX: u32 = 64;

/// The requests for a block that an endpoint lacks before the lack counts as a failure: with the
/// waits between them, all nodes behind one URL have the block by then.
const LOOKS_MAX: u32 = 3;

/// How each of a chain's endpoints answers for a block that it lacks.
#[derive(Debug)]
pub(super) struct Absent(PerEndpoint<Manner>);

#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// The endpoint has answered with a list once. Never reset: the node that did may answer again.
    is_silent: bool,
    /// The number of empty answers that nexum still accepts.
    believed: u32,
}

impl Absent {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        Self(PerEndpoint::new(endpoints, |_| Manner::default()))
    }
}

impl Reader {
    /// Whether the endpoint refuses to answer for a block that it lacks, so that an empty answer
    /// means that the block has no logs.
    pub(super) async fn refuses_unknown(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<bool, FollowError> {
        let known = self.absent.0.with(endpoint, |manner| {
            if manner.is_silent {
                return Some(false);
            }
            manner.believed = manner.believed.checked_sub(1)?;
            Some(true)
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let nowhere = keccak256(header.position.hash);
        let questions = filters.questions(self.manners.values_max(endpoint));
        let question = questions.first().ok_or(RequestError::Internal)?;
        let answer = endpoint.request(&question.of_block(&nowhere)?).await;
        let refuses = match answer {
            Ok(_) => false,
            Err(RequestError::Answer { kind, .. }) if kind != AnswerKind::RateLimit => true,
            // The failure shows nothing.
            Err(_) => return Ok(false),
        };
        self.absent.0.with(endpoint, |manner| match refuses {
            true => manner.believed = BELIEVED_MAX - 1,
            false => manner.is_silent = true,
        });
        Ok(refuses)
    }

    /// Requests the logs of a block together with the block, so that one node answers for both.
    /// Fails if the node lacks the block.
    pub(super) async fn logs_and_block(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Vec<RawLog>, FollowError> {
        let hash = &header.position.hash;
        let mut requests = vec![header::request_by_hash(hash)?];
        for question in filters.questions(self.manners.values_max(endpoint)) {
            requests.push(question.of_block(hash)?);
        }
        let mut backoff = Backoff::default();
        for look in 1..=LOOKS_MAX {
            let mut answers = endpoint.batch(&requests).await.into_iter();
            let block = answers.next().ok_or(RequestError::Internal)?;
            let block = block.map_err(FollowError::asked("eth_getBlockByHash"))?;
            if block.get() != "null" {
                let mut logs = Vec::new();
                for answer in answers {
                    let answer = answer.map_err(FollowError::asked("eth_getLogs"))?;
                    logs.extend(wire_log::parse(&answer, self.chain_id)?);
                }
                return Ok(logs);
            }
            if look < LOOKS_MAX {
                tokio::time::sleep(backoff.after_failure()).await;
            }
        }
        Err(FollowError::NoBlock(header.position.number))
    }
}
