//! The capability.

use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_core::BoxError;
use nexum_core::capability::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostState};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::http;
use crate::config::{HttpConfig, wanted};
use crate::fetch::{Fetcher, Shared};
use crate::pattern::HostPattern;
use crate::resolver::{Lookup, SystemLookup};
use crate::state::HttpState;
use crate::wasi;

/// The name of the capability, its section and its settings.
const NAME: &str = "http";

/// The capability that provides `nexum:host/http` and `wasi:http`. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Http {
    shared: Arc<Shared>,
}

impl Http {
    /// Creates the capability with the system's resolver. Does not use the network.
    pub fn new(config: HttpConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// Creates the capability with another resolver. The crate checks the resolver's addresses too.
    pub fn with_lookup(config: HttpConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            shared: Arc::new(Shared::new(config, lookup)),
        }
    }

    /// Creates the fetcher of the module with this name, whose manifest allows `wanted`.
    pub fn fetcher(&self, module: &str, wanted: Vec<HostPattern>) -> Fetcher {
        Fetcher::new(Arc::clone(&self.shared), module, wanted)
    }
}

impl Capability for Http {
    type State = HttpState;

    fn name(&self) -> &'static str {
        NAME
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &[
            "nexum:host/http@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:http/types@0.2.0",
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        http::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)?;
        wasi::link::<Self>(linker)
    }

    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        wanted(settings).map(drop)
    }

    /// Warns of hosts that the operator does not allow. These are not errors, because a manifest
    /// may serve many operators. The warning appears before the first denied fetch.
    fn warnings(&self, settings: &Section) -> Vec<String> {
        let policy = self.shared.policy();
        let wanted = wanted(settings).unwrap_or_default();
        let denied = wanted.iter().filter(|entry| !policy.covers(entry));
        let warning = |entry: &HostPattern| {
            format!("the manifest allows `{entry}`, and `allow` in [http] does not: fetches from it return `denied`")
        };
        denied.map(warning).collect()
    }

    /// Every method is allowed to the hosts of the module. One host is enough for the operator to look.
    fn unrepeatable(&self, settings: Option<&Section>) -> Option<String> {
        let policy = self.shared.policy();
        let wanted = settings.and_then(|settings| wanted(settings).ok()).unwrap_or_default();
        let covers = |entries: &[HostPattern], wanted: &HostPattern| entries.iter().any(|entry| entry.covers(wanted));
        let mut once = wanted
            .iter()
            .filter(|wanted| policy.covers(wanted) && !covers(&policy.idempotent, wanted));
        Some(format!("what it posts to `{}`", once.next()?))
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let wanted = module.settings.get(NAME).map(wanted).transpose()?.unwrap_or_default();
        Ok(HttpState::new(self.fetcher(module.name.as_str(), wanted)))
    }
}
