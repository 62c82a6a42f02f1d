//! The capability.

use std::sync::Arc;

use alloy_primitives::Address;
use nexum_accounts::{Accounts, Grant};
use nexum_core::BoxError;
use nexum_core::capability::{Capability, Has, HostState, ModuleMeta};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::identity;

/// The name of the capability, its section and its settings.
const NAME: &str = "identity";

/// The capability that provides `nexum:host/identity`. Clones share the accounts.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    accounts: Arc<Accounts>,
}

/// The state of one instance: the grants of its module.
#[derive(Debug)]
pub struct IdentityState {
    grants: Vec<Grant>,
}

impl Identity {
    /// Creates the capability. Reads no key and uses no network.
    pub fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts }
    }
}

impl IdentityState {
    /// The addresses that the module may sign with.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.grants.iter().map(|grant| grant.account().address())
    }

    /// The grant for the account with this address.
    pub(crate) fn grant(&self, address: Address) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.account().address() == address)
    }
}

impl Capability for Identity {
    type State = IdentityState;

    fn name(&self) -> &'static str {
        NAME
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/identity@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        identity::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    /// Begins to open the keystores of the module, so that its first signature need not wait.
    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let grants: Vec<_> = self.accounts.of(&module.name).to_vec();
        grants.iter().for_each(|grant| grant.account().open());
        Ok(IdentityState { grants })
    }
}
