//! What a node knows and how it makes its answers: shared by the test and the node's connections.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use super::answer::Answer;
use super::chain::Chain;

/// How many heads a ws connection may have yet to send: more than any test mines at once, because a node drops none.
const HEADS_MAX: usize = 16_384;

type Handler = Arc<dyn Fn(&RawValue) -> Answer + Send + Sync>;

/// How a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As an http request, or as part of one.
    Http,
    /// As a ws message.
    Ws,
}

/// One call that the node received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// How it came in.
    pub transport: Transport,
    /// The method.
    pub method: String,
    /// The text of the parameters, to the letter.
    pub params: String,
}

/// A JSON-RPC request as it came in.
#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) id: Box<RawValue>,
    pub(super) method: String,
    #[serde(default = "no_params")]
    pub(super) params: Box<RawValue>,
}

fn no_params() -> Box<RawValue> {
    RawValue::from_string("[]".to_owned()).expect("valid JSON")
}

pub(super) struct State {
    pub(super) chain_id: u64,
    pub(super) chain: Chain,
    pub(super) handlers: HashMap<String, Handler>,
    pub(super) queued: HashMap<String, VecDeque<Answer>>,
    pub(super) refuses_batches: bool,
    pub(super) refuses_ws: Option<u16>,
    pub(super) calls: Vec<Call>,
    pub(super) http_requests: u64,
    pub(super) ws_connections: u64,
    pub(super) huge_bytes_sent: u64,
    pub(super) subscribers: usize,
}

pub(super) struct Shared {
    state: Mutex<State>,
    heads: broadcast::Sender<String>,
    changed: watch::Sender<()>,
    hang_up: watch::Sender<()>,
}

impl Shared {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            state: Mutex::new(State {
                chain_id,
                chain: Chain::new(),
                handlers: HashMap::new(),
                queued: HashMap::new(),
                refuses_batches: false,
                refuses_ws: None,
                calls: Vec::new(),
                http_requests: 0,
                ws_connections: 0,
                huge_bytes_sent: 0,
                subscribers: 0,
            }),
            heads: broadcast::Sender::new(HEADS_MAX),
            changed: watch::Sender::new(()),
            hang_up: watch::Sender::new(()),
        }
    }

    /// Reads or changes the state. The caller must not call back into the node.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`with`](Self::with), for what [`Node::until`](super::Node::until) may be waiting for.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let result = self.with(f);
        self.changed.send_replace(());
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn announce(&self, header: &Value) {
        // Nobody listening is fine.
        let _ = self.heads.send(header.to_string());
    }

    pub(super) fn heads(&self) -> broadcast::Receiver<String> {
        self.heads.subscribe()
    }

    pub(super) fn hang_up(&self) {
        self.hang_up.send_replace(());
    }

    /// Changes when every connection is to be closed.
    pub(super) fn hang_ups(&self) -> watch::Receiver<()> {
        self.hang_up.subscribe()
    }

    /// Records a call, and says how the test wants it answered.
    pub(super) fn scripted(&self, transport: Transport, request: &Request) -> Answer {
        let method = &request.method;
        let call = Call {
            transport,
            method: method.clone(),
            params: request.params.get().to_owned(),
        };
        let (queued, handler) = self.change(|state| {
            state.calls.push(call);
            let names = [method.as_str(), "*"];
            let queued = names.iter().find_map(|name| state.queued.get_mut(*name)?.pop_front());
            (queued, names.iter().find_map(|name| state.handlers.get(*name).cloned()))
        });
        // Not under the lock: a handler may look at the node.
        queued
            .or_else(|| handler.map(|handler| handler(&request.params)))
            .unwrap_or(Answer::Default)
    }

    /// Records a call and decides its answer, which is never [`Answer::Default`].
    pub(super) fn answer(&self, transport: Transport, request: &Request) -> Answer {
        match self.scripted(transport, request) {
            Answer::Default => self.by_default(request),
            answer => answer,
        }
    }

    /// What the node answers by itself.
    pub(super) fn by_default(&self, request: &Request) -> Answer {
        self.with(|state| state.by_default(request))
    }
}

impl State {
    /// Subscriptions belong to a connection and are not answered here.
    fn by_default(&self, request: &Request) -> Answer {
        let params: Vec<Value> = serde_json::from_str(request.params.get()).unwrap_or_default();
        match request.method.as_str() {
            "eth_chainId" => Answer::Result(json!(format!("{:#x}", self.chain_id))),
            "net_version" => Answer::Result(json!(self.chain_id.to_string())),
            "web3_clientVersion" => Answer::Result(json!("scripted/v1")),
            "eth_blockNumber" => Answer::Result(json!(format!("{:#x}", self.chain.head().number))),
            "eth_getBlockByNumber" => self.block_by_number(params.first()),
            "eth_getBlockByHash" => self.block_by_hash(params.first()),
            _ => Answer::error(-32_601, format!("the method {} does not exist", request.method)),
        }
    }

    fn block_by_number(&self, number: Option<&Value>) -> Answer {
        let block = match number.and_then(Value::as_str) {
            Some("latest" | "pending" | "safe" | "finalized") => Some(self.chain.head()),
            Some("earliest") => self.chain.by_number(0),
            Some(number) => match number.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
                Some(Ok(number)) => self.chain.by_number(number),
                _ => return Answer::error(-32_602, "invalid block number"),
            },
            None => return Answer::error(-32_602, "missing block number"),
        };
        Answer::Result(block.map_or(Value::Null, super::Block::to_json))
    }

    fn block_by_hash(&self, hash: Option<&Value>) -> Answer {
        match hash.and_then(Value::as_str).and_then(parse_hash) {
            Some(hash) => Answer::Result(self.chain.by_hash(&hash).map_or(Value::Null, super::Block::to_json)),
            None => Answer::error(-32_602, "invalid block hash"),
        }
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    let bytes: Option<Vec<u8>> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}
