//! The rows of this crate in the state: nonces, transactions, spending, and accounts that wait for the operator.
//!
//! Numbers in keys are big-endian, so that transactions are in the order of their nonces.
//!
//! # Invariants
//!
//! - One row has one writer at a time: the sender of a module writes [`Spending`] and [`NextNonce`] under the account's
//!   lock, and the tender writes [`Halt`]. An operator's sync holds the lock, and compares both rows. [`Transaction`]s are created by the sender, and every other change of
//!   one compares the row first.

use alloy_primitives::{Address, B256, Bytes, U256};
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use nexum_core::store::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::spending::{Outcome, Spending};

/// The name under which the state has the rows.
pub const ROWS: &str = "tx";

/// The account and the chain of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The account.
    pub account: Address,
    /// The chain id.
    pub chain: ChainId,
}

/// The next nonce of an account on a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextNonce {
    /// The nonce of the next transaction.
    pub next: u64,
    /// The operator has accepted that others sent transactions with lower nonces than this one. They halt the account no more.
    pub accepted: u64,
}

/// One nonce of an account, with everything that nexum has signed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The module that asked for it.
    #[serde(with = "name")]
    pub module: ModuleName,
    /// The event or the call in which it asked.
    pub event: String,
    /// The receiver. `None` creates a contract.
    pub to: Option<Address>,
    /// The value, in wei.
    pub value: U256,
    /// The data of the call.
    pub data: Bytes,
    /// The limit of gas.
    pub gas: u64,
    /// Whether the chain has no base fee.
    pub is_legacy: bool,
    /// The most wei per gas that the module allows for it.
    pub max_fee: Option<u128>,
    /// The versions, oldest first. They differ in their fees. At least one.
    pub versions: Vec<Version>,
    /// The signed bytes of the newest version.
    pub signed: Bytes,
    /// The purpose of the next version.
    pub purpose: Purpose,
    /// The state.
    pub state: TransactionState,
    /// The time of the first signature, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Why it is not in a block yet, in words for the operator.
    pub waits: Option<String>,
}

/// The purpose of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// The request of the module.
    Request,
    /// Nothing: an empty transaction of the account to itself takes the nonce, because what the module asked for must
    /// not happen any more.
    Cancel,
}

/// One signed version of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The hash.
    pub hash: B256,
    /// The purpose.
    pub purpose: Purpose,
    /// The most wei per gas.
    pub max_fee: u128,
    /// The most wei per gas for the proposer of the block.
    pub tip: u128,
    /// The latest block when nexum signed it.
    pub block: u64,
    /// The time of the signature, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The place of a transaction on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionState {
    /// No block has it yet.
    Pending,
    /// A block has it.
    Mined(Mined),
    /// A transaction that is not nexum's has taken its nonce, in a block that is settled.
    Lost,
}

/// A transaction in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mined {
    /// The number of the block.
    pub block: u64,
    /// The hash of the block.
    pub block_hash: B256,
    /// The hash of the version.
    pub hash: B256,
    /// The fee, in wei.
    pub fee: U256,
    /// Whether the call succeeded.
    pub is_success: bool,
    /// Whether no reorganisation can remove the block.
    pub is_settled: bool,
    /// The time at which nexum saw it, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The transaction with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfHash {
    pub(crate) account: Address,
    pub(crate) chain: ChainId,
    pub(crate) nonce: u64,
}

/// Why nexum sends nothing from an account on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The reason.
    pub reason: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Lane {
    /// The row of a hash of its transaction with this nonce.
    pub(crate) fn of_hash(self, nonce: u64) -> OfHash {
        OfHash {
            account: self.account,
            chain: self.chain,
            nonce,
        }
    }
}

impl NextNonce {
    /// The row after a transaction with the next nonce.
    pub(crate) fn after(self) -> Self {
        Self {
            next: self.next + 1,
            ..self
        }
    }
}

impl Transaction {
    /// The newest version.
    pub fn newest(&self) -> Version {
        // The first version exists since the row does.
        self.versions.last().copied().unwrap_or(Version {
            hash: B256::ZERO,
            purpose: self.purpose,
            max_fee: 0,
            tip: 0,
            block: 0,
            at_ms: self.since_ms,
        })
    }

    /// The most that it can cost in fees, in wei.
    pub fn fee_max(&self) -> U256 {
        let price = self.versions.iter().map(|version| version.max_fee).max();
        U256::from(self.gas) * U256::from(price.unwrap_or(0))
    }

    /// Whether it is not in a block.
    pub fn is_pending(&self) -> bool {
        self.state == TransactionState::Pending
    }

