//! The default answers of a node.

use alloy_primitives::B256;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::answer::Answer;
use super::block::Block;
use super::chain::Chain;
use super::logs::logs;
use super::script::{IncomingRequest, State};
use super::view::View;

impl State {
    /// The default answer to a request. Each connection handles its own subscriptions.
    pub(super) fn by_default(&self, chain: &Chain, request: &IncomingRequest) -> Answer {
        let params: Vec<Value> = serde_json::from_str(request.params.get()).unwrap_or_default();
        let view = self.standpoint.view(chain);
        match request.method.as_str() {
            "eth_chainId" => Answer::Result(quantity(self.chain_id)),
            "net_version" => Answer::Result(json!(self.chain_id.to_string())),
            "web3_clientVersion" => Answer::Result(json!("scripted/v1")),
            "eth_syncing" => Answer::Result(self.syncing(view)),
            "eth_blockNumber" => Answer::Result(quantity(view.head().number)),
            "eth_getBlockByNumber" => match by_number(view, params.first()) {
                Ok(None) if self.refuses_null_rounds && is_null_round(view, params.first()) => {
                    Answer::error(NULL_ROUND_CODE, "requested epoch was a null round")
                }
                block => shown(block, |block| self.header_faults.show(block)),
            },
            "eth_getBlockByHash" => shown(by_hash(view, params.first()), |block| self.header_faults.show(block)),
            "eth_getBlockReceipts" => {
                let block = by_hash(view, params.first()).or_else(|_| by_number(view, params.first()));
                shown(block, Block::receipts_json)
            }
            "eth_getLogs" => logs(view, self.logs_faults, &params),
            _ => Answer::error(-32_601, format!("the method {} does not exist", request.method)),
        }
    }

    fn syncing(&self, view: View<'_>) -> Value {
        let Some(highest) = self.syncing_to else {
            return json!(false);
        };
        json!({
            "startingBlock": "0x0",
            "currentBlock": quantity(view.head().number),
            "highestBlock": quantity(highest),
        })
    }
}

/// The code of Lotus, Filecoin's first node, for a number without a block.
const NULL_ROUND_CODE: i64 = 12;

/// Whether the node's chain has gone past the number.
fn is_null_round(view: View<'_>, id: Option<&Value>) -> bool {
    id.and_then(|id| view.number(id).ok())
        .is_some_and(|number| number < view.head().number)
}

/// Endpoints answer `null` for an unknown block.
fn shown(block: Result<Option<&Block>, Answer>, show: impl FnOnce(&Block) -> Value) -> Answer {
    match block {
        Ok(block) => Answer::Result(block.map_or(Value::Null, show)),
        Err(refusal) => refusal,
    }
}

fn by_number<'a>(view: View<'a>, id: Option<&Value>) -> Result<Option<&'a Block>, Answer> {
    let id = id.ok_or_else(|| Answer::error(-32_602, "missing block number"))?;
    Ok(view.by_number(view.number(id)?))
}

fn by_hash<'a>(view: View<'a>, hash: Option<&Value>) -> Result<Option<&'a Block>, Answer> {
    match hash.map(B256::deserialize) {
        Some(Ok(hash)) => Ok(view.by_hash(&hash)),
        _ => Err(Answer::error(-32_602, "invalid block hash")),
    }
}

fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
