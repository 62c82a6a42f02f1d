//! Follows the EthFlow contracts of CoW Protocol, and reports the orders that are due for a refund.
//!
//! A user of EthFlow sells ether: the contract holds it, and owns the order at the settlement. After
//! the user's `validTo`, any account can make the contract pay back the part that was not sold.
//!
//! - [`logs`] reads the events of the [`contracts`], and [`book`] stores the [`order`]s.
//! - [`due`] is the index of the orders by time, so that a block reads only those whose time has come.
//! - [`check`] asks the contracts about these, and simulates the [`refunds`]. [`answers`] tells errors
//!   of the contracts from trouble of the node.
//! - [`requests`] sends the refunds with the operator's account, if the operator wants that.
//! - [`query`] answers the operator.

mod abi;
mod answers;
mod book;
mod check;
mod contracts;
mod due;
mod logs;
mod order;
mod query;
mod refunds;
mod requests;
#[cfg(test)]
mod tests;

use nexum_sdk::{Address, Block, ErrorKind, Json, Log, Result, U256, bail, cow, module};

use book::Book;
use contracts::Contracts;
use requests::{BATCH_MAX, Requests};

/// The `[config]` of nexum.toml.
#[derive(Debug, serde::Deserialize)]
struct Settings {
    /// EthFlow contracts besides those of CoW Protocol, on each chain of the subscriptions.
    #[serde(default)]
    contracts: Vec<Address>,
    /// The contract that settles the orders of `contracts`.
    #[serde(default = "production")]
    settlement: Address,
    /// The least amount of an order that the module follows, in wei.
    #[serde(default)]
    least: U256,
    /// How long the module stores an order that is final, in days.
    #[serde(default = "three")]
    keep_days: u32,
    /// Whether the module sends the refunds itself.
    #[serde(default)]
    refund: bool,
    /// The operator's account that sends the refunds.
    account: Option<Address>,
    /// The most orders that one transaction refunds.
    #[serde(default = "batch_max")]
    batch_max: usize,
}

fn production() -> Address {
    cow::SETTLEMENT
}

fn three() -> u32 {
    3
}

fn batch_max() -> usize {
    BATCH_MAX
}

const SECONDS_PER_DAY: u64 = 24 * 3_600;

#[derive(Debug)]
struct EthFlow {
    contracts: Contracts,
    least: U256,
    /// In seconds.
    keep: u64,
    /// `None` without `refund`.
    requests: Option<Requests>,
}

#[module]
impl EthFlow {
    fn init(settings: Settings) -> Result<Self> {
        let requests = match (settings.refund, settings.account) {
            (false, _) => None,
            (true, None) => bail!(ErrorKind::InvalidInput; "refund needs account, the address that sends the refunds"),
            (true, Some(account)) => Some(Requests::new(account, settings.batch_max)?),
        };
        Ok(Self {
            contracts: Contracts {
                own: settings.contracts,
                settlement: settings.settlement,
            },
            least: settings.least,
            keep: u64::from(settings.keep_days) * SECONDS_PER_DAY,
            requests,
        })
    }

    // The chains and the contracts are in nexum.toml, where the operator can change them. The topics are those
    // of `OrderPlacement`, `OrderInvalidation` and `OrderRefund`.
    #[on_logs(topics = [[
        "0xcf5f9de2984132265203b5c335b25727702ca77262ff622e136baa7362bf1da9",
        "0xb8bad102ac8bbacfef31ff1c906ec6d951c230b4dce750bb0376b812ad35852a",
        "0x195271068a288191e4b265c641a56b9832919f69e9e7d6c2f31ba40278aeb85a",
    ]])]
    async fn on_logs(&mut self, logs: Vec<Log>) -> Result {
        let Some(first) = logs.first() else { return Ok(()) };
        let mut book = Book::open(first.chain_id, self.keep, self.requests.is_some())?;
        for log in logs {
            logs::follow(&mut book, &self.contracts, self.least, log)?;
        }
        let payer = self.requests.as_ref().map(Requests::account);
        let due = check::catch_up(&mut book, &self.contracts, payer).await?;
        // The next block sends: another attempt at these logs would find another newest block.
        if let (Some(requests), false) = (&mut self.requests, due.is_empty()) {
            requests.look_again(book.chain_id());
        }
        book.close()
    }

    #[on_block(catch_up = "latest")]
    async fn on_block(&mut self, block: Block) -> Result {
        let mut book = Book::open(block.chain_id, self.keep, self.requests.is_some())?;
        match &mut self.requests {
            None => drop(check::run(&mut book, &self.contracts, None, &block).await?),
            Some(requests) => {
                requests.find(&mut book, &block)?;
                let due = check::run(&mut book, &self.contracts, Some(requests.account()), &block).await?;
                requests.send(&mut book, &block, due).await?;
            }
        }
        book.set_time(block.timestamp / 1_000);
        book.close()
    }

    #[query]
    fn orders(&self, question: Vec<u8>) -> Result<Json<query::Answer>> {
        query::answer(question).map(Json)
    }
}
