//! `nexum:host/local-store` for tests of what comes before it.

use nexum_core::BoxError;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{Capability, Has, View};
use nexum_core::host::HostState;
use nexum_core::loader::ModuleMeta;
use nexum_core::store::StateStore;
use wasmtime::Result as Trappable;
use wasmtime::component::Linker;

mod bindings {
    #![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:test;

            world test {
                import nexum:host/local-store@0.2.0;
            }
        ",
        world: "nexum:test/test",
        imports: { default: async | trappable },
        with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
    });
}

use bindings::nexum::host::local_store;

/// `nexum:host/local-store` straight over the event's transaction, without quotas or budgets.
#[derive(Clone, Copy, Debug)]
pub struct TestStore;

impl Capability for TestStore {
    type State = ();

    fn name(&self) -> &'static str {
        "store"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/local-store@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> Trappable<()> {
        local_store::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<(), BoxError> {
        Ok(())
    }
}

impl local_store::Host for View<'_, ()> {
    async fn get(&mut self, key: String) -> Trappable<Result<Option<Vec<u8>>, HostError>> {
        Ok(self.scope.get(key.as_bytes()).map_err(internal))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Trappable<Result<(), HostError>> {
        self.scope.write(key.into_bytes(), Some(value));
        Ok(Ok(()))
    }

    async fn delete(&mut self, key: String) -> Trappable<Result<(), HostError>> {
        self.scope.write(key.into_bytes(), None);
        Ok(Ok(()))
    }

    async fn list_keys(&mut self, prefix: String) -> Trappable<Result<Vec<String>, HostError>> {
        let keys = self.scope.keys(prefix.as_bytes(), usize::MAX).map_err(internal);
        Ok(keys.map(|keys| {
            keys.into_iter()
                .map(|key| String::from_utf8_lossy(&key).into_owned())
                .collect()
        }))
    }
}

fn internal(error: nexum_core::store::StoreError) -> HostError {
    HostError::new("local-store", HostErrorKind::Internal, error.to_string())
}

/// What the fixture `journal` has written under this name: an entry for each event, in order.
///
/// # Panics
/// When the store does not hold what the fixture writes.
pub fn journal(store: &dyn StateStore, module: &str) -> Vec<String> {
    let id = store.intern(&module.parse().expect("a module's name")).expect("an id");
    let state = store.snapshot(id).expect("a snapshot");
    let count = state.get(b"entries").expect("a readable state").unwrap_or_default();
    let count = count.try_into().map_or(0, u64::from_le_bytes);
    let entry = |index: u64| {
        let entry = state.get(format!("{index:010}").as_bytes()).expect("a readable state");
        String::from_utf8(entry.expect("an entry for each number")).expect("text")
    };
    (0..count).map(entry).collect()
}
