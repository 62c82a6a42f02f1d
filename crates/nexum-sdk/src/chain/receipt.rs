//! Receipts and logs.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;

use super::codec::{self, serde_number};
use crate::{Log, Result};

/// The result of a transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The hash of the transaction.
    pub transaction_hash: B256,
    /// The number of the block.
    pub block_number: u64,
    /// The hash of the block.
    pub block_hash: B256,
    /// Whether the transaction succeeded. `None` before the Byzantium fork, when receipts did not tell.
    pub is_success: Option<bool>,
    /// The sender.
    pub from: Address,
    /// The receiver. `None` for a new contract.
    pub to: Option<Address>,
    /// The address of the new contract, if the transaction made one.
    pub contract_address: Option<Address>,
    /// The gas that the transaction used.
    pub gas_used: u64,
    /// The price that the sender paid for gas, in wei.
    pub effective_gas_price: U256,
    /// The logs, in log order.
    pub logs: Vec<Log>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    transaction_hash: B256,
    #[serde(with = "serde_number")]
    block_number: u64,
    block_hash: B256,
    status: Option<U256>,
    from: Address,
    to: Option<Address>,
    contract_address: Option<Address>,
    #[serde(with = "serde_number")]
    gas_used: u64,
    #[serde(default)]
    effective_gas_price: U256,
    logs: Vec<RawLog>,
}

impl RawReceipt {
    fn of(self, chain_id: u64) -> Receipt {
        Receipt {
            transaction_hash: self.transaction_hash,
            block_number: self.block_number,
            block_hash: self.block_hash,
            is_success: self.status.map(|status| status == U256::ONE),
            from: self.from,
            to: self.to,
            contract_address: self.contract_address,
            gas_used: self.gas_used,
            effective_gas_price: self.effective_gas_price,
            logs: self.logs.into_iter().map(|log| log.of(chain_id)).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(with = "serde_number")]
    block_number: u64,
    transaction_hash: B256,
    #[serde(with = "serde_number")]
    log_index: u64,
}

impl RawLog {
    fn of(self, chain_id: u64) -> Log {
        Log {
            chain_id,
            address: self.address,
            topics: self.topics,
            data: self.data,
            block_number: self.block_number,
            transaction_hash: self.transaction_hash,
            // A block has far fewer logs.
            log_index: u32::try_from(self.log_index).unwrap_or(u32::MAX),
        }
    }
}

/// The answer to `eth_getLogs`.
pub(super) fn logs(chain_id: u64, json: &str) -> Result<Vec<Log>> {
    let logs: Vec<RawLog> = codec::read(json)?;
    Ok(logs.into_iter().map(|log| log.of(chain_id)).collect())
}

/// The answer to `eth_getTransactionReceipt`.
pub(super) fn read(chain_id: u64, json: &str) -> Result<Option<Receipt>> {
    let receipt: Option<RawReceipt> = codec::read(json)?;
    Ok(receipt.map(|receipt| receipt.of(chain_id)))
}

/// The answer to `eth_getBlockReceipts`.
pub(super) fn read_all(chain_id: u64, json: &str) -> Result<Option<Vec<Receipt>>> {
    let receipts: Option<Vec<RawReceipt>> = codec::read(json)?;
    Ok(receipts.map(|receipts| receipts.into_iter().map(|receipt| receipt.of(chain_id)).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_receipt_with_its_logs() {
        let word = B256::repeat_byte(1);
        let account = Address::repeat_byte(2);
        let mut answer = json!({
            "transactionHash": word, "blockNumber": "0x10", "blockHash": word, "status": "0x1",
            "from": account, "to": null, "contractAddress": account, "gasUsed": "0x5208",
            "effectiveGasPrice": "0x3b9aca00", "type": "0x2",
            "logs": [{
                "address": account, "topics": [word], "data": "0x0102", "blockNumber": "0x10",
                "transactionHash": word, "logIndex": "0x3", "removed": false,
            }],
        });
        let receipt = read(5, &answer.to_string()).expect("a receipt").expect("not null");
        assert_eq!(receipt.is_success, Some(true));
        assert_eq!((receipt.to, receipt.contract_address), (None, Some(account)));
        assert_eq!(
            (receipt.gas_used, receipt.effective_gas_price),
            (21_000, U256::from(1_000_000_000))
        );
        let [log] = &receipt.logs[..] else { panic!("one log") };
        assert_eq!((log.chain_id, log.block_number, log.log_index), (5, 16, 3));
        assert_eq!(&log.data[..], [1, 2]);
        assert_eq!(read(5, "null").expect("null is readable"), None);
        let all = read_all(5, &json!([answer, answer]).to_string()).expect("receipts");
        assert_eq!(all, Some(vec![receipt.clone(), receipt]));
        assert_eq!(read_all(5, "null").expect("null is readable"), None);

        answer["status"] = json!("0x0");
        let receipt = read(5, &answer.to_string()).expect("a receipt").expect("not null");
        assert_eq!(receipt.is_success, Some(false));
        // Before the Byzantium fork, a receipt has the root of the state in place of the status.
        let members = answer.as_object_mut().expect("an object");
        members.remove("status");
        members.insert("root".into(), json!(word));
        let receipt = read(5, &answer.to_string()).expect("a receipt").expect("not null");
        assert_eq!(receipt.is_success, None);
    }
}
