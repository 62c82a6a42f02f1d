//! The logs of a block from its receipts, which are checked against the block's header.

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxType};
use alloy_primitives::{B256, U64};
use nexum_config::topic::ChainId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::FollowError;
use super::header::Header;
use super::wire_log::{RawLog, WireLog};
use crate::error::RequestError;
use crate::rpc::endpoint::RpcRequest;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    #[serde(default, rename = "type")]
    kind: U64,
    status: Option<U64>,
    root: Option<B256>,
    cumulative_gas_used: U64,
    logs: Vec<WireLog>,
}

/// The result of checking the receipts of a block.
pub(super) enum Checked {
    /// The receipts match the header. All logs of the block.
    Proven(Vec<RawLog>),
    /// This host cannot encode a receipt of this kind, such as some of networks other than
    /// Ethereum. Nothing is proven.
    Unknown,
    /// The receipts do not match the header's root. These are their logs. Some networks have logs
    /// that no root covers, such as those of Polygon's state sync, and some have no valid root.
    Unproven(Vec<RawLog>),
    /// The receipts belong to another block.
    Foreign,
}

/// A request for the receipts of a block.
pub(super) fn request(header: &Header) -> Result<RpcRequest, FollowError> {
    let hash = B256::from(header.position.hash);
    let params = RawValue::from_string(format!(r#"["{hash}"]"#)).map_err(|_| RequestError::Internal)?;
    Ok(("eth_getBlockReceipts".into(), params))
}

/// Computes the root of the receipts on a blocking thread, because a full block takes milliseconds.
pub(super) async fn check(answer: Box<RawValue>, header: &Header, chain_id: ChainId) -> Result<Checked, FollowError> {
    let header = header.clone();
    let checked = tokio::task::spawn_blocking(move || check_now(&answer, &header, chain_id));
    checked.await.map_err(|_| RequestError::Internal)?
}

fn check_now(answer: &RawValue, header: &Header, chain_id: ChainId) -> Result<Checked, FollowError> {
    let receipts = serde_json::from_str::<Option<Vec<RawReceipt>>>(answer.get()).map_err(|_| FollowError::BadLogs)?;
    let receipts = receipts.ok_or(FollowError::NoBlock(header.position.number))?;
    let Some(expected) = header.receipts_root else {
        return Ok(Checked::Unknown);
    };
    let envelopes: Option<Vec<_>> = receipts.iter().map(envelope).collect();
    let Some(envelopes) = envelopes else {
        return Ok(Checked::Unknown);
    };
    let logs = in_place(receipts, chain_id)?;
    // The root covers the content and the order of the logs, but not the block and the indexes that
    // they name.
    if logs.iter().any(|raw| raw.block != header.position) {
        return Ok(Checked::Foreign);
    }
    Ok(match calculate_receipt_root(&envelopes) == expected {
        true => Checked::Proven(logs),
        false => Checked::Unproven(logs),
    })
}

/// All logs, with the indexes that follow from the order of the receipts.
fn in_place(receipts: Vec<RawReceipt>, chain_id: ChainId) -> Result<Vec<RawLog>, FollowError> {
    let mut logs: Vec<RawLog> = Vec::new();
    for (transaction_index, receipt) in (0..).zip(receipts) {
        for log in receipt.logs {
            let mut raw = RawLog::read(log, chain_id)?;
            raw.transaction_index = transaction_index;
            raw.log.log_index = u32::try_from(logs.len()).map_err(|_| FollowError::BadLogs)?;
            logs.push(raw);
        }
    }
    Ok(logs)
}

fn envelope(raw: &RawReceipt) -> Option<ReceiptEnvelope> {
    let status = match (raw.status, raw.root) {
        (Some(status), _) => Eip658Value::Eip658(!status.is_zero()),
        (None, Some(root)) => Eip658Value::PostState(root),
        (None, None) => return None,
    };
    let receipt = Receipt {
        status,
        cumulative_gas_used: raw.cumulative_gas_used.to(),
        logs: raw.logs.iter().map(WireLog::consensus).collect(),
    };
    let kind = TxType::try_from(u8::try_from(raw.kind.to::<u64>()).ok()?).ok()?;
    Some(ReceiptEnvelope::from_typed(kind, receipt.with_bloom()))
}
