//! The capability.

use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_core::BoxError;
use nexum_core::capability::module_meta::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostState};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::http;
use crate::config::{HttpConfig, wanted};
use crate::fetch::{Fetcher, Shared};
use crate::pattern::HostPattern;
use crate::resolver::{Lookup, SystemLookup};

/// The name of the capability, its section and its settings.
const NAME: &str = "http";

/// Gives modules `nexum:host/http`. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Http {
    shared: Arc<Shared>,
}

impl Http {
    /// The capability with this configuration, and the system's resolver. Touches no network.
    pub fn new(config: HttpConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// The same with another resolver, whose answers are checked as well.
    pub fn with_lookup(config: HttpConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            shared: Arc::new(Shared::new(config, lookup)),
        }
    }

    /// What fetches for a module that is called so, whose manifest allows these hosts.
    pub fn fetcher(&self, module: &str, wanted: Vec<HostPattern>) -> Fetcher {
        Fetcher::new(Arc::clone(&self.shared), module, wanted)
    }
}

impl Capability for Http {
    type State = Fetcher;

    fn name(&self) -> &'static str {
        NAME
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/http@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        http::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        wanted(settings).map(drop)
    }

    /// What a manifest wants and the operator does not allow is no reason to refuse the module: one list can be for many
    /// operators. But it is better known before the first fetch that is denied.
    fn warnings(&self, settings: &Section) -> Vec<String> {
        let policy = self.shared.policy();
        let wanted = wanted(settings).unwrap_or_default();
        let denied = wanted.iter().filter(|entry| !policy.covers(entry));
        let warning = |entry: &HostPattern| {
            format!(
                "it wants to fetch from `{entry}`, which [http] allow does not cover: what is not in both is denied"
            )
        };
        denied.map(warning).collect()
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError> {
        let wanted = module.settings.get(NAME).map(wanted).transpose()?.unwrap_or_default();
        Ok(self.fetcher(module.name.as_str(), wanted))
    }
}
