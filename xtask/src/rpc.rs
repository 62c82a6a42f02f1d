//! JSON-RPC calls to the local node.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;

/// The largest response to a batch. Hundreds of blocks without transactions need a tenth of it.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// The node's HTTP endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    agent: Agent,
    url: String,
}

impl Rpc {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            agent: Agent::new_with_defaults(),
            url: url.to_owned(),
        }
    }

    /// Sends a request and returns its `result`.
    pub(crate) fn request(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self
            .agent
            .post(&self.url)
            .send_json(request)
            .with_context(|| format!("no response to {method}"))?;
        let mut answer: Value = answer.into_body().read_json()?;
        if let Some(error) = answer.get("error") {
            bail!("{method} failed: {error}");
        }
        Ok(answer["result"].take())
    }

    /// Sends a batch of requests with one method. Returns the results in the order of `params`.
    pub(crate) fn batch(&self, method: &str, params: &[Value]) -> Result<Vec<Value>> {
        let request = |(id, params)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let requests: Vec<Value> = params.iter().enumerate().map(request).collect();
        let answer = self.agent.post(&self.url).send_json(requests);
        let answer = answer.with_context(|| format!("no response to {method}"))?;
        let mut body = answer.into_body();
        let answers: Vec<Value> = body.with_config().limit(BATCH_BYTES_MAX).read_json()?;
        ensure!(
            answers.len() == params.len(),
            "{method}: {} responses to {} requests",
            answers.len(),
            params.len()
        );
        let mut results = vec![Value::Null; params.len()];
        for mut answer in answers {
            if let Some(error) = answer.get("error") {
                bail!("{method} failed: {error}");
            }
            let id = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            let result = id
                .and_then(|id| results.get_mut(id))
                .context("a response has an unknown id")?;
            *result = answer["result"].take();
        }
        Ok(results)
    }
}
