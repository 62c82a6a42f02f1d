//! What a test makes a node do.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::world::Announce;
use super::{Answer, Blooms, LogsLimit, LostLogs, Node};

impl Node {
    /// Answers every later call of `method` as `answer` says for its parameters, in place of what the node would do by
    /// itself. The method `*` stands for all that have no answer of their own.
    pub fn on(&self, method: &str, answer: impl Fn(&RawValue) -> Answer + Send + Sync + 'static) {
        self.shared
            .with(|state| state.handlers.insert(method.to_owned(), Arc::new(answer)));
    }

    /// Ends what [`on`](Self::on) began.
    pub fn restore(&self, method: &str) {
        self.shared.with(|state| state.handlers.remove(method));
    }

    /// Answers the next call of `method` so, before anything else does; several wait in a queue.
    pub fn once(&self, method: &str, answer: Answer) {
        self.shared
            .with(|state| state.queued.entry(method.to_owned()).or_default().push_back(answer));
    }

    /// Whether a batch is answered by one error, as endpoints do that have no batches.
    pub fn refuse_batches(&self, refuse: bool) {
        self.shared.with(|state| state.refuses_batches = refuse);
    }

    /// Answers the handshake of every later ws connection with this http status in place of an upgrade.
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

    /// Falls this many blocks behind the chain: what is above is unknown, and heads are announced once they are reached. A
    /// smaller lag catches up and announces what is new; a larger one takes the head back and announces nothing twice.
    pub fn set_lag(&self, blocks: u64) {
        self.shared.with(|state| state.standpoint.lag = blocks);
        self.shared.follow(Announce::Yes);
    }

    /// Stops following the chain, as a node that has stalled: it shows it as it is now, whatever is mined or replaced, and
    /// announces nothing.
    pub fn freeze(&self) {
        self.shared.freeze();
    }

    /// Follows the chain again, and announces the newest head alone.
    pub fn thaw(&self) {
        self.shared.thaw();
    }

    /// Says by `eth_syncing` that it syncs up to this block, or with `None` that it does not sync.
    pub fn set_syncing(&self, highest_block: Option<u64>) {
        self.shared.with(|state| state.syncing_to = highest_block);
    }

    /// Refuses `eth_getLogs` that ask for more than this.
    pub fn limit_logs(&self, limit: Option<LogsLimit>) {
        self.shared.with(|state| state.logs_faults.limit = limit);
    }

    /// Refuses `eth_getLogs` over a range that ends above the head, as newer nodes do. Else the answer is what there is of the
    /// range, as with older ones.
    pub fn refuse_beyond_head(&self, refuse: bool) {
        self.shared.with(|state| state.logs_faults.refuses_beyond_head = refuse);
    }

    /// Answers `eth_getLogs` by an empty list although there are logs.
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
