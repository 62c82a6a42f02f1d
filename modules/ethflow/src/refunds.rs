//! The transactions that pay orders back, and whether they work.

use std::collections::BTreeMap;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::sol_types::SolCall;
use nexum_sdk::{Address, Bytes, Chain, Error, hex, join_all};
use serde::Serialize;

use crate::abi::IEthFlow::{IEthFlowErrors, invalidateOrdersIgnoringNotAllowedCall};
use crate::abi::Input;
use crate::answers::{is_of_contract, is_of_node, is_used_up};
use crate::order::{Id, Order, State};

/// The most orders that one transaction pays back. It uses less than 2 million gas.
pub const REFUNDS_PER_CALL: usize = 16;

/// The most gas for one order. The contract itself uses about 60,000; the rest is for a sender's
/// contract that receives the ether. An operator does not pay for more.
pub const REFUND_GAS_MAX: u64 = 500_000;

/// A transaction that any account can send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub chain_id: u64,
    /// The EthFlow contract.
    pub to: Address,
    /// The call of `invalidateOrdersIgnoringNotAllowed`, which skips orders that are paid back
    /// already.
    pub data: Bytes,
}

/// The result of a simulated refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Works,
    /// With the reason.
    Refused(String),
    /// The endpoint did not answer.
    Unanswered(String),
}

/// The transactions that pay these orders back.
pub fn calls(orders: &[(Id, Order)]) -> Vec<Call> {
    let groups = groups(orders, 0..orders.len(), REFUNDS_PER_CALL);
    groups.iter().filter_map(|group| call_of_group(orders, group)).collect()
}

/// The transaction that pays one order back.
pub fn call_of(id: &Id, order: &Order) -> Call {
    call(id, vec![order.input()])
}

/// Simulates the refund of each order in the state of the chain's block. One refund that fails makes
/// its whole transaction fail, so that the orders of a failed group are simulated alone. `payer` is
/// the sender of the transactions, if it is known.
pub async fn simulate(chain: Chain, payer: Option<Address>, orders: &[(Id, Order)]) -> Vec<Outcome> {
    let unanswered = || Outcome::Unanswered(String::new());
    let mut outcomes: Vec<_> = orders.iter().map(|_| unanswered()).collect();
    // An order without an answer before may be why its group had none.
    let is_fresh = |index: &usize| {
        orders
            .get(*index)
            .is_some_and(|(_, order)| order.state != State::Expired)
    };
    let (fresh, suspects): (Vec<_>, Vec<_>) = (0..orders.len()).partition(is_fresh);
    let mut waiting = groups(orders, fresh, REFUNDS_PER_CALL);
    waiting.extend(suspects.into_iter().map(|index| vec![index]));
    while !waiting.is_empty() {
        let answers = waiting.iter().map(|group| send(chain, payer, orders, group));
        let answers = join_all(answers).await;
        let mut alone = Vec::new();
        for (group, (outcome, is_answer)) in waiting.into_iter().zip(answers) {
            if is_answer && group.len() > 1 {
                alone.extend(group.into_iter().map(|index| vec![index]));
                continue;
            }
            for index in group {
                if let Some(place) = outcomes.get_mut(index) {
                    *place = outcome.clone();
                }
            }
        }
        waiting = alone;
    }
    outcomes
}

/// Simulates one transaction. Returns the outcome, and whether one order of a group may be the cause of
/// a failure.
async fn send(chain: Chain, payer: Option<Address>, orders: &[(Id, Order)], group: &[usize]) -> (Outcome, bool) {
    let Some(call) = call_of_group(orders, group) else {
        return (Outcome::Works, false);
    };
    let request = CallRequest {
        to: call.to,
        data: call.data,
        from: payer,
        gas: Some(REFUND_GAS_MAX.saturating_mul(group.len() as u64)),
        ..CallRequest::default()
    };
    match chain.call_raw(&request).await {
        Ok(_) => (Outcome::Works, false),
        Err(error) => (failure(&error), is_of_contract(&error) || is_of_node(&error)),
    }
}

/// The indices of orders, by transaction of at most `count` orders.
fn groups(orders: &[(Id, Order)], indices: impl IntoIterator<Item = usize>, count: usize) -> Vec<Vec<usize>> {
    let mut by_contract: BTreeMap<(u64, Address), Vec<usize>> = BTreeMap::new();
    for index in indices {
        if let Some(((chain_id, contract, _), _)) = orders.get(index) {
            by_contract.entry((*chain_id, *contract)).or_default().push(index);
        }
    }
    let groups = by_contract.values().flat_map(|indices| indices.chunks(count));
    groups.map(<[usize]>::to_vec).collect()
}

/// The orders, in batches of at most `count` orders of one contract.
pub fn batches(orders: &[(Id, Order)], count: usize) -> Vec<Vec<(Id, Order)>> {
    let groups = groups(orders, 0..orders.len(), count).into_iter();
    let members = |group: Vec<usize>| group.into_iter().filter_map(|index| orders.get(index).cloned());
    groups.map(|group| members(group).collect()).collect()
}

/// The transaction that pays a batch back. `None` for an empty batch.
pub fn call_of_batch(batch: &[(Id, Order)]) -> Option<Call> {
    let (id, _) = batch.first()?;
    Some(call(id, batch.iter().map(|(_, order)| order.input()).collect()))
}

fn call_of_group(orders: &[(Id, Order)], group: &[usize]) -> Option<Call> {
    let members = || group.iter().filter_map(|index| orders.get(*index));
    let (id, _) = members().next()?;
    Some(call(id, members().map(|(_, order)| order.input()).collect()))
}

fn call((chain_id, contract, _): &Id, orders: Vec<Input>) -> Call {
    Call {
        chain_id: *chain_id,
        to: *contract,
        data: invalidateOrdersIgnoringNotAllowedCall { orders }.abi_encode().into(),
    }
}

/// The outcome for a call that failed.
pub fn failure(error: &Error) -> Outcome {
    if let Some(IEthFlowErrors::EthTransferFailed(_)) = error.decode_revert() {
        let reason = "EthTransferFailed: the contract of the sender refuses the ether, or uses too much gas";
        return Outcome::Refused(reason.to_owned());
    }
    if let Some(data) = error.revert_data().filter(|data| !data.is_empty()) {
        let selector = data.get(..4).unwrap_or(&data);
        return Outcome::Refused(format!("the refund reverts with 0x{}", hex::encode(selector)));
    }
    match is_of_contract(error) || is_used_up(error) {
        true => Outcome::Refused(format!("the refund fails: {}", error.message())),
        false => Outcome::Unanswered(error.to_string()),
    }
}
