//! The state of a node, which the test and the node's connections share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, watch};

use super::answer::{Answer, BatchFault};
use super::block::Block;
use super::header::HeaderFaults;
use super::logs::LogsFaults;
use super::view::Standpoint;
use super::world::{Announce, Follower, World};

/// The most heads that wait on a WebSocket connection. A node drops none, so this exceeds the
/// blocks that any test mines at once.
const HEADS_MAX: usize = 16_384;

type Handler = Arc<dyn Fn(&RawValue) -> Answer + Send + Sync>;

/// The transport of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// An HTTP request, or a part of one.
    Http,
    /// A WebSocket message.
    Ws,
}

/// One call that the node received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The transport.
    pub transport: Transport,
    /// The method.
    pub method: String,
    /// The exact text of the parameters.
    pub params: String,
}

/// A received JSON-RPC request.
#[derive(Deserialize)]
pub(super) struct IncomingRequest {
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
    pub(super) standpoint: Standpoint,
    pub(super) refuses_null_rounds: bool,
    pub(super) syncing_to: Option<u64>,
    pub(super) header_faults: HeaderFaults,
    pub(super) logs_faults: LogsFaults,
    pub(super) handlers: HashMap<String, Handler>,
    pub(super) queued: HashMap<String, VecDeque<Answer>>,
    pub(super) batch_fault: Option<BatchFault>,
    pub(super) refuses_ws: Option<u16>,
    pub(super) delay: Duration,
    pub(super) sends_binary: bool,
    /// `None` while the node only counts calls.
    pub(super) calls: Option<Vec<Call>>,
    pub(super) counts: HashMap<String, usize>,
    pub(super) http_requests: u64,
    pub(super) ws_connections: u64,
    pub(super) huge_bytes_sent: u64,
    pub(super) subscribers: usize,
}

pub(super) struct Shared {
    pub(super) world: Arc<World>,
    state: Mutex<State>,
    heads: broadcast::Sender<String>,
    changed: watch::Sender<()>,
    hang_up: watch::Sender<()>,
}

impl Follower for Shared {
    fn follow(&self, announce: Announce) {
        self.change(|state| {
            let chain = self.world.chain();
            let new = state.standpoint.follow(&chain);
            if announce == Announce::Yes {
                new.iter().for_each(|block| self.announce(block, state.header_faults));
            }
        });
    }
}

impl Shared {
    /// A new node of this world.
    pub(super) fn new(chain_id: u64, world: &Arc<World>) -> Arc<Self> {
        let standpoint = Standpoint::new(&world.chain());
        let shared = Arc::new(Self {
            world: Arc::clone(world),
            state: Mutex::new(State {
                chain_id,
                standpoint,
                refuses_null_rounds: false,
                syncing_to: None,
                header_faults: HeaderFaults::default(),
                logs_faults: LogsFaults::default(),
                handlers: HashMap::new(),
                queued: HashMap::new(),
                batch_fault: None,
                refuses_ws: None,
                delay: Duration::ZERO,
                sends_binary: false,
                calls: Some(Vec::new()),
                counts: HashMap::new(),
                http_requests: 0,
                ws_connections: 0,
                huge_bytes_sent: 0,
                subscribers: 0,
            }),
            heads: broadcast::Sender::new(HEADS_MAX),
            changed: watch::Sender::new(()),
            hang_up: watch::Sender::new(()),
        });
        let follower: Weak<dyn Follower> = Arc::<Self>::downgrade(&shared);
        world.join(follower);
        shared
    }

    pub(super) fn freeze(&self) {
        self.with(|state| {
            let chain = self.world.chain();
            let head = state.standpoint.view(&chain).head().number;
            state.standpoint.frozen.get_or_insert_with(|| chain.up_to(head));
        });
    }

    /// Ends a freeze, and announces only the newest head.
    pub(super) fn thaw(&self) {
        self.change(|state| {
            let chain = self.world.chain();
            state.standpoint.frozen = None;
            let new = state.standpoint.follow(&chain);
            new.last()
                .into_iter()
                .for_each(|block| self.announce(block, state.header_faults));
        });
    }

    /// Reads or changes the state. The caller must not call back into the node.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock())
    }

    /// Changes the state as [`with`](Self::with) does, and wakes
    /// [`Node::until`](super::Node::until).
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let result = self.with(f);
        self.changed.send_replace(());
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn announce(&self, block: &Block, faults: HeaderFaults) {
        // Skips the headers of blocks that have no reader.
        if self.heads.receiver_count() > 0 {
            let mut header = faults.show(block);
            if faults.other_hashes {
                header["hash"] = serde_json::json!(alloy_primitives::keccak256(block.hash));
            }
            self.announce_raw(header.to_string());
        }
    }

    pub(super) fn announce_raw(&self, header: String) {
        // The send fails only without a subscriber.
        let _ = self.heads.send(header);
    }

    pub(super) fn heads(&self) -> broadcast::Receiver<String> {
        self.heads.subscribe()
    }

    pub(super) fn hang_up(&self) {
        self.hang_up.send_replace(());
    }

    /// Changes when the node closes all connections.
    pub(super) fn hang_ups(&self) -> watch::Receiver<()> {
        self.hang_up.subscribe()
    }

    /// Records a call, and returns the answer that the test scripted.
    pub(super) fn scripted(&self, transport: Transport, request: &IncomingRequest) -> Answer {
        let method = &request.method;
        let call = Call {
            transport,
            method: method.clone(),
            params: request.params.get().to_owned(),
        };
        let (queued, handler) = self.change(|state| {
            if let Some(calls) = &mut state.calls {
                calls.push(call);
            }
            // Most methods have been called before.
            match state.counts.get_mut(method) {
                Some(count) => *count += 1,
                None => drop(state.counts.insert(method.clone(), 1)),
            }
            let names = [method.as_str(), "*"];
            let queued = names.iter().find_map(|name| state.queued.get_mut(*name)?.pop_front());
            (queued, names.iter().find_map(|name| state.handlers.get(*name).cloned()))
        });
        // The lock is free here, because a handler may read the node.
        queued
            .or_else(|| handler.map(|handler| handler(&request.params)))
            .unwrap_or(Answer::Default)
    }

    /// Records a call and returns its answer, which is never [`Answer::Default`].
    pub(super) fn answer(&self, transport: Transport, request: &IncomingRequest) -> Answer {
        match self.scripted(transport, request) {
            Answer::Default => self.by_default(request),
            answer => answer,
        }
    }

    /// The node's default answer.
    pub(super) fn by_default(&self, request: &IncomingRequest) -> Answer {
        self.with(|state| state.by_default(&self.world.chain(), request))
    }
}
