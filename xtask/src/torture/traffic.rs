//! A chain that grows and reorganises all the time.

use std::{
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::schedule::{Burst, Reorg, Schedule};
use crate::rpc::Rpc;

/// The creation code of a contract that logs its call data: `CALLDATACOPY(0, 0, CALLDATASIZE)
/// LOG0(0, CALLDATASIZE) STOP`.
const EMITTER: &str = "0x67363d3d37363da0003d5260086018f3";

/// The number of blocks before the first reorganisation. It exceeds the deepest one, so that the
/// contract stays deployed.
const FIRST_BLOCKS: u64 = 128;

/// A local node with its contract.
#[derive(Debug)]
pub(super) struct Traffic {
    rpc: Rpc,
    accounts: Vec<String>,
    emitter: String,
    /// The number in the next log.
    next: u64,
    done: Done,
}

/// The counts of a chain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) reorgs: u64,
    pub(super) deepest_reorg: u64,
}

/// Running traffic.
pub(super) struct Running {
    end: SyncSender<()>,
    thread: JoinHandle<Result<Traffic>>,
}

impl Traffic {
    /// Deploys the contract and mines the first blocks. The node must not mine on its own.
    pub(super) fn deploy(url: &str) -> Result<Self> {
        let rpc = Rpc::new(url);
        let accounts: Vec<String> = serde_json::from_value(rpc.request("eth_accounts", json!([]))?)?;
        let deployer = accounts.first().context("the node has no accounts")?;
        let transaction = rpc.request("eth_sendTransaction", json!([{ "from": deployer, "data": EMITTER }]))?;
        rpc.request("anvil_mine", json!([quantity(FIRST_BLOCKS)]))?;
        let receipt = rpc.request("eth_getTransactionReceipt", json!([transaction]))?;
        let emitter = receipt["contractAddress"]
            .as_str()
            .context("the contract was not deployed")?;
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

    /// Mines one block with one log, and returns its number, which no earlier block had.
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

    /// The next call of the contract. The accounts take turns.
    fn call(&mut self) -> Value {
        let number = self.next;
        self.next += 1;
        let from = self.accounts.get(number as usize % self.accounts.len().max(1));
        json!({ "from": from, "to": self.emitter, "data": format!("0x{number:064x}") })
    }
}

impl Done {
    /// The sum of two counts.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            reorgs: self.reorgs + other.reorgs,
            deepest_reorg: self.deepest_reorg.max(other.deepest_reorg),
        }
    }
}

impl Running {
    /// Stops the traffic after the current burst.
    pub(super) fn stop(self) -> Result<Traffic> {
        // A failed thread has closed the channel.
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

/// Parses a number in JSON-RPC's form.
pub(super) fn number(value: &Value) -> Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.with_context(|| format!("{value} is not a number"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
