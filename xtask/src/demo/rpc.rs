//! JSON-RPC to the local node.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

#[derive(Debug, Clone)]
pub(super) struct Rpc {
    agent: Agent,
    url: String,
}

impl Rpc {
    pub(super) fn new(url: &str) -> Self {
        Self {
            agent: Agent::new_with_defaults(),
            url: url.to_owned(),
        }
    }

    /// Sends one request and returns its `result`.
    pub(super) fn request(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self
            .agent
            .post(&self.url)
            .send_json(request)
            .with_context(|| format!("{method} got no answer"))?;
        let mut answer: Value = answer.into_body().read_json()?;
        if let Some(error) = answer.get("error") {
            bail!("{method} failed: {error}");
        }
        Ok(answer["result"].take())
    }
}
