//! The messages about accounts and their transactions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The path of the list of accounts, and the prefix of each account's own paths.
pub(crate) const ACCOUNTS: &str = "/v1/accounts";

/// The path of the list of transactions.
pub(crate) const TRANSACTIONS: &str = "/v1/transactions";

/// The most transactions in a list.
pub(crate) const TRANSACTIONS_PER_ANSWER_MAX: usize = 1_000;

/// An account of the configuration. It has no path, no URL and no key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) address: String,
    /// The kind of the signer: `keystore` or `web3signer`.
    pub(crate) signer: String,
    /// The modules that may use the account.
    pub(crate) modules: Vec<AccountModule>,
    /// The chains on which nexum has sent something from the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) chains: Vec<AccountChain>,
}

/// A module that may use an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccountModule {
    pub(crate) module: String,
    /// The kinds of values that the rules allow, such as `messages, typed data`.
    pub(crate) may_sign: String,
    /// The limits of its transactions, and its use of them. None for a module that may send none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<AccountLimits>,
}

/// The limits of a module's transactions with an account. Transactions that are in no block count with the most that they can cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccountLimits {
    /// The transactions of the last hour.
    pub(crate) per_hour: CountLimit,
    /// The transactions whose fee is not known yet.
    pub(crate) in_flight: CountLimit,
    /// The fees of the last day.
    pub(crate) fee_per_day: AmountLimit,
    /// The value of the last day.
    pub(crate) value_per_day: AmountLimit,
}

/// A number of transactions, and its limit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CountLimit {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// An amount in ether, as a decimal number, and its limit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AmountLimit {
    pub(crate) used: String,
    pub(crate) limit: String,
}

/// An account on one chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AccountChain {
    pub(crate) chain_id: u64,
    pub(crate) state: AccountState,
    /// The reason of the state, if the account is halted or a transaction waits for longer than usual.
    pub(crate) reason: Option<String>,
    /// The time since which the account is halted, in milliseconds since the Unix epoch.
    pub(crate) since_ms: Option<u64>,
    /// The nonce of the next transaction.
    pub(crate) next_nonce: u64,
    /// The number of transactions that are in no block.
    pub(crate) pending: u64,
    /// The number of transactions in a block that a reorganisation can still remove.
    pub(crate) unsettled: u64,
    /// The time of the first signature of the oldest transaction that is in no block, in milliseconds since the Unix epoch.
    pub(crate) oldest_ms: Option<u64>,
}

/// The use of an account on a chain:
///
/// - `ready`: it sends, and each transaction is in a block.
/// - `waiting`: it sends, and a transaction is in no block yet.
/// - `halted`: it sends nothing until the operator has looked at the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountState {
    Ready,
    Waiting,
    Halted,
}

/// A transaction of a module.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Transaction {
    pub(crate) account: String,
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) state: TransactionState,
    /// The reason of the state.
    pub(crate) reason: String,
    pub(crate) module: String,
    /// The id of the event, or the call, in which the module sent it.
    pub(crate) event: String,
    /// The receiver. Null if the transaction creates a contract.
    pub(crate) to: Option<String>,
    /// The value in ether, as a decimal number.
    pub(crate) value: String,
    /// The hash of the version in the block, or else of the newest version.
    pub(crate) hash: String,
    /// The number of versions. Each has higher fees than the one before.
    pub(crate) versions: usize,
    /// The most fee per gas of the newest version, in gwei, as a decimal number.
    pub(crate) max_fee_gwei: String,
    /// The most fee per gas for the proposer of the block, in gwei, as a decimal number.
    pub(crate) tip_gwei: String,
    /// The time of the first signature, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// The block with the transaction.
    pub(crate) block: Option<u64>,
    /// The paid fee in ether, as a decimal number, if the transaction is in a block.
    pub(crate) fee: Option<String>,
}

/// The fate of a transaction:
///
/// - `pending`: no block has it yet.
/// - `unsettled`: a block has it that a reorganisation can still remove.
/// - `settled`: a block has it for ever.
/// - `lost`: a transaction that nexum has not sent has its nonce for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransactionState {
    Pending,
    Unsettled,
    Settled,
    Lost,
}

/// The command to continue with an account that another program has used.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccountSync)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sync {
    /// The only chain. Default: all chains on which nexum has sent something from the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain_id: Option<u64>,
}

/// An account with which nexum continues.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccountSynced)]
pub(crate) struct Synced {
    pub(crate) account: String,
    pub(crate) chains: Vec<SyncedChain>,
}

/// The change of an account on one chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccountSyncedChain)]
pub(crate) struct SyncedChain {
    pub(crate) chain_id: u64,
    /// The next nonce before the command.
    pub(crate) nonce_before: u64,
    /// The next nonce now. It is never lower than before.
    pub(crate) next_nonce: u64,
    /// The reason of the halt that the command has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) halt: Option<String>,
}

impl AccountState {
    /// The state in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Halted => "halted",
        }
    }
}

impl TransactionState {
    /// The state in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unsettled => "unsettled",
            Self::Settled => "settled",
            Self::Lost => "lost",
        }
    }
}
