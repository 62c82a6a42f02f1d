//! Scripted JSON-RPC.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::{SolCall, SolInterface};
use serde_json::Value;

use super::Host;
use super::host::unanswered;
use crate::chain::{MULTICALL3, Returned, aggregate3};
use crate::executor::Request;
use crate::{Error, ErrorKind, Result};

type OnRpc = Box<dyn FnMut(u64, &str, &Value) -> Option<Result<Value>>>;
type OnCall = Box<dyn FnMut(Address, &[u8]) -> Option<Result<Vec<u8>>>>;

/// The scripts of JSON-RPC requests, and of contract calls.
#[derive(Default)]
pub(super) struct Rpc {
    requests: Vec<OnRpc>,
    calls: Vec<OnCall>,
}

impl Host {
    /// Answers JSON-RPC requests: chain, method and parameters. A later script is asked first; a
    /// script that returns `None` leaves the request to the others.
    pub fn on_rpc(&mut self, script: impl FnMut(u64, &str, &Value) -> Option<Result<Value>> + 'static) {
        self.rpc.requests.push(Box::new(script));
    }

    /// Answers calls of a contract's function, alone and through Multicall3.
    pub fn on_call<C: SolCall>(&mut self, contract: Address, mut script: impl FnMut(C) -> C::Return + 'static) {
        self.rpc.calls.push(Box::new(move |to, data| {
            let call = decode::<C>(contract, to, data)?;
            Some(Ok(C::abi_encode_returns(&script(call))))
        }));
    }

    /// Makes calls of a contract's function revert with an error of the contract.
    pub fn on_revert<C: SolCall, E: SolInterface>(
        &mut self,
        contract: Address,
        mut script: impl FnMut(C) -> E + 'static,
    ) {
        self.rpc.calls.push(Box::new(move |to, data| {
            let error = script(decode::<C>(contract, to, data)?);
            Some(Err(reverted(error.abi_encode())))
        }));
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Result<String> {
        let params: Value = serde_json::from_str(&request.params)?;
        self.requests.push((request.method.to_string(), params.clone()));
        let answer = self.find(request, &params);
        let missing = || {
            unanswered(
                "chain",
                format!("{} {params} of chain {}", request.method, request.chain_id),
            )
        };
        answer
            .unwrap_or_else(|| Err(missing()))
            .map(|answer| answer.to_string())
    }

    pub(crate) fn answer_batch(&mut self, requests: &[Request]) -> Vec<Result<String>> {
        self.batches.push(requests.len());
        requests.iter().map(|request| self.answer(request)).collect()
    }

    fn find(&mut self, request: &Request, params: &Value) -> Option<Result<Value>> {
        let mut scripts = self.rpc.requests.iter_mut().rev();
        let answer = scripts.find_map(|script| script(request.chain_id, &request.method, params));
        if answer.is_some() || request.method != "eth_call" {
            return answer;
        }
        let call = params.get(0)?;
        let to: Address = serde_json::from_value(call.get("to")?.clone()).ok()?;
        let data: Bytes = serde_json::from_value(call.get("data")?.clone()).ok()?;
        let answer = self.rpc.call(to, &data)?;
        Some(answer.map(|returned| Value::String(Bytes::from(returned).to_string())))
    }
}

impl Rpc {
    fn call(&mut self, to: Address, data: &[u8]) -> Option<Result<Vec<u8>>> {
        let answer = self.calls.iter_mut().rev().find_map(|script| script(to, data));
        if answer.is_some() || to != MULTICALL3 {
            return answer;
        }
        let calls = aggregate3::abi_decode(data).ok()?.calls;
        let mut returned = Vec::new();
        for call in calls {
            let answer = self.call(call.target, &call.callData)?;
            returned.push(Returned {
                success: answer.is_ok(),
                returnData: match answer {
                    Ok(bytes) => bytes.into(),
                    Err(error) => error.revert_data().unwrap_or_default(),
                },
            });
        }
        Some(Ok(aggregate3::abi_encode_returns(&returned)))
    }
}

fn decode<C: SolCall>(contract: Address, to: Address, data: &[u8]) -> Option<C> {
    (to == contract).then(|| C::abi_decode(data).ok()).flatten()
}

/// The code of a revert in JSON-RPC.
const REVERTED: i32 = 3;

/// The error that a node answers after a revert.
fn reverted(data: Vec<u8>) -> Error {
    let error = Error::of("chain", ErrorKind::InvalidInput, "execution reverted".into());
    error.with_code(REVERTED).with_data(Bytes::from(data).to_string())
}
