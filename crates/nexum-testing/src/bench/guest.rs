//! A guest in wasmtime alone, with a host that has an answer to every call. It shows the cost of the
//! guest's own code.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nexum_core::bindings::nexum::host::types::{self, HostError, HostErrorKind};
use nexum_core::bindings::{Module, ModulePre};
use nexum_core::source::Event;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

use self::imports::nexum::host::{chain, clock, local_store, logging};
use crate::guests;

/// Far more fuel than an event uses.
const FUEL: u64 = 1_000_000_000_000;

#[allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]
mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:bench;

            world imports {
                import nexum:host/chain@0.2.0;
                import nexum:host/clock@0.2.0;
                import nexum:host/local-store@0.2.0;
                import nexum:host/logging@0.2.0;
            }
        ",
        world: "nexum:bench/imports",
        with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
    });
}

/// An instance of a guest, in an engine of its own with epochs.
pub struct Guest {
    store: Store<Host>,
    pre: ModulePre<Host>,
    exports: Option<Module>,
    has_fuel: bool,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest")
            .field("has_fuel", &self.has_fuel)
            .finish_non_exhaustive()
    }
}

impl Guest {
    /// Compiles a guest. `has_fuel`: whether the engine counts fuel.
    ///
    /// # Panics
    ///
    /// If the guest is not built. A call of an interface that this host lacks is a trap.
    pub fn new(guest: &str, has_fuel: bool) -> Self {
        let make = || -> wasmtime::Result<Self> {
            let mut config = Config::new();
            config.consume_fuel(has_fuel).epoch_interruption(true);
            let engine = Engine::new(&config)?;
            let component = Component::from_file(&engine, guests::component(guest))?;
            let mut linker = Linker::new(&engine);
            imports::Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
            linker.define_unknown_imports_as_traps(&component)?;
            Ok(Self {
                store: Store::new(&engine, Host::default()),
                pre: ModulePre::new(linker.instantiate_pre(&component)?)?,
                exports: None,
                has_fuel,
            })
        };
        make().unwrap_or_else(|error| panic!("{guest}: {error:?}"))
    }

    /// Makes the instance and calls `init`.
    ///
    /// # Errors
    ///
    /// A trap, or the guest's error.
    pub async fn start(&mut self, config: &[(String, String)]) -> wasmtime::Result<()> {
        self.begin()?;
        let exports = self.pre.instantiate_async(&mut self.store).await?;
        let started = exports.call_init(&mut self.store, &config.to_vec()).await?;
        self.exports = Some(exports);
        started.map_err(|error| wasmtime::Error::msg(error.message))
    }

    /// Calls the handler of the started instance.
    ///
    /// # Errors
    ///
    /// A trap, or the guest's error.
    ///
    /// # Panics
    ///
    /// Before [`start`](Self::start).
    pub async fn on_event(&mut self, event: &Event) -> wasmtime::Result<()> {
        self.begin()?;
        let exports = self.exports.as_ref().expect("an instance");
        let handled = exports.call_on_event(&mut self.store, event).await?;
        handled.map_err(|error| wasmtime::Error::msg(error.message))
    }

    /// The fuel that the last call used. 0 for an engine that does not count it.
    pub fn fuel_used(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| FUEL - left)
    }

    /// The number of JSON-RPC requests of the instance, and how many of its batches carried them.
    pub fn requests(&self) -> (usize, usize) {
        let host = self.store.data();
        (host.requests, host.batches)
    }

    /// The host's work before each event.
    fn begin(&mut self) -> wasmtime::Result<()> {
        self.store.set_epoch_deadline(1);
        match self.has_fuel {
            true => self.store.set_fuel(FUEL),
            false => Ok(()),
        }
    }
}

#[derive(Default)]
struct Host {
    values: BTreeMap<String, Vec<u8>>,
    requests: usize,
    batches: usize,
}

impl types::Host for Host {}

impl chain::Host for Host {
    fn request(&mut self, _: u64, method: String, _: String) -> Result<String, HostError> {
        self.requests += 1;
        match method.as_str() {
            "eth_getBlockByHash" => Ok(header()),
            // 60 gwei.
            "eth_gasPrice" => Ok("\"0xdf8475800\"".to_owned()),
            // A balance, in a contract's encoding.
            "eth_call" | "eth_getBalance" => Ok(format!("\"0x{:064x}\"", 1_000_000)),
            _ => Err(HostError::new("bench", HostErrorKind::Unsupported, method)),
        }
    }

    fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<chain::RpcRequest>,
    ) -> Result<Vec<chain::RpcResult>, HostError> {
        self.batches += 1;
        let answer = |request: chain::RpcRequest| match self.request(chain_id, request.method, request.params) {
            Ok(result) => chain::RpcResult::Ok(result),
            Err(error) => chain::RpcResult::Err(error),
        };
        Ok(requests.into_iter().map(answer).collect())
    }
}

impl local_store::Host for Host {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.values.get(&key).cloned())
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), HostError> {
        self.values.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, key: String) -> Result<(), HostError> {
        self.values.remove(&key);
        Ok(())
    }

    fn list_keys(&mut self, prefix: String) -> Result<Vec<String>, HostError> {
        Ok(self
            .values
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect())
    }
}

impl logging::Host for Host {
    fn log(&mut self, _: logging::Level, message: String) {
        std::hint::black_box(message);
    }
}

impl clock::Host for Host {
    fn now_ms(&mut self) -> u64 {
        1_700_000_000_000
    }

    fn monotonic_ns(&mut self) -> u64 {
        0
    }
}

/// A header with the usual fields of nodes, of which the guest uses two, and the hashes of 150
/// transactions.
fn header() -> String {
    let mut text = "{".to_owned();
    for name in [
        "hash",
        "parentHash",
        "sha3Uncles",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "mixHash",
    ] {
        let _ = write!(text, "\"{name}\":\"0x{:064x}\",", 7);
    }
    let _ = write!(text, "\"logsBloom\":\"0x{}\",", "00".repeat(256));
    for name in ["number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "size"] {
        let _ = write!(text, "\"{name}\":\"0x1c9c380\",");
    }
    let transactions = (0..150).map(|number| format!("\"0x{number:064x}\""));
    let _ = write!(
        text,
        "\"transactions\":[{}]}}",
        transactions.collect::<Vec<_>>().join(",")
    );
    text
}
