//! What a module may ask: checked here before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_core::event::ChainId;
use serde_json::value::RawValue;

use crate::config::ChainConfig;
use crate::endpoint::Request;
use crate::endpoints::Endpoints;
use crate::error::RequestError;
use crate::methods;

/// How many requests a batch may hold. It is the least that large providers take, and a module that wants more sends another
/// batch.
pub const BATCH_REQUESTS_MAX: usize = 100;

/// How long a method's name may be: twice the longest known one.
pub const METHOD_BYTES_MAX: usize = 128;

/// How large the parameters of a request, or of a whole batch, may be: room for an `eth_call` of the largest contract that may
/// be deployed, several times over.
pub const PARAMS_BYTES_MAX: usize = 1_024 * 1_024;

/// A chain as modules see it.
#[derive(Debug)]
pub(crate) struct ChainRequests {
    chain_id: ChainId,
    endpoints: Arc<Endpoints>,
    extra_methods: BTreeSet<String>,
}

impl ChainRequests {
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        Self {
            chain_id: config.chain_id,
            endpoints,
            extra_methods: config.extra_methods.clone(),
        }
    }

    /// Sends one request; its result is JSON text.
    pub(crate) async fn request(&self, method: &str, params: &str) -> Result<String, RequestError> {
        let request = self.check(method, params)?;
        self.endpoints.request(&request).await.map(into_string)
    }

    /// Sends those of the requests that may be sent, together. There is one answer for each request, in their order.
    pub(crate) async fn batch(
        &self,
        requests: &[(&str, &str)],
    ) -> Result<Vec<Result<String, RequestError>>, RequestError> {
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
        let mut sent = Vec::with_capacity(requests.len());
        let mut answers = Vec::with_capacity(requests.len());
        for (method, params) in requests {
            // Its place is kept for the answer of the next request sent.
            answers.push(self.check(method, params).map(|request| sent.push(request)));
        }
        let mut received = if sent.is_empty() {
            Vec::new()
        } else {
            self.endpoints.batch(&sent).await
        }
        .into_iter();
        let answer = |checked: Result<(), RequestError>| {
            checked
                .and_then(|()| received.next().unwrap_or(Err(RequestError::Internal)))
                .map(into_string)
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    fn check(&self, method: &str, params: &str) -> Result<Request, RequestError> {
        if method.len() > METHOD_BYTES_MAX {
            return Err(RequestError::invalid(format!(
                "a method's name takes at most {METHOD_BYTES_MAX} bytes"
            )));
        }
        if !methods::is_read(method) && !self.extra_methods.contains(method) {
            let reason = format!(
                "the method {} is not allowed on chain {}",
                method.escape_debug(),
                self.chain_id
            );
            return Err(RequestError::denied(reason));
        }
        if params.len() > PARAMS_BYTES_MAX {
            return Err(RequestError::invalid(format!(
                "the parameters take at most {PARAMS_BYTES_MAX} bytes"
            )));
        }
        // The check does not recurse, however deep the text is nested.
        match serde_json::from_str::<&RawValue>(params) {
            Ok(params) if params.get().starts_with('[') => Ok((method.to_owned().into(), params.to_owned())),
            _ => Err(RequestError::invalid("the parameters are not a JSON array")),
        }
    }
}

fn into_string(result: Box<RawValue>) -> String {
    Box::<str>::from(result).into_string()
}
