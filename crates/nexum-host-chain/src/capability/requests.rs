//! Modules' requests, checked before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::topic::ChainId;
use nexum_core::source::Position;
use serde_json::value::RawValue;

use crate::capability::pin::{self, Pinned};
use crate::capability::reads::Reads;
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::methods::{self, METHOD_BYTES_MAX};
use crate::rpc::endpoint::RpcRequest;
use crate::rpc::endpoint::read::{ByNumber, ReadRequest};
use crate::rpc::endpoints::Endpoints;

/// The most requests of a batch: the smallest limit of large providers. A module can send several
/// batches.
pub const BATCH_REQUESTS_MAX: usize = 100;

/// The most bytes of the parameters of a request, or of a whole batch: several times an `eth_call`
/// with the largest contract that can be deployed.
pub const PARAMS_BYTES_MAX: usize = 1_024 * 1_024;

/// A chain, for modules.
#[derive(Debug)]
pub(crate) struct ChainRequests {
    chain_id: ChainId,
    endpoints: Arc<Endpoints>,
    reads: Reads,
    extra_methods: BTreeSet<String>,
}

/// Refuses a batch above its bounds.
pub(crate) fn check_batch(requests: &[(&str, &str)]) -> Result<(), RequestError> {
    if requests.len() > BATCH_REQUESTS_MAX {
        return Err(RequestError::invalid(format!(
            "a batch holds at most {BATCH_REQUESTS_MAX} requests"
        )));
    }
    if requests.iter().map(|(_, params)| params.len()).sum::<usize>() > PARAMS_BYTES_MAX {
        return Err(RequestError::invalid(format!(
            "the parameters of a batch take at most {PARAMS_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// A request that is allowed.
enum Allowed {
    /// The event contains the answer.
    Answered(String),
    Read(ReadRequest),
    /// A request that may have effects.
    Other(RpcRequest),
}

impl ChainRequests {
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        Self {
            chain_id: config.chain_id,
            reads: Reads::new(Arc::clone(&endpoints)),
            endpoints,
            extra_methods: config.extra_methods.clone(),
        }
    }

    /// Sends one request. The result is JSON text. If `pin` is a block, `latest` in a read means
    /// that block.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: &str,
        pin: Option<Position>,
    ) -> Result<String, RequestError> {
        match self.check(method, params, pin)? {
            Allowed::Answered(answer) => Ok(answer),
            Allowed::Read(read) => self.reads.read(read).await.map(|result| result.get().to_owned()),
            Allowed::Other(request) => self.endpoints.request(&request).await.map(into_string),
        }
    }

    /// Sends the allowed requests together. Returns one answer per request, in order.
    ///
    /// Fails with [`RequestError::OverBudget`] as soon as the results have more than `bytes_max`
    /// bytes. Each of several equal reads counts.
    pub(crate) async fn batch(
        &self,
        requests: &[(&str, &str)],
        pin: Option<Position>,
        bytes_max: u64,
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
        check_batch(requests)?;
        let (mut reads, mut others) = (Vec::new(), Vec::new());
        let mut sources = Vec::with_capacity(requests.len());
        for (method, params) in requests {
            sources.push(match self.check(method, params, pin) {
                Err(error) => AnswerSource::Answered(Err(error)),
                Ok(Allowed::Answered(answer)) => AnswerSource::Answered(Ok(answer)),
                Ok(Allowed::Read(read)) => {
                    reads.push(read);
                    AnswerSource::Read
                }
                Ok(Allowed::Other(request)) => {
                    others.push(request);
                    AnswerSource::Other
                }
            });
        }
        let mut budget = Budget::new(bytes_max);
        let mut reads = self.reads.read_all(reads, bytes_max).await.into_iter();
        let mut answers = Vec::with_capacity(sources.len());
        let mut others = others.into_iter();
        for source in sources {
            let answer = match source {
                AnswerSource::Answered(answer) => answer,
                AnswerSource::Read => {
                    let answer = reads.next().unwrap_or(Err(RequestError::Internal));
                    // Counted before each request gets its own copy.
                    budget.spend(&answer, |result| result.get().len())?;
                    answer.map(|result| result.get().to_owned())
                }
                AnswerSource::Other => {
                    let request = others.next().ok_or(RequestError::Internal)?;
                    let answer = self.endpoints.request(&request).await.map(into_string);
                    budget.spend(&answer, String::len)?;
                    answer
                }
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Whether a method may change something, and the operator allows it.
    pub(crate) fn allows_change(&self, method: &str) -> bool {
        let is_allowed = methods::is_among(&self.extra_methods, method);
        is_allowed && methods::may_change(method) && !methods::CONNECTION_METHODS.contains(&method)
    }

    /// The reason for a module, with the remedy for the operator.
    fn not_allowed(&self, method: &str) -> String {
        let chain_id = self.chain_id;
        let remedy = match methods::signing(method) {
            Some(methods::SEND_RAW) => format!(": it needs `extra_methods = [\"{method}\"]` in [chains.{chain_id}]"),
            Some(_) => {
                ": it needs a build of nexum that signs, and an account in [identity.<module>.<account>]".to_owned()
            }
            None => String::new(),
        };
        let method = method.escape_debug();
        format!("the method {method} is not allowed on chain {chain_id}{remedy}")
    }

    fn check(&self, method: &str, params: &str, pin: Option<Position>) -> Result<Allowed, RequestError> {
        check_method(method)?;
        let read = methods::read(method);
        if methods::CONNECTION_METHODS.contains(&method) {
            let reason = format!("the method {method} is not allowed: modules share the connection that it is about");
            return Err(RequestError::denied(reason));
        }
        if read.is_none() && !methods::is_among(&self.extra_methods, method) {
            return Err(RequestError::denied(self.not_allowed(method)));
        }
        let params = check_params(params)?;
        let Some(method) = read else {
            return Ok(Allowed::Other((method.to_owned().into(), params.to_owned())));
        };
        let Some(block) = pin else {
            return Ok(Allowed::Read(ReadRequest::unpinned(method, params.to_owned())));
        };
        Ok(match pin::pin(method, params, &block) {
            Pinned::Untouched => Allowed::Read(ReadRequest::unpinned(method, params.to_owned())),
            Pinned::Answer(answer) => Allowed::Answered(answer),
            Pinned::ByHash {
                method,
                params,
                by_number,
            } => Allowed::Read(ReadRequest {
                is_pinned: true,
                by_number: by_number
                    .map(|params| -> Result<_, RequestError> {
                        let request = (method.into(), raw(params)?);
                        Ok(ByNumber { request, block })
                    })
                    .transpose()?,
                null_is_unknown: pin::null_is_unknown(method),
                ..ReadRequest::unpinned(method, raw(params)?)
            }),
            Pinned::ByNumber { params } => Allowed::Read(ReadRequest::unpinned(method, raw(params)?)),
        })
    }
}

/// Refuses a method whose name is too long.
pub(crate) fn check_method(method: &str) -> Result<(), RequestError> {
    match method.len() > METHOD_BYTES_MAX {
        true => Err(RequestError::invalid(format!(
            "a method's name takes at most {METHOD_BYTES_MAX} bytes"
        ))),
        false => Ok(()),
    }
}

/// The parameters of a request, which are a JSON array within its bound.
pub(crate) fn check_params(params: &str) -> Result<&RawValue, RequestError> {
    if params.len() > PARAMS_BYTES_MAX {
        return Err(RequestError::invalid(format!(
            "the parameters take at most {PARAMS_BYTES_MAX} bytes"
        )));
    }
    // The check does not recurse, so deeply nested text is harmless.
    match serde_json::from_str::<&RawValue>(params) {
        Ok(params) if params.get().starts_with('[') => Ok(params),
        _ => Err(RequestError::invalid("the parameters are not a JSON array")),
    }
}

/// The bytes of results that a batch may still have.
struct Budget {
    bytes_max: u64,
    left: u64,
}

impl Budget {
    fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            left: bytes_max,
        }
    }

    /// Fails if this result exceeds the budget.
    fn spend<T>(&mut self, answer: &Result<T, RequestError>, bytes: impl Fn(&T) -> usize) -> Result<(), RequestError> {
        let bytes_max = self.bytes_max;
        match answer {
            Err(RequestError::OverBudget { .. }) => return Err(RequestError::OverBudget { bytes_max }),
            Err(_) => {}
            Ok(result) => {
                let left = self.left.checked_sub(bytes(result) as u64);
                self.left = left.ok_or(RequestError::OverBudget { bytes_max })?;
            }
        }
        Ok(())
    }
}

/// The origin of the answer to a request of a batch.
enum AnswerSource {
    Answered(Result<String, RequestError>),
    Read,
    Other,
}

fn raw(params: String) -> Result<Box<RawValue>, RequestError> {
    RawValue::from_string(params).map_err(|_| RequestError::Internal)
}

fn into_string(result: Box<RawValue>) -> String {
    Box::<str>::from(result).into_string()
}
