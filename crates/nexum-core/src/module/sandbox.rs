//! Reads the functions of a component from an instance that nothing else uses.

use std::path::Path;
use std::sync::Arc;

use nexum_config::component::ComponentFile;
use nexum_config::engine::Metering;
use nexum_config::limits::{Limit, Limits};
use nexum_config::names::ModuleName;
use tokio::time::Instant;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance};

use super::call::{self, HandlerContext};
use super::error::LoadError;
use super::failure::Failure;
use super::functions::{Functions, FunctionsError};
use crate::bindings::functions::FunctionsPre;
use crate::capability::HostState;
use crate::capability::grant::{Grant, resource_type};
use crate::capability::module_meta::{ModuleMeta, Revision};
use crate::capability::recorder::Recorder;
use crate::capability::registry::Capabilities;
use crate::capability::stdio::Stdio;
use crate::clock::Seams;
use crate::engine::Engine;
use crate::event::Handler;
use crate::state::ModuleId;
use crate::state::scope::EventScope;
use crate::store::MemoryStore;

/// The most bytes of a list of functions: several times what a large module describes. Without a
/// bound, one text in the guest's memory could fill the host's memory by its copies.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Calls `list-functions` of a compiled component, and checks the answer.
///
/// The call has no state and no capability but logging, clock, random and closed WASI: a call of
/// another import traps. Its budgets are the defaults of a handler call, because the operator's
/// limits for calls must not decide whether a module loads.
pub(super) async fn read(
    engine: &Engine,
    component: &Component,
    imports: &[String],
    meta: &ModuleMeta,
    seams: &Seams,
) -> Result<Functions, FunctionsError> {
    let capabilities = Capabilities::ambient(seams.clone());
    let grant = Grant::of_served(&capabilities, imports);
    let linked = grant.link(engine).and_then(|mut linker| {
        trap_others(&mut linker, component, |import| is_served_by(&capabilities, import))?;
        FunctionsPre::new(linker.instantiate_pre(component)?)
    });
    let pre = linked.map_err(FunctionsError::Link)?;
    let held = [Limit::Memory, Limit::TableElements];
    let limits = held
        .into_iter()
        .fold(Limits::default(), |limits, held| limits.with(held, meta.limits[held]));
    let meta = Arc::new(ModuleMeta {
        limits,
        ..meta.for_concurrent_instance()
    });
    list(engine, &pre, &meta, &grant).await
}

/// Whether one of the capabilities serves an import.
fn is_served_by(capabilities: &Capabilities, import: &str) -> bool {
    capabilities.known().iter().any(|known| known.serves(import))
}

/// Defines the functions of all imports that `is_served` rejects, so that each traps.
///
/// `Linker::define_unknown_imports_as_traps` does not fit: it gives a new type to a resource that a
/// world takes over from an interface, such as the context of a call.
fn trap_others(
    linker: &mut Linker<HostState>,
    component: &Component,
    is_served: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    let imports = component.component_type();
    for (import, item) in imports.imports(&engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => trap(&mut linker.root(), import, import.to_owned())?,
            ComponentItem::ComponentInstance(interface) if !is_served(import) => {
                let mut instance = linker.instance(import)?;
                for (name, item) in interface.exports(&engine) {
                    match item.ty {
                        ComponentItem::ComponentFunc(_) => trap(&mut instance, name, format!("{import}#{name}"))?,
                        ComponentItem::Resource(_) => {
                            // No function returns such a resource.
                            instance.resource(name, resource_type(import, name), |_, _| Ok(()))?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn trap(linker: &mut LinkerInstance<'_, HostState>, name: &str, called: String) -> wasmtime::Result<()> {
    linker.func_new(name, move |_, _, _, _| {
        wasmtime::bail!("`list-functions` may not call `{called}`")
    })
}

async fn list(
    engine: &Engine,
    pre: &FunctionsPre<HostState>,
    meta: &Arc<ModuleMeta>,
    grant: &Grant,
) -> Result<Functions, FunctionsError> {
    let failed = |failure: Failure| FunctionsError::Failed(Box::new(failure));
    let scheduler = engine.scheduler().for_module();
    // No import reaches the state, so the number of the module and the store have no effect.
    let scope = EventScope::new(ModuleId(0), Arc::new(MemoryStore::new()), meta.limits).read_only(None);
    let mut store = call::hold(pre.engine(), &scheduler, meta, grant, scope).map_err(failed)?;
    store.set_hostcall_fuel(LIST_BYTES_MAX);
    let handler = Handler::ListFunctions;
    call::open(&mut store, handler, Instant::now(), HandlerContext::default()).map_err(failed)?;
    let called = call::within_deadline(&mut store, &scheduler, async |store| {
        let exports = pre.instantiate_async(&mut *store).await?;
        exports.call_list_functions(store).await
    })
    .await;
    let listed = call::conclude(&mut store, handler, called);
    call::discard(store).await;
    Functions::of(listed.map_err(failed)?)
}

/// Compiles a component that has functions, and returns them. The module is not loaded, and its
/// `init` does not run.
///
/// # Errors
///
/// Fails if the component does not compile, or if its list of functions is not valid.
pub async fn functions_of(engine: &Engine, file: ComponentFile, seams: &Seams) -> Result<Functions, LoadError> {
    let name = ModuleName::of_file(Path::new("component.wasm")).map_err(|source| LoadError::Name { source })?;
    let limits = Limits::default();
    let recorder = Recorder::new(name.clone(), seams.clock.clone(), limits[Limit::LogRecordsPerSecond]);
    let meta = ModuleMeta {
        name,
        description: None,
        authors: Vec::new(),
        files: None,
        version: None,
        digest: file.digest,
        manifest: None,
        revision: Revision::default(),
        metering: Metering::default(),
        limits,
        config: Vec::new(),
        settings: Default::default(),
        recorder: Arc::new(recorder),
        activity: Arc::default(),
        clock: seams.clock.clone(),
        stdio: Stdio::default(),
    };
    let (component, _compiled) = engine.compile(file.digest, Arc::new(file.bytes)).await?;
    Ok(read(engine, &component, &file.summary.imports, &meta, seams).await?)
}
