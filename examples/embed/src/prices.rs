//! A capability that nexum does not have: `acme:prices/feed`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_core::BoxError;
use nexum_core::capability::{Capability, Has, HostState, ModuleMeta, View};
use nexum_core::wasmtime::{self, component::Linker};

mod bindings {
    nexum_core::wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package acme:embed;

            world embed {
                import acme:prices/feed@1.0.0;
            }
        ",
        world: "acme:embed/embed",
        imports: { default: trappable },
        wasmtime_crate: nexum_core::wasmtime,
    });
}

use bindings::acme::prices::feed;

/// Prices that every module of this program can read.
pub(crate) struct Prices(Arc<BTreeMap<&'static str, u64>>);

impl Prices {
    /// A fixed list of prices, in cents.
    pub(crate) fn new(prices: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        Self(Arc::new(prices.into_iter().collect()))
    }
}

impl Capability for Prices {
    type State = Arc<BTreeMap<&'static str, u64>>;

    fn name(&self) -> &'static str {
        "prices"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["acme:prices/feed@1.0.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        feed::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(self.0.clone())
    }
}

impl feed::Host for View<'_, Arc<BTreeMap<&'static str, u64>>> {
    fn latest(&mut self, symbol: String) -> wasmtime::Result<Option<u64>> {
        Ok(self.state.get(symbol.as_str()).copied())
    }
}
