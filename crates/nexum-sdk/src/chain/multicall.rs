//! Many calls in one, through the contract Multicall3.

use alloy_primitives::Address;
use alloy_sol_types::SolCall;

use super::{Chain, decode_return};
use crate::multicall3::{Call3, MULTICALL3, Returned, aggregate3};
use crate::{Error, ErrorKind, Result};

pub(super) async fn send<C: SolCall>(chain: Chain, calls: &[(Address, C)]) -> Result<Vec<Result<C::Return>>> {
    let call = aggregate3 {
        calls: calls
            .iter()
            .map(|(target, call)| Call3 {
                target: *target,
                allowFailure: true,
                callData: call.abi_encode().into(),
            })
            .collect(),
    };
    let answers = chain.call(MULTICALL3, &call).await?;
    let results = calls
        .iter()
        .zip(answers)
        .map(|((target, _), answer)| read::<C>(*target, &answer));
    Ok(results.collect())
}

fn read<C: SolCall>(target: Address, answer: &Returned) -> Result<C::Return> {
    if answer.success {
        return decode_return::<C>(target, &answer.returnData);
    }
    let error = Error::of(
        "chain",
        ErrorKind::InvalidInput,
        format!("{}: {target} reverts", C::SIGNATURE),
    );
    Err(error.with_data(answer.returnData.to_string()))
}
