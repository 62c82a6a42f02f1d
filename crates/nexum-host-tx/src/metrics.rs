//! The metrics of this crate, with names, units and labels.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use nexum_accounts::AccountName;
use nexum_config::topic::ChainId;

use crate::error::SendError;

/// Counter: transactions that nexum has signed for modules. Labels: [`CHAIN`], [`ACCOUNT`].
pub const SENT: &str = "nexum_tx_sent_total";

/// Counter: requests of modules for a transaction that nexum has not sent. Labels: [`CHAIN`], [`REASON`].
pub const REFUSED: &str = "nexum_tx_refused_total";

/// Counter: transactions in a block. Labels: [`CHAIN`], [`ACCOUNT`], [`OUTCOME`].
pub const MINED: &str = "nexum_tx_mined_total";

/// Counter: replacements with higher fees. Labels: [`CHAIN`], [`ACCOUNT`].
pub const BUMPED: &str = "nexum_tx_bumped_total";

/// Counter: blocks with a transaction that a reorganisation has removed. Labels: [`CHAIN`], [`ACCOUNT`].
pub const REVERTED: &str = "nexum_tx_reverted_total";

/// Gauge: transactions that are in no block. Labels: [`CHAIN`], [`ACCOUNT`].
pub const PENDING: &str = "nexum_tx_pending";

/// Gauge, seconds: the age of the oldest transaction that is in no block, 0 without one. Labels: [`CHAIN`], [`ACCOUNT`].
pub const OLDEST_SECONDS: &str = "nexum_tx_oldest_pending_seconds";

/// Gauge: 1 if nexum sends nothing from the account until the operator has looked at it. Labels: [`CHAIN`], [`ACCOUNT`].
pub const HALTED: &str = "nexum_tx_halted";

/// Label: the chain id.
pub const CHAIN: &str = "chain";

/// Label: the name of the account.
pub const ACCOUNT: &str = "account";

/// Label: `denied`, `halted`, `invalid`, `limited`, `refused`, `reverts` or `unavailable`.
pub const REASON: &str = "reason";

/// Label: `ok`, `failed` or `cancelled`.
pub const OUTCOME: &str = "outcome";

/// Describes the metrics to the recorder. The embedder calls it once, after it installs the recorder.
pub fn describe() {
    describe_counter!(SENT, "transactions that nexum has signed for modules");
    describe_counter!(REFUSED, "requests of modules for a transaction that nexum has not sent");
    describe_counter!(MINED, "transactions in a block");
    describe_counter!(BUMPED, "replacements of transactions by ones with higher fees");
    describe_counter!(REVERTED, "transactions whose block a reorganisation has removed");
    describe_gauge!(PENDING, "transactions that are in no block");
    describe_gauge!(
        OLDEST_SECONDS,
        Unit::Seconds,
        "age of the oldest transaction that is in no block"
    );
    describe_gauge!(
        HALTED,
        "1 if nexum sends nothing from the account until the operator has looked at it"
    );
}

pub(crate) fn sent(chain: ChainId, account: &AccountName) {
    counter!(SENT, CHAIN => chain.to_string(), ACCOUNT => account.to_string()).increment(1);
}

pub(crate) fn refused(chain: ChainId, error: &SendError) {
    counter!(REFUSED, CHAIN => chain.to_string(), REASON => error.outcome()).increment(1);
}

pub(crate) fn mined(chain: ChainId, account: &AccountName, outcome: &'static str) {
    counter!(MINED, CHAIN => chain.to_string(), ACCOUNT => account.to_string(), OUTCOME => outcome).increment(1);
}

pub(crate) fn bumped(chain: ChainId, account: &AccountName) {
    counter!(BUMPED, CHAIN => chain.to_string(), ACCOUNT => account.to_string()).increment(1);
}

pub(crate) fn reverted(chain: ChainId, account: &AccountName) {
    counter!(REVERTED, CHAIN => chain.to_string(), ACCOUNT => account.to_string()).increment(1);
}

pub(crate) fn lane(chain: ChainId, account: &AccountName, pending: u64, oldest_ms: u64, is_halted: bool) {
    let labels = [(CHAIN, chain.to_string()), (ACCOUNT, account.to_string())];
    #[expect(clippy::cast_precision_loss, reason = "counts and seconds are small")]
    {
        gauge!(PENDING, &labels).set(pending as f64);
        gauge!(OLDEST_SECONDS, &labels).set(oldest_ms as f64 / 1_000.0);
    }
    gauge!(HALTED, &labels).set(f64::from(u8::from(is_halted)));
}
