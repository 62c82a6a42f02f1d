//! The faults that a test can set on a node.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::world::{Announce, Follower as _};
use super::{Answer, BatchFault, Blooms, LogsLimit, LostLogs, Node};

impl Node {
    /// Sets the answer to all later calls of `method`, as a function of the parameters. It replaces
    /// the node's default answer. The method `*` stands for every method without an answer of its
    /// own.
    pub fn on(&self, method: &str, answer: impl Fn(&RawValue) -> Answer + Send + Sync + 'static) {
        self.shared
            .with(|state| state.handlers.insert(method.to_owned(), Arc::new(answer)));
    }

    /// Removes the answer that [`on`](Self::on) set.
    pub fn restore(&self, method: &str) {
        self.shared.with(|state| state.handlers.remove(method));
    }

    /// Queues an answer for the next call of `method`. Queued answers override all others, and each
    /// answers one call.
    pub fn once(&self, method: &str, answer: Answer) {
        self.shared
            .with(|state| state.queued.entry(method.to_owned()).or_default().push_back(answer));
    }

    /// Sets the fault of every later batch over http.
    pub fn break_batches(&self, fault: Option<BatchFault>) {
        self.shared.with(|state| state.batch_fault = fault);
    }

    /// Answers the handshake of later WebSocket connections with this HTTP status; `None` accepts
    /// them.
    pub fn refuse_ws(&self, status: Option<u16>) {
        self.shared.with(|state| state.refuses_ws = status);
    }

    /// Sends every later ws message in a binary frame.
    pub fn send_binary(&self) {
        self.shared.with(|state| state.sends_binary = true);
    }

    /// Announces every later header with another hash than its block has.
    pub fn announce_other_hashes(&self) {
        self.shared.with(|state| state.header_faults.other_hashes = true);
    }

    /// Delays every answer by this time, as a node does that is far away.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.with(|state| state.delay = delay);
    }

    /// Makes the node lag behind the chain by this many blocks. Later blocks are unknown to the
    /// node, and it announces a head when it reaches it. A smaller lag makes the node catch up and
    /// announce the new blocks. A larger lag moves the head back, and the node announces no block
    /// twice.
    pub fn set_lag(&self, blocks: u64) {
        self.shared.with(|state| state.standpoint.lag = blocks);
        self.shared.follow(Announce::Yes);
    }

    /// Stops following the chain, as a stalled node does. The node shows the current chain from
    /// then on, and announces nothing.
    pub fn freeze(&self) {
        self.shared.freeze();
    }

    /// Follows the chain again, and announces only the newest head.
    pub fn thaw(&self) {
        self.shared.thaw();
    }

    /// Answers `eth_getBlockByNumber` for a number without a block by the error of Filecoin's nodes,
    /// in place of `null`.
    pub fn refuse_null_rounds(&self, refuse: bool) {
        self.shared.with(|state| state.refuses_null_rounds = refuse);
    }

    /// Makes `eth_syncing` report a sync up to this block; `None` reports no sync.
    pub fn set_syncing(&self, highest_block: Option<u64>) {
        self.shared.with(|state| state.syncing_to = highest_block);
    }

    /// Refuses `eth_getLogs` requests that exceed these limits.
    pub fn limit_logs(&self, limit: Option<LogsLimit>) {
        self.shared.with(|state| state.logs_faults.limit = limit);
    }

    /// Refuses `eth_getLogs` over a range that ends above the head, as newer nodes do. Without
    /// this, the node answers with the logs of the existing blocks, as older nodes do.
    pub fn refuse_beyond_head(&self, refuse: bool) {
        self.shared.with(|state| state.logs_faults.refuses_beyond_head = refuse);
    }

    /// Answers these `eth_getLogs` requests with an empty list, although logs exist.
    pub fn lose_logs(&self, lost: LostLogs) {
        self.shared.with(|state| state.logs_faults.lost = lost);
    }

    /// Counts `logIndex` in `eth_getLogs` within the transaction, as some networks do, in place of the block.
    pub fn index_logs_in_transactions(&self, in_transactions: bool) {
        self.shared
            .with(|state| state.logs_faults.indexed_in_transactions = in_transactions);
    }

    /// Answers `eth_getLogs` by an empty list for the hash of a block that it does not have, in place of an error.
    pub fn answer_unknown_blocks(&self, answer: bool) {
        self.shared.with(|state| state.logs_faults.answers_unknown = answer);
    }

    /// Shows these blooms in the headers of blocks with logs.
    pub fn show_blooms(&self, blooms: Blooms) {
        self.shared.with(|state| state.header_faults.blooms = blooms);
    }

    /// Shows a root in the headers of blocks with logs that is not that of their receipts.
    pub fn falsify_receipts_roots(&self, falsify: bool) {
        self.shared
            .with(|state| state.header_faults.false_receipts_roots = falsify);
    }
}
