//! The baseline of the host, which is wasmtime alone, and the modules of the benches.
#![allow(dead_code, reason = "each bench uses its part")]

use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::{Limit, Limits};
use nexum_config::names::Digest;
use nexum_core::bindings;
use nexum_core::capability::Capabilities;
use nexum_core::clock::Seams;
use nexum_core::engine::Demand;
use nexum_core::module::Module;
use nexum_core::source::Event;
use nexum_testing::{bench, guests};
use wasmtime::Store;
use wasmtime::component::Linker;

/// Loads modules with only the ambient capabilities.
pub(crate) async fn load(configs: Vec<ModuleConfig>, seams: Seams, limits: Limits, pooling: Pooling) -> Vec<Module> {
    let capabilities = Capabilities::ambient(seams.clone());
    bench::load(configs, capabilities, seams, limits, pooling).await
}

/// A guest in wasmtime alone. The host's overhead is the additional time.
pub(crate) struct Bare {
    store: Store<()>,
    exports: bindings::Module,
}

impl Bare {
    /// Instances of a guest in an engine with the host's settings. Their `init` has run with this
    /// configuration.
    pub(crate) async fn instances(
        guest: &str,
        count: usize,
        pooling: Pooling,
        config: &[(String, String)],
        link: impl FnOnce(&mut Linker<()>) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Vec<Self>> {
        let instances = u32::try_from(count)?;
        let demand = Demand {
            instances,
            memories: instances,
            ..Demand::default()
        };
        let engine = bench::engine(demand, pooling);
        let bytes = std::fs::read(guests::component(guest))?;
        let (component, _) = engine.compile(Digest::of(&bytes), Arc::new(bytes)).await?;
        let mut linker = Linker::new(engine.wasmtime());
        link(&mut linker)?;
        let pre = bindings::ModulePre::new(linker.instantiate_pre(&component)?)?;
        let mut instances = Vec::with_capacity(count);
        for _ in 0..count {
            let mut store = Store::new(engine.wasmtime(), ());
            begin(&mut store)?;
            let exports = pre.instantiate_async(&mut store).await?;
            exports
                .call_init(&mut store, &config.to_vec())
                .await?
                .map_err(|error| wasmtime::Error::msg(error.message))?;
            instances.push(Self { store, exports });
        }
        Ok(instances)
    }

    /// Calls the handler under the host's bounds for each event.
    pub(crate) async fn on_event(&mut self, event: &Event) -> wasmtime::Result<()> {
        let deadline = Duration::from_millis(Limits::default()[Limit::Deadline]);
        begin(&mut self.store)?;
        tokio::time::timeout(deadline, self.exports.call_on_event(&mut self.store, event))
            .await??
            .map_err(|error| wasmtime::Error::msg(error.message))
    }
}

fn begin(store: &mut Store<()>) -> wasmtime::Result<()> {
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    store.set_fuel(Limits::default()[Limit::Fuel])
}
