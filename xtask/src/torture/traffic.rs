//! A chain that grows and is reorganised all the time.

use std::{
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::schedule::{Burst, Reorg, Schedule};
use crate::rpc::Rpc;

/// Deploys a contract that logs what it is called with: `CALLDATACOPY(0, 0, CALLDATASIZE) LOG0(0, CALLDATASIZE) STOP`.
const EMITTER: &str = "0x67363d3d37363da0003d5260086018f3";

/// How many blocks there are before anything is taken back: more than the deepest reorg, so that the contract stays.
const FIRST_BLOCKS: u64 = 128;

/// A local node, the contract on it, and how often it was called.
#[derive(Debug)]
pub(super) struct Traffic {
    rpc: Rpc,
    accounts: Vec<String>,
    emitter: String,
    /// The number that the next log carries.
    next: u64,
    done: Done,
}

/// What has happened on the chain so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) reorgs: u64,
    pub(super) deepest_reorg: u64,
}

/// Traffic that goes on until it is told to end.
pub(super) struct Running {
    end: SyncSender<()>,
    thread: JoinHandle<Result<Traffic>>,
}

impl Traffic {
    /// Deploys the contract, from which on the chain is mined by hand.
    pub(super) fn deploy(url: &str) -> Result<Self> {
        let rpc = Rpc::new(url);
        let accounts: Vec<String> = serde_json::from_value(rpc.request("eth_accounts", json!([]))?)?;
        let deployer = accounts.first().context("the node has no accounts")?;
        let transaction = rpc.request("eth_sendTransaction", json!([{ "from": deployer, "data": EMITTER }]))?;
        rpc.request("anvil_mine", json!([quantity(FIRST_BLOCKS)]))?;
        let receipt = rpc.request("eth_getTransactionReceipt", json!([transaction]))?;
        let emitter = receipt["contractAddress"]
            .as_str()
            .context("the contract is not there")?;
        Ok(Self {
            emitter: emitter.to_owned(),
            rpc,
            accounts,
            next: 1,
            done: Done::default(),
        })
    }

    pub(super) fn emitter(&self) -> &str {
        &self.emitter
    }

    pub(super) fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// The number of the newest block.
    pub(super) fn head(&self) -> Result<u64> {
        head(&self.rpc)
    }

    /// Mines and reorganises by a schedule.
    pub(super) fn start(mut self, mut schedule: Schedule) -> Running {
        let (end, ended) = sync_channel(1);
        let thread = thread::spawn(move || {
            loop {
                let burst = schedule.burst();
                self.happen(&burst)?;
                if ended.recv_timeout(burst.pause) != Err(RecvTimeoutError::Timeout) {
                    return Ok(self);
                }
            }
        });
        Running { end, thread }
    }

    /// Mines one block with one log, and returns its number: one that no block had before.
    pub(super) fn mine_last(&mut self) -> Result<u64> {
        self.mine(1)?;
        self.head()
    }

    fn happen(&mut self, burst: &Burst) -> Result<()> {
        burst.blocks.iter().try_for_each(|logs| self.mine(*logs))?;
        burst.reorg.iter().try_for_each(|reorg| self.reorg(reorg))
    }

    fn mine(&mut self, logs: usize) -> Result<()> {
        for _ in 0..logs {
            let call = self.call();
            self.rpc.request("eth_sendTransaction", json!([call]))?;
        }
        self.rpc.request("anvil_mine", json!([quantity(1)])).map(drop)
    }

    fn reorg(&mut self, reorg: &Reorg) -> Result<()> {
        let calls: Vec<Value> = reorg.logs.iter().map(|block| json!([self.call(), block])).collect();
        self.rpc.request("anvil_reorg", json!([reorg.depth, calls]))?;
        self.done.reorgs += 1;
        self.done.deepest_reorg = self.done.deepest_reorg.max(reorg.depth);
        Ok(())
    }

    /// The next call of the contract, by one account after another.
    fn call(&mut self) -> Value {
        let number = self.next;
        self.next += 1;
        let from = self.accounts.get(number as usize % self.accounts.len().max(1));
        json!({ "from": from, "to": self.emitter, "data": format!("0x{number:064x}") })
    }
}

impl Done {
    /// What has happened on both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            reorgs: self.reorgs + other.reorgs,
            deepest_reorg: self.deepest_reorg.max(other.deepest_reorg),
        }
    }
}

impl Running {
    /// Ends it after the burst in hand.
    pub(super) fn stop(self) -> Result<Traffic> {
        // One that has ended by itself does not listen any more.
        let _ = self.end.send(());
        match self.thread.join() {
            Ok(traffic) => traffic.context("the chain's traffic failed"),
            Err(_) => bail!("the chain's traffic panicked"),
        }
    }
}

/// The number of a node's newest block.
pub(super) fn head(rpc: &Rpc) -> Result<u64> {
    number(&rpc.request("eth_blockNumber", json!([]))?)
}

fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// A number as JSON-RPC writes it.
pub(super) fn number(value: &Value) -> Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.with_context(|| format!("{value} is no number"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
