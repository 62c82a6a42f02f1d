//! The cost of metering: handlers of real guests with fuel, against handlers without. Both sides
//! use epochs, which let other guests run and are always needed, and the same immediate host
//! functions.
//!
//! A sample is a sequence of events. Samples of both sides alternate, so that other load of the
//! machine affects both.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use nexum_core::bindings::nexum::host::types::{self, HostError, HostErrorKind, Log};
use nexum_core::bindings::{Module, ModulePre};
use nexum_core::source::Event;
use nexum_testing::bench::{self, Figure, median};
use nexum_testing::{TEST_CHAIN_ID, guests};
use tokio::runtime::Builder;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

use imports::nexum::host::{chain, clock, local_store, logging};

/// The pairs of samples. With the samples that warm the caches, each guest takes some seconds.
const SAMPLES: usize = 300;
const WARM_UP: usize = 30;
/// The events of a sample: they take at least some hundred microseconds.
const EVENTS_PER_SAMPLE: usize = 200;

/// The longest handler with fuel, as a multiple of one without. A guest above it would justify an
/// engine without fuel.
const TIMES_WITHOUT: f64 = 1.10;

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

fn main() -> wasmtime::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let block = bench::event(&bench::block(1)).clone();
    let accounts = |count: u64| {
        let accounts = (0..count).map(|number| format!("0x{number:040x}"));
        let accounts = accounts.collect::<Vec<_>>().join(",");
        let token = format!("0x{:040x}", 1);
        vec![("accounts".to_owned(), accounts), ("token".to_owned(), token)]
    };
    let mut figures = Vec::new();
    for (name, guest, config, event) in [
        ("a handler that does nothing", "noop", Vec::new(), &block),
        (
            "block-logger: a header as JSON, a line",
            "block-logger",
            Vec::new(),
            &block,
        ),
        (
            "balance-watch: a token of 1 account",
            "balance-watch",
            accounts(1),
            &block,
        ),
        (
            "balance-watch: a token of 100 accounts",
            "balance-watch",
            accounts(100),
            &block,
        ),
        ("journal: a block, two values kept", "journal", Vec::new(), &block),
        ("log-sum: 1 log", "log-sum", Vec::new(), &logs(1)),
        ("log-sum: 100 logs", "log-sum", Vec::new(), &logs(100)),
    ] {
        let (with, without) = runtime.block_on(measure(guest, &config, event))?;
        figures.push(Figure::new(name, "us", with, without).at_most_times_baseline(TIMES_WITHOUT));
    }
    bench::publish("limits", &figures);
    Ok(())
}

/// Microseconds per event, with fuel and without.
async fn measure(guest: &str, config: &[(String, String)], event: &Event) -> wasmtime::Result<(f64, f64)> {
    let mut sides = [true, false].map(|has_fuel| Instance::new(guest, has_fuel));
    for side in &mut sides {
        side.start(config).await?;
    }
    let mut samples = [Vec::new(), Vec::new()];
    for sample in 0..WARM_UP + SAMPLES {
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            for _ in 0..EVENTS_PER_SAMPLE {
                side.on_event(event).await?;
            }
            if sample >= WARM_UP {
                samples.push(start.elapsed().as_secs_f64() * 1e6 / EVENTS_PER_SAMPLE as f64);
            }
        }
    }
    let [with, without] = samples.map(median);
    Ok((with, without))
}

/// A guest in its own engine.
struct Instance {
    store: Store<Host>,
    pre: ModulePre<Host>,
    exports: Option<Module>,
    has_fuel: bool,
}

impl Instance {
    fn new(guest: &str, has_fuel: bool) -> Self {
        let make = || -> wasmtime::Result<Self> {
            let mut config = Config::new();
            config.consume_fuel(has_fuel).epoch_interruption(true);
            let engine = Engine::new(&config)?;
            let component = Component::from_file(&engine, guests::component(guest))?;
            let mut linker = Linker::new(&engine);
            imports::Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
            Ok(Self {
                store: Store::new(&engine, Host::default()),
                pre: ModulePre::new(linker.instantiate_pre(&component)?)?,
                exports: None,
                has_fuel,
            })
        };
        make().unwrap_or_else(|error| panic!("{guest}: {error:?}"))
    }

    async fn start(&mut self, config: &[(String, String)]) -> wasmtime::Result<()> {
        self.begin()?;
        let exports = self.pre.instantiate_async(&mut self.store).await?;
        let started = exports.call_init(&mut self.store, &config.to_vec()).await?;
        self.exports = Some(exports);
        started.map_err(|error| wasmtime::Error::msg(error.message))
    }

    async fn on_event(&mut self, event: &Event) -> wasmtime::Result<()> {
        self.begin()?;
        let exports = self.exports.as_ref().expect("an instance");
        let handled = exports.call_on_event(&mut self.store, event).await?;
        handled.map_err(|error| wasmtime::Error::msg(error.message))
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

/// A host with an answer to every request.
#[derive(Default)]
struct Host {
    values: BTreeMap<String, Vec<u8>>,
}

impl types::Host for Host {}

impl chain::Host for Host {
    fn request(&mut self, _: u64, method: String, _: String) -> Result<String, HostError> {
        match method.as_str() {
            "eth_getBlockByHash" => Ok(header()),
            // A balance, in a contract's encoding.
            "eth_call" => Ok(format!("\"0x{:064x}\"", 1_000_000)),
            _ => Err(HostError::new("bench", HostErrorKind::Unsupported, method)),
        }
    }

    fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<chain::RpcRequest>,
    ) -> Result<Vec<chain::RpcResult>, HostError> {
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

/// An event with this many transfers of a token.
fn logs(count: u32) -> Event {
    let log = |index: u32| Log {
        chain_id: TEST_CHAIN_ID,
        address: vec![1; 20],
        topics: vec![vec![2; 32]; 3],
        data: vec![3; 32],
        block_number: 1,
        transaction_hash: vec![4; 32],
        log_index: index,
    };
    Event::Logs((0..count).map(log).collect())
}