    /// The part of it in the limits.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.state {
            TransactionState::Pending => Outcome::Open(self.fee_max()),
            TransactionState::Lost => Outcome::Gone,
            TransactionState::Mined(mined) if !mined.is_settled => Outcome::Unsettled(mined.fee),
            TransactionState::Mined(mined) => {
                let version = self.versions.iter().find(|version| version.hash == mined.hash);
                Outcome::Mined {
                    fee: mined.fee,
                    had_value: version.is_none_or(|version| version.purpose == Purpose::Request),
                }
            }
        }
    }
}

/// A module's name as a text.
mod name {
    use nexum_config::names::ModuleName;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(name: &ModuleName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ModuleName, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The keys of the rows.
pub(crate) mod key {
    use super::{Address, B256, Lane, ModuleName};

    const NONCE: u8 = b'n';
    const TRANSACTION: u8 = b't';
    const SPENDING: u8 = b'u';
    const HALT: u8 = b'h';
    const HASH: u8 = b'x';

    fn of(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        [&[kind][..], &parts.concat()].concat()
    }

    pub(crate) fn nonce(lane: Lane) -> Vec<u8> {
        of(NONCE, &[lane.account.as_slice(), &lane.chain.to_be_bytes()])
    }

    pub(crate) fn nonces() -> Vec<u8> {
        vec![NONCE]
    }

    /// The prefix of the nonces of an account.
    pub(crate) fn nonces_of(account: Address) -> Vec<u8> {
        of(NONCE, &[account.as_slice()])
    }

    /// The prefix of the halts of an account.
    pub(crate) fn halts_of(account: Address) -> Vec<u8> {
        of(HALT, &[account.as_slice()])
    }

    /// The prefix of the transactions of an account.
    pub(crate) fn transactions_of(account: Address) -> Vec<u8> {
        of(TRANSACTION, &[account.as_slice()])
    }

    pub(crate) fn halt(lane: Lane) -> Vec<u8> {
        of(HALT, &[lane.account.as_slice(), &lane.chain.to_be_bytes()])
    }

    pub(crate) fn hash(hash: B256) -> Vec<u8> {
        of(HASH, &[hash.as_slice()])
    }

    pub(crate) fn spending(account: Address, module: &ModuleName) -> Vec<u8> {
        of(SPENDING, &[account.as_slice(), module.as_str().as_bytes()])
    }

    pub(crate) fn transactions(lane: Lane) -> Vec<u8> {
        of(TRANSACTION, &[lane.account.as_slice(), &lane.chain.to_be_bytes()])
    }

    pub(crate) fn transaction(lane: Lane, nonce: u64) -> Vec<u8> {
        [transactions(lane), nonce.to_be_bytes().to_vec()].concat()
    }

    /// The account and the chain in the key of a nonce.
    pub(crate) fn lane_of(key: &[u8]) -> Option<Lane> {
        let (account, chain) = key.get(1..)?.split_at_checked(Address::len_bytes())?;
        Some(Lane {
            account: Address::from_slice(account),
            chain: u64::from_be_bytes(chain.get(..8)?.try_into().ok()?),
        })
    }

    /// The nonce in the key of a transaction.
    pub(crate) fn nonce_of(key: &[u8]) -> Option<u64> {
        let nonce = key.get(1 + Address::len_bytes() + 8..)?;
        Some(u64::from_be_bytes(nonce.try_into().ok()?))
    }
}

/// A value with a row.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The name for the error of a damaged row.
    const NAME: &'static str;

    #[expect(clippy::expect_used, reason = "rows are plain data: numbers, bytes, lists")]
    fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data can be encoded")
    }

    fn decode(row: &[u8]) -> Result<Self, StoreError> {
        postcard::from_bytes(row).map_err(|error| StoreError::Damaged(format!("{}: {error}", Self::NAME)))
    }
}

impl Row for NextNonce {
    const NAME: &'static str = "the nonce of an account";
}

impl Row for Transaction {
    const NAME: &'static str = "a transaction";
}

impl Row for OfHash {
    const NAME: &'static str = "the hash of a transaction";
}

impl Row for Halt {
    const NAME: &'static str = "the halt of an account";
}

impl Row for Spending {
    const NAME: &'static str = "the spending of an account";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_in_the_order_of_their_nonces_and_name_them() {
        let lane = Lane {
            account: Address::repeat_byte(7),
            chain: 0x0102_0304,
        };
        let keys: Vec<_> = [0, 1, 255, 256, u64::MAX]
            .map(|nonce| key::transaction(lane, nonce))
            .into();
        assert!(keys.is_sorted());
        assert_eq!(
            keys.iter().map(|key| key::nonce_of(key)).collect::<Vec<_>>()[3],
            Some(256)
        );
        assert_eq!(key::lane_of(&key::nonce(lane)), Some(lane));
        assert_eq!(key::lane_of(&keys[0]), Some(lane));
        assert!(keys[0].starts_with(&key::transactions(lane)));
        assert_eq!((key::lane_of(b"n"), key::nonce_of(b"t1")), (None, None));
    }
}
