//! The chain as the node has it in the end.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::traffic::number;
use crate::rpc::Rpc;

/// How many blocks are asked for at once.
const BLOCKS_AT_ONCE: u64 = 256;

/// A block, and what the contract logged in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) number: u64,
    /// As hexadecimal digits.
    pub(super) hash: String,
    /// In order.
    pub(super) logs: Vec<Log>,
}

/// A log of the contract.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub(super) index: u64,
    /// The transaction's hash, as hexadecimal digits.
    pub(super) transaction: String,
    /// The number that it carries.
    pub(super) number: u64,
}

/// Every block from the first to `head`, each the child of the one before.
pub(super) fn read(rpc: &Rpc, contract: &str, head: u64) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut parent = None;
    for first in (0..=head).step_by(BLOCKS_AT_ONCE as usize) {
        let last = head.min(first + BLOCKS_AT_ONCE - 1);
        let params: Vec<Value> = (first..=last)
            .map(|number| json!([format!("{number:#x}"), false]))
            .collect();
        for block in rpc.batch("eth_getBlockByNumber", &params)? {
            let hash = digits(&block["hash"])?;
            ensure!(
                parent.is_none_or(|parent| block["parentHash"] == parent),
                "the node's blocks are no chain"
            );
            parent = Some(block["hash"].clone());
            blocks.push(Block {
                number: number(&block["number"])?,
                hash,
                logs: Vec::new(),
            });
        }
        let filter =
            json!({ "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"), "address": contract });
        let logs: Vec<Value> = serde_json::from_value(rpc.request("eth_getLogs", json!([filter]))?)?;
        for log in &logs {
            let at = usize::try_from(number(&log["blockNumber"])?)?;
            let block = blocks.get_mut(at).context("a log of no block")?;
            ensure!(digits(&log["blockHash"])? == block.hash, "a log of another block");
            block.logs.push(parse(log)?);
        }
    }
    Ok(blocks)
}

fn parse(log: &Value) -> Result<Log> {
    let data = digits(&log["data"])?;
    let tail = data
        .get(data.len().saturating_sub(16)..)
        .context("a log without a number")?;
    Ok(Log {
        index: number(&log["logIndex"])?,
        transaction: digits(&log["transactionHash"])?,
        number: u64::from_str_radix(tail, 16)?,
    })
}

fn digits(value: &Value) -> Result<String> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    Ok(digits.with_context(|| format!("{value} are no bytes"))?.to_owned())
}
