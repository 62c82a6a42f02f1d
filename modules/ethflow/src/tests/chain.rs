//! The contracts of a test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use nexum_sdk::sol_types::{SolCall, SolError};
use nexum_sdk::testing::Host;
use nexum_sdk::{Address, B256, Bytes, Error, ErrorKind, Result, U256, cow};
use serde_json::Value;

use crate::abi::IEthFlow::{EthTransferFailed, invalidateOrdersIgnoringNotAllowedCall, ordersCall, ordersReturn};
use crate::abi::ISettlement::filledAmountCall;
use crate::order::VALID_TO;

/// EthFlow contracts and settlements.
#[derive(Debug, Default)]
pub(super) struct FakeChain {
    /// The owner of each order by its UID.
    pub(super) owners: BTreeMap<Bytes, Address>,
    pub(super) filled: BTreeMap<Bytes, U256>,
    /// The amounts to buy of orders whose sender refuses ether.
    pub(super) refusing: BTreeSet<U256>,
    /// The errors of the endpoint for refunds of orders with these amounts to buy.
    pub(super) failing: BTreeMap<U256, Error>,
    /// Answers each request with this error.
    pub(super) fault: Option<Error>,
    /// The sizes of the simulated refunds, with their limits of gas.
    pub(super) simulated: Vec<(usize, u64)>,
    /// The amounts to buy of the orders in each transaction.
    pub(super) sent: Vec<Vec<u64>>,
    /// The answer to transactions, if nexum does not send them.
    pub(super) refusal: Option<Error>,
    /// The amounts to buy of orders whose refund works in a simulation alone.
    pub(super) reverting: BTreeSet<U256>,
    /// The `block` of each request.
    pub(super) blocks: Vec<Value>,
}

impl FakeChain {
    /// Answers the requests of a host.
    pub(super) fn serve(host: &mut Host) -> Rc<RefCell<Self>> {
        let chain = Rc::new(RefCell::new(Self::default()));
        let served = chain.clone();
        host.on_rpc(move |_, method, params| match method {
            "eth_call" => Some(served.borrow_mut().call(params)),
            "eth_sendTransaction" => Some(served.borrow_mut().send(params)),
            _ => None,
        });
        chain
    }

    fn send(&mut self, params: &Value) -> Result<Value> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let data: Bytes = serde_json::from_value(params[0]["data"].clone())?;
        let orders = invalidateOrdersIgnoringNotAllowedCall::abi_decode(&data)?.orders;
        if orders.iter().any(|order| self.reverting.contains(&order.buyAmount)) {
            let error = Error::new(ErrorKind::Denied, "the chain would not carry out the transaction");
            return Err(error.with_data(Bytes::from(EthTransferFailed {}.abi_encode()).to_string()));
        }
        self.sent
            .push(orders.iter().map(|order| order.buyAmount.to()).collect());
        Ok(Value::String(
            B256::with_last_byte(u8::try_from(self.sent.len())?).to_string(),
        ))
    }

    fn call(&mut self, params: &Value) -> Result<Value> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.blocks.push(params[1].clone());
        let to: Address = serde_json::from_value(params[0]["to"].clone())?;
        let data: Bytes = serde_json::from_value(params[0]["data"].clone())?;
        let returned = if let Ok(call) = ordersCall::abi_decode(&data) {
            let uid = cow::uid(call.digest, to, VALID_TO);
            let owner = self.owners.get(&uid).copied().unwrap_or_default();
            ordersCall::abi_encode_returns(&ordersReturn { owner, validTo: 7 })
        } else if let Ok(call) = filledAmountCall::abi_decode(&data) {
            let filled = self.filled.get(&call.orderUid).copied().unwrap_or_default();
            filledAmountCall::abi_encode_returns(&filled)
        } else {
            let call = invalidateOrdersIgnoringNotAllowedCall::abi_decode(&data)?;
            let gas = params[0]["gas"].as_str().expect("a limit of gas");
            let gas = u64::from_str_radix(&gas[2..], 16)?;
            self.simulated.push((call.orders.len(), gas));
            if let Some(error) = call.orders.iter().find_map(|order| self.failing.get(&order.buyAmount)) {
                return Err(error.clone());
            }
            if call.orders.iter().any(|order| self.refusing.contains(&order.buyAmount)) {
                return Err(reverted(EthTransferFailed {}.abi_encode()));
            }
            Vec::new()
        };
        Ok(Value::String(Bytes::from(returned).to_string()))
    }
}

pub(super) fn reverted(data: Vec<u8>) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, "execution reverted");
    error.with_code(3).with_data(Bytes::from(data).to_string())
}
