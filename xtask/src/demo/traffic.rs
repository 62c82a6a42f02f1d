//! A token on the local node, and transfers of it, so that blocks contain transactions.

use std::{
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::rpc::Rpc;

/// The creation code of `xtask/demo/Token.sol`.
const TOKEN: &str = include_str!("../../demo/Token.bin");

/// The selector of `transfer(address,uint256)`.
const TRANSFER: &str = "a9059cbb";

/// The interval between transfers: about two per block, because a block takes one second.
const INTERVAL: Duration = Duration::from_millis(450);

/// The number of accounts that hold the token. The first one pays the others.
const ACCOUNTS: usize = 3;

/// The number of requests for a receipt and the pause between them. Together they last ten blocks.
const RECEIPT_ATTEMPTS: u32 = 100;
const RECEIPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Traffic {
    rpc: Rpc,
    token: String,
    accounts: Vec<String>,
}

/// Stops the traffic when it is dropped.
pub(super) struct Running(#[expect(dead_code, reason = "dropping it closes the channel")] SyncSender<()>);

impl Traffic {
    /// Deploys the token from the node's first account.
    pub(super) fn deploy(url: &str) -> Result<Self> {
        let rpc = Rpc::new(url);
        let accounts: Vec<String> = serde_json::from_value(rpc.request("eth_accounts", json!([]))?)?;
        let accounts = accounts
            .get(..ACCOUNTS)
            .context("the node has too few accounts")?
            .to_vec();
        let deployment = json!([{ "from": accounts[0], "data": format!("0x{}", TOKEN.trim()) }]);
        let transaction = rpc.request("eth_sendTransaction", deployment)?;
        let token = wait_for_contract(&rpc, &transaction)?;
        Ok(Self { rpc, token, accounts })
    }

    /// The token's address.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The accounts that send and receive the token.
    pub(super) fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// Sends transfers until the returned value is dropped or the node stops.
    pub(super) fn start(&self) -> Running {
        let (end, ended) = sync_channel(0);
        let (rpc, token, accounts) = (self.rpc.clone(), self.token.clone(), self.accounts.clone());
        thread::spawn(move || {
            for (amount, to) in (1u64..).zip(accounts[1..].iter().cycle()) {
                let transfer = json!([{ "from": accounts[0], "to": token, "data": transfer_data(to, amount) }]);
                let sent = rpc.request("eth_sendTransaction", transfer);
                if sent.is_err() || ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Running(end)
    }
}

fn wait_for_contract(rpc: &Rpc, transaction: &Value) -> Result<String> {
    for _ in 0..RECEIPT_ATTEMPTS {
        let receipt = rpc.request("eth_getTransactionReceipt", json!([transaction]))?;
        if let Some(address) = receipt["contractAddress"].as_str() {
            return Ok(address.to_owned());
        }
        thread::sleep(RECEIPT_PAUSE);
    }
    bail!("no block contains the token's transaction")
}

fn transfer_data(to: &str, amount: u64) -> String {
    format!("0x{TRANSFER}{:0>64}{amount:064x}", to.trim_start_matches("0x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_a_transfer() {
        let data = transfer_data("0x00000000000000000000000000000000000000ff", 16);
        assert_eq!(data.len(), 2 + 8 + 64 + 64);
        assert!(data.starts_with("0xa9059cbb000") && data.contains("ff000") && data.ends_with("010"));
    }

    #[test]
    fn carries_creation_code() {
        let code = TOKEN.trim();
        assert!(code.len().is_multiple_of(2) && code.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
