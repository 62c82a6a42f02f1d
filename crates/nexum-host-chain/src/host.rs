//! The WIT implementation.

use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::View;

use crate::bindings::nexum::host::chain::{self, RpcRequest, RpcResult};
use crate::chains::ModuleChains;
use crate::methods;

impl chain::Host for View<'_, ModuleChains> {
    async fn request(
        &mut self,
        chain_id: u64,
        method: String,
        params: String,
    ) -> wasmtime::Result<Result<String, HostError>> {
        if !methods::is_read(&method) {
            self.scope.mark_effect();
        }
        let block = self.state.pin.block(self, chain_id);
        let answer = self.state.chains.request_at(block, chain_id, &method, &params).await;
        Ok(answer.map_err(|error| error.to_host_error()))
    }

    async fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<RpcRequest>,
    ) -> wasmtime::Result<Result<Vec<RpcResult>, HostError>> {
        let requests: Vec<_> = requests
            .iter()
            .map(|request| (&*request.method, &*request.params))
            .collect();
        if !requests.iter().all(|(method, _)| methods::is_read(method)) {
            self.scope.mark_effect();
        }
        let block = self.state.pin.block(self, chain_id);
        let answers = self.state.chains.request_batch_at(block, chain_id, &requests).await;
        let answers = answers.map_err(|error| error.to_host_error());
        Ok(answers.map(|answers| answers.into_iter().map(rpc_result).collect()))
    }
}

fn rpc_result(answer: Result<String, crate::RequestError>) -> RpcResult {
    match answer {
        Ok(result) => RpcResult::Ok(result),
        Err(error) => RpcResult::Err(error.to_host_error()),
    }
}
