//! The WIT implementation.

use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::View;

use crate::bindings::nexum::host::chain::{self, RpcRequest, RpcResult};
use crate::capability::chains::ModuleChains;
use crate::error::RequestError;
use crate::methods;

impl chain::Host for View<'_, ModuleChains> {
    async fn request(
        &mut self,
        chain_id: u64,
        method: String,
        params: String,
    ) -> wasmtime::Result<Result<String, HostError>> {
        self.scope.spend(Limit::ChainRequests, 1)?;
        if !methods::is_read(&method) {
            self.scope.mark_effect();
        }
        let block = self.state.pin.block(self, chain_id);
        let answer = self.state.chains.request_at(block, chain_id, &method, &params).await;
        self.scope.spend(Limit::ResponseBytes, bytes(&answer))?;
        Ok(answer.map_err(|error| error.to_host_error()))
    }

    async fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<RpcRequest>,
    ) -> wasmtime::Result<Result<Vec<RpcResult>, HostError>> {
        self.scope.spend(Limit::ChainRequests, requests.len() as u64)?;
        let requests: Vec<_> = requests
            .iter()
            .map(|request| (&*request.method, &*request.params))
            .collect();
        if !requests.iter().all(|(method, _)| methods::is_read(method)) {
            self.scope.mark_effect();
        }
        let block = self.state.pin.block(self, chain_id);
        let left = self.scope.left(Limit::ResponseBytes);
        let chains = &self.state.chains;
        let answers = chains.request_batch_at(block, chain_id, &requests, left).await;
        let received = match &answers {
            // Ends the event: the guest would take a part of the results for all of them.
            Err(RequestError::OverBudget { .. }) => left.saturating_add(1),
            answers => answers.iter().flatten().map(bytes).sum(),
        };
        self.scope.spend(Limit::ResponseBytes, received)?;
        let answers = answers.map_err(|error| error.to_host_error());
        Ok(answers.map(|answers| answers.into_iter().map(rpc_result).collect()))
    }
}

/// The bytes of an answer that come from outside. The data of an error has its own bounds.
fn bytes(answer: &Result<String, RequestError>) -> u64 {
    answer.as_ref().map_or(0, |result| result.len() as u64)
}

fn rpc_result(answer: Result<String, RequestError>) -> RpcResult {
    match answer {
        Ok(result) => RpcResult::Ok(result),
        Err(error) => RpcResult::Err(error.to_host_error()),
    }
}
