//! Transactions of modules: nonces, fees, signatures, and the way into a block.
//!
//! # How data flows
//!
//! 1. A module calls `chain.request` with `eth_sendTransaction`. The capability `chain` hands the request to
//!    [`Transactions`].
//! 2. The rules of `[identity.<module>.<account>]` are checked, the call is simulated, and the fees are chosen.
//! 3. Under the account's lock, the limits are counted, and the next nonce is taken and signed. The nonce, the bytes,
//!    the counts and the record of the effect become durable in one commit.
//! 4. The transaction is submitted, and the module gets its hash.
//! 5. The tender, a [service](nexum_core::service::Service), watches the transaction: it submits it again, replaces it by
//!    one with higher fees, sees it in a block, and watches the block until it is settled.
//!
//! # Code map
//!
//! | module | content |
//! |---|---|
//! | `request`, `fees`, `spending` | the parameters of a module, what a block takes, the limits |
//! | `rows` | the state of accounts and transactions |
//! | `chain`, `sign` | the questions to a chain, the bytes of a version |
//! | `send` | a module's request |
//! | `tender` | everything after it |
//! | `report`, `sync` | what the operator sees, and can do |
//!
//! # Assumptions
//!
//! - Modules are hostile. The rules bound what they can spend.
//! - Nodes and relays may be wrong, and may keep a transaction that they say they refuse.
//!
//! # Invariants
//!
//! - No byte of a transaction leaves nexum before it is durable with its nonce.
//! - A nonce is used again only for a transaction that every place has refused, or to replace one. So of all that
//!   nexum has signed for one nonce, a chain carries out one at most.
//! - nexum sends nothing more from an account that another program uses, until the operator says otherwise.

pub use amounts::{ether, gwei};
pub use config::{BUMP_AFTER_BLOCKS, BUMPS_MAX, TX_SECTION, TxConfig};
pub use error::SendError;
pub use report::{ChainReport, Listed, chains, spent, transactions};
pub use request::DATA_BYTES_MAX;
pub use rows::{Halt, Lane, Mined, NextNonce, Purpose, ROWS, Transaction, TransactionState, Version};
pub use send::SEND_TRANSACTION;
pub use spending::{Open, Period, Spending, Spent};
pub use sync::{SyncError, Synced};
pub use transactions::{LaneStatus, Transactions};

pub mod metrics;

mod send;
mod tender;

mod report;
mod sync;

mod chain;
mod sign;

mod rows;
mod transactions;

mod amounts;
mod config;
mod error;
mod fees;
mod request;
mod spending;
