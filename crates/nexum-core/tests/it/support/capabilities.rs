//! Capabilities of the contract that the core lacks, as far as its tests need them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexum_core::BoxError;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostCallKind, HostState, View};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wasmtime::Result as Trappable;
use wasmtime::component::Linker;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:test;

            world test {
                import nexum:host/chain@0.2.0;
            }
        ",
        world: "nexum:test/test",
        imports: { default: async | trappable },
        with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
    });
}

use bindings::nexum::host::chain;

mod trigger_bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host-0.1",
        inline: "
            package nexum:test;

            world test {
                import nexum:host/chain@0.1.0;
            }
        ",
        world: "nexum:test/test",
        imports: { default: async | trappable },
        with: { "nexum:host/types": nexum_core::bindings::trigger::nexum::host::types },
    });
}

pub(crate) use trigger_bindings::nexum::host::chain as trigger_chain;

/// `nexum:host/chain` that answers nothing until it is opened. Counts its requests.
#[derive(Clone)]
pub(crate) struct SilentChain {
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Default for SilentChain {
    fn default() -> Self {
        Self {
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }
}

impl SilentChain {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Answers all earlier and later requests.
    pub(crate) fn open(&self) {
        self.gate.add_permits(1);
    }

    async fn answer(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.acquire().await;
    }
}

impl Capability for SilentChain {
    type State = Self;

    fn name(&self) -> &'static str {
        "chain"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/chain@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> Trappable<()> {
        chain::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self, BoxError> {
        Ok(self.clone())
    }
}

/// `nexum:host/chain@0.1.0` with these answers, the first one first, and then `"0x1"`.
#[derive(Clone, Default)]
pub(crate) struct TriggerChain(Arc<Mutex<VecDeque<Result<String, trigger_chain::ChainError>>>>);

impl TriggerChain {
    pub(crate) fn answer(&self, answer: Result<&str, trigger_chain::ChainError>) {
        self.0.lock().push_back(answer.map(str::to_owned));
    }
}

impl Capability for TriggerChain {
    type State = Self;

    fn name(&self) -> &'static str {
        "chain"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/chain@0.1.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> Trappable<()> {
        trigger_chain::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self, BoxError> {
        Ok(self.clone())
    }
}

impl trigger_chain::Host for View<'_, TriggerChain> {
    async fn request(&mut self, _: u64, _: String, _: String) -> Trappable<Result<String, trigger_chain::ChainError>> {
        let answer = self.state.0.lock().pop_front();
        Ok(answer.unwrap_or_else(|| Ok("\"0x1\"".to_owned())))
    }
}

/// The endpoint of [`SilentChain`] in the status of a module.
pub(crate) const SILENT_ENDPOINT: &str = "http://127.0.0.1:28547";

impl chain::Host for View<'_, SilentChain> {
    async fn request(&mut self, _: u64, _: String, _: String) -> Trappable<Result<String, HostError>> {
        let call = self.host_call(HostCallKind::Chain, "eth_blockNumber");
        call.endpoint(SILENT_ENDPOINT);
        self.state.answer().await;
        Ok(Ok("\"0x1\"".to_owned()))
    }

    async fn request_batch(
        &mut self,
        _: u64,
        requests: Vec<chain::RpcRequest>,
    ) -> Trappable<Result<Vec<chain::RpcResult>, HostError>> {
        self.state.answer().await;
        let answers = requests.iter().map(|_| chain::RpcResult::Ok("\"0x1\"".to_owned()));
        Ok(Ok(answers.collect()))
    }
}
