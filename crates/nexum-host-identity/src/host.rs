//! The WIT implementation.

use alloy_primitives::Address;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::View;

use crate::bindings::nexum::host::identity;
use crate::identity::IdentityState;
use crate::sign::{sign, sign_typed_data};

impl identity::Host for View<'_, IdentityState> {
    async fn accounts(&mut self) -> wasmtime::Result<Result<Vec<Vec<u8>>, HostError>> {
        let addresses: Vec<_> = self
            .state
            .grants
            .iter()
            .map(|grant| grant.account().address().to_vec())
            .collect();
        self.spend_call(addresses.len() * Address::len_bytes())?;
        Ok(Ok(addresses))
    }

    async fn sign(&mut self, account: Vec<u8>, message: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, HostError>> {
        let grants = self.state.grants.clone();
        sign(self, &grants, &account, &message).await
    }

    async fn sign_typed_data(
        &mut self,
        account: Vec<u8>,
        typed_data: String,
    ) -> wasmtime::Result<Result<Vec<u8>, HostError>> {
        let grants = self.state.grants.clone();
        sign_typed_data(self, &grants, &account, &typed_data).await
    }
}
