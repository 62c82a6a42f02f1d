//! The capability.

use std::sync::Arc;

use nexum_accounts::{Accounts, Grant};
use nexum_core::BoxError;
use nexum_core::capability::{Capability, ChainMethods, Has, HostState, ModuleMeta};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::identity;
use crate::methods::IdentityMethods;

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
    pub(crate) grants: Arc<[Grant]>,
}

impl Identity {
    /// Creates the capability. Reads no key and uses no network.
    pub fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts }
    }

    /// The methods of `chain.request` that need an account and send nothing: `eth_accounts`, `personal_sign` and
    /// `eth_signTypedData_v4`. The rules of the accounts are those for `nexum:host/identity`.
    pub fn chain_methods(&self) -> Arc<dyn ChainMethods> {
        Arc::new(IdentityMethods::new(Arc::clone(&self.accounts)))
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
        let grants: Arc<[Grant]> = self.accounts.of(&module.name).into();
        grants.iter().for_each(|grant| grant.account().open());
        Ok(IdentityState { grants })
    }
}
