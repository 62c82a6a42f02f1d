//! The requests to the node, and its responses.

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{SolCall, sol};
use serde_json::json;

use crate::{
    HostError, failure,
    nexum::host::{
        chain::{RpcRequest, RpcResult},
        types::HostErrorKind,
    },
};

sol! {
    function balanceOf(address account) returns (uint256);
}

/// The request for a balance after a block. It names the block by hash, so that all responses of a
/// batch describe one block.
pub fn balance_request(token: Option<Address>, account: Address, block_hash: &[u8]) -> RpcRequest {
    let block = json!({ "blockHash": hex::encode_prefixed(block_hash) });
    let (method, params) = match token {
        Some(token) => {
            let data = Bytes::from(balanceOfCall { account }.abi_encode());
            ("eth_call", json!([{ "to": token, "data": data }, block]))
        }
        None => ("eth_getBalance", json!([account, block])),
    };
    RpcRequest {
        method: method.into(),
        params: params.to_string(),
    }
}

/// Parses the response to [`balance_request`].
pub fn read_balance(token: Option<Address>, answer: RpcResult) -> Result<U256, HostError> {
    let json = match answer {
        RpcResult::Ok(json) => json,
        RpcResult::Err(error) => return Err(error),
    };
    let unreadable = |error: &dyn std::fmt::Display| failure(HostErrorKind::Internal, format!("balance: {error}"));
    let Some(token) = token else {
        return serde_json::from_str(&json).map_err(|error| unreadable(&error));
    };
    let returned: Bytes = serde_json::from_str(&json).map_err(|error| unreadable(&error))?;
    if returned.is_empty() {
        // A call to an address without code succeeds and returns nothing.
        return Err(failure(HostErrorKind::InvalidInput, format!("no token at {token}")));
    }
    balanceOfCall::abi_decode_returns(&returned).map_err(|error| unreadable(&error))
}
