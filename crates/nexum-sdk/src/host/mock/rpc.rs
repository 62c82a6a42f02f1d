//! Scripted JSON-RPC.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::{SolCall, SolInterface};
use serde_json::Value;

use crate::multicall3::{MULTICALL3, Returned, aggregate3};
use crate::{Error, ErrorKind, Result};

type OnRequest = Box<dyn FnMut(u64, &str, &Value) -> Option<Result<Value>>>;
type OnCall = Box<dyn FnMut(Address, &[u8]) -> Option<Result<Vec<u8>>>>;

/// The scripts of JSON-RPC requests, and of contract calls. Later ones are asked first.
#[derive(Default)]
pub(super) struct Rpc {
    requests: Vec<OnRequest>,
    calls: Vec<OnCall>,
}

impl Rpc {
    pub(super) fn on_request(&mut self, script: OnRequest) {
        self.requests.push(script);
    }

    pub(super) fn on_call<C: SolCall>(&mut self, contract: Address, mut script: impl FnMut(C) -> C::Return + 'static) {
        self.calls.push(Box::new(move |to, data| {
            let call = decode::<C>(contract, to, data)?;
            Some(Ok(C::abi_encode_returns(&script(call))))
        }));
    }

    pub(super) fn on_revert<C: SolCall, E: SolInterface>(
        &mut self,
        contract: Address,
        mut script: impl FnMut(C) -> E + 'static,
    ) {
        self.calls.push(Box::new(move |to, data| {
            let error = script(decode::<C>(contract, to, data)?);
            Some(Err(reverted(error.abi_encode())))
        }));
    }

    /// The answer of the first script that has one.
    pub(super) fn answer(&mut self, chain_id: u64, method: &str, params: &Value) -> Result<Value> {
        let missing = || unanswered("chain", format!("{method} {params} of chain {chain_id}"));
        self.find(chain_id, method, params).unwrap_or_else(|| Err(missing()))
    }

    fn find(&mut self, chain_id: u64, method: &str, params: &Value) -> Option<Result<Value>> {
        let mut scripts = self.requests.iter_mut().rev();
        let answer = scripts.find_map(|script| script(chain_id, method, params));
        if answer.is_some() || method != "eth_call" {
            return answer;
        }
        let call = params.get(0)?;
        let to: Address = serde_json::from_value(call.get("to")?.clone()).ok()?;
        let data: Bytes = serde_json::from_value(call.get("data")?.clone()).ok()?;
        let answer = self.call(to, &data)?;
        Some(answer.map(|returned| Value::String(Bytes::from(returned).to_string())))
    }

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

/// The error for a request without a script.
pub(super) fn unanswered(domain: &'static str, request: String) -> Error {
    Error::of(
        domain,
        ErrorKind::Unsupported,
        format!("no script of the test answers {request}"),
    )
}
