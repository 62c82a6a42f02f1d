//! The node's canonical chain at the end of a round.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::traffic::number;
use crate::rpc::Rpc;

/// The number of blocks per batch of requests.
const BLOCKS_AT_ONCE: u64 = 256;

/// A block with the contract's logs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) number: u64,
    /// In hexadecimal digits.
    pub(super) hash: String,
    /// In the order of the block.
    pub(super) logs: Vec<Log>,
}

/// A log of the contract.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub(super) index: u64,
    /// The transaction's hash, in hexadecimal digits.
    pub(super) transaction: String,
    /// The number in the log's data.
    pub(super) number: u64,
}

/// Every block from the first one to `head`. Each is the child of the previous one.
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
                "a block of the node is not the child of the previous one"
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
            let block = blocks.get_mut(at).context("a log has an unknown block")?;
            ensure!(
                digits(&log["blockHash"])? == block.hash,
                "a log has the hash of another block"
            );
            block.logs.push(parse(log)?);
        }
    }
    Ok(blocks)
}

fn parse(log: &Value) -> Result<Log> {
    let data = digits(&log["data"])?;
    let tail = data
        .get(data.len().saturating_sub(16)..)
        .context("a log has no number in its data")?;
    Ok(Log {
        index: number(&log["logIndex"])?,
        transaction: digits(&log["transactionHash"])?,
        number: u64::from_str_radix(tail, 16)?,
    })
}

fn digits(value: &Value) -> Result<String> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    Ok(digits
        .with_context(|| format!("{value} is not hexadecimal"))?
        .to_owned())
}
