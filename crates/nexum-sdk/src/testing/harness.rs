//! Delivers events to a module as nexum does.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolEvent;
use serde::de::DeserializeOwned;

use crate::host::{Host, Trap, with_active};
use crate::{Block, Error, ErrorKind, Event, Log, Message, Module, Result, Tick};

/// The time between two blocks, in milliseconds.
const BLOCK_MS: u64 = 12_000;

/// An instance of a module, with its host.
///
/// The harness behaves as nexum does. When `init` or a handler fails or traps, the state is as before
/// and the instance is dropped, so that its memory is lost. The next event makes a new
/// instance. Each query has an instance of its own.
pub struct Harness<M> {
    /// The host, for scripts and for what it recorded.
    pub host: Host,
    /// The chain of the events that [`block`](Self::block) and [`emit`](Self::emit) make. The default
    /// is 1.
    pub chain_id: u64,
    /// The number of the current block. [`block`](Self::block) sets it.
    pub block_number: u64,
    config: Vec<(String, String)>,
    instance: Option<M>,
    starts: usize,
    logs_emitted: u32,
}

/// Modules need no `Debug`.
impl<M> fmt::Debug for Harness<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("host", &self.host)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<M: Module> Harness<M> {
    /// Starts a module with its configuration.
    ///
    /// # Errors
    ///
    /// The error of the module's `init`, or [`ErrorKind::Internal`] after a trap of the host.
    pub fn new(config: &[(&str, &str)]) -> Result<Self> {
        Self::with_host(Host::new(), config)
    }

    /// Starts a module on a host that has scripts already.
    ///
    /// # Errors
    ///
    /// The error of the module's `init`, or [`ErrorKind::Internal`] after a trap of the host.
    pub fn with_host(host: Host, config: &[(&str, &str)]) -> Result<Self> {
        let config = config.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let mut harness = Self {
            host,
            chain_id: 1,
            block_number: 0,
            config: config.collect(),
            instance: None,
            starts: 0,
            logs_emitted: 0,
        };
        harness.start()?;
        Ok(harness)
    }

    /// How often the instance that handles events started.
    pub fn starts(&self) -> usize {
        self.starts
    }

    /// The instance. `None` after an event that failed.
    pub fn instance(&self) -> Option<&M> {
        self.instance.as_ref()
    }

    /// Drops the instance, as a reorganisation or a restart of nexum does.
    pub fn drop_instance(&mut self) {
        self.instance = None;
    }

    /// Delivers a block. The clock moves to its time, 12 seconds for each number.
    ///
    /// # Errors
    ///
    /// The error of the handler.
    pub fn block(&mut self, number: u64) -> Result {
        let blocks = number.saturating_sub(self.block_number);
        self.host.now_ms = self.host.now_ms.saturating_add(blocks.saturating_mul(BLOCK_MS));
        self.block_number = number;
        self.deliver(Event::Block(Block {
            chain_id: self.chain_id,
            number,
            hash: block_hash(self.chain_id, number),
            timestamp: self.host.now_ms,
        }))
    }

    /// Delivers an event of a contract, in the current block.
    ///
    /// # Errors
    ///
    /// The error of the handler.
    pub fn emit<E: SolEvent>(&mut self, contract: Address, event: &E) -> Result {
        let log = self.log(contract, event);
        self.deliver(Event::Logs(vec![log]))
    }

    /// The log of an event of a contract, in the current block. Several logs of one block come in one
    /// event: [`deliver`](Self::deliver) them together.
    pub fn log<E: SolEvent>(&mut self, contract: Address, event: &E) -> Log {
        let (topics, data) = event.encode_log_data().split();
        self.logs_emitted += 1;
        Log {
            chain_id: self.chain_id,
            address: contract,
            topics,
            data,
            block_number: self.block_number,
            transaction_hash: keccak256(self.logs_emitted.to_be_bytes()),
            log_index: self.logs_emitted - 1,
        }
    }

    /// Delivers a tick. The clock moves to its time, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The error of the handler.
    pub fn tick(&mut self, fired_at: u64) -> Result {
        self.host.now_ms = fired_at;
        self.deliver(Event::Tick(Tick { fired_at }))
    }

    /// Delivers a message without a known sender.
    ///
    /// # Errors
    ///
    /// The error of the handler.
    pub fn message(&mut self, content_topic: &str, payload: &[u8]) -> Result {
        self.deliver(Event::Message(Message {
            content_topic: content_topic.to_owned(),
            payload: payload.to_owned(),
            timestamp: self.host.now_ms,
            sender: None,
        }))
    }

    /// Delivers an event.
    ///
    /// # Errors
    ///
    /// The error of the handler, or [`ErrorKind::Internal`] after a panic of the module or a trap of the
    /// host.
    pub fn deliver(&mut self, event: Event) -> Result {
        if self.instance.is_none() {
            self.start()?;
        }
        let Some(mut instance) = self.instance.take() else {
            return Err(Error::new(ErrorKind::Internal, "the module did not start"));
        };
        self.attempt(|_| instance.handle(event))?;
        self.instance = Some(instance);
        Ok(())
    }

    /// Asks the module. As in nexum, another instance answers than the one that handles events. It
    /// reads the store, and may neither write nor call another interface, in `init` too.
    ///
    /// # Errors
    ///
    /// The error of the module, also of its `init`.
    pub fn query(&mut self, input: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        let input = input.into();
        self.host.is_query = true;
        let answer = self.attempt(|config| M::start(config)?.evaluate(input));
        self.host.is_query = false;
        answer
    }

    /// Asks the module as [`query`](Self::query), and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// The error of the module, also of its `init`, and an answer that is not a `T`.
    pub fn query_json<T: DeserializeOwned>(&mut self, input: impl Into<Vec<u8>>) -> Result<T> {
        let answer = self.query(input)?;
        serde_json::from_slice(&answer)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("the answer is not of the type: {error}")))
    }

    fn start(&mut self) -> Result {
        self.starts += 1;
        self.instance = Some(self.attempt(M::start)?);
        Ok(())
    }

    /// Runs code of the module with the configuration. After an error or a trap, the state is as
    /// before.
    fn attempt<T>(&mut self, code: impl FnOnce(&[(String, String)]) -> Result<T>) -> Result<T> {
        let Self { host, config, .. } = self;
        let before = host.state.clone();
        let result = with_active(host, || {
            let trap = |reason: String| Err(Error::of("trap", ErrorKind::Internal, reason));
            catch_unwind(AssertUnwindSafe(|| code(config))).unwrap_or_else(|panic| match panic.downcast_ref::<Trap>() {
                Some(Trap(reason)) => trap((*reason).to_owned()),
                None => trap(format!("a panic: {}", message(&*panic))),
            })
        });
        if result.is_err() {
            host.state = before;
        }
        result
    }
}

/// The hash of a block that [`Harness::block`] makes.
fn block_hash(chain_id: u64, number: u64) -> B256 {
    keccak256([chain_id.to_be_bytes(), number.to_be_bytes()].concat())
}

/// The message of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default()
}
