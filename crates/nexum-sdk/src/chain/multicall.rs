//! Many calls in one, through the contract Multicall3.

use alloy_primitives::{Address, address};
use alloy_sol_types::SolCall;

use super::{Chain, decode_return};
use crate::{Error, ErrorKind, Result};

/// The address of Multicall3 on nearly all chains.
pub(crate) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

mod contract {
    #![allow(missing_docs, reason = "the macro writes no docs")]

    alloy_sol_types::sol! {
        #[derive(Debug)]
        struct Call3 { address target; bool allowFailure; bytes callData; }
        #[derive(Debug)]
        struct Returned { bool success; bytes returnData; }
        function aggregate3(Call3[] calls) external payable returns (Returned[] returnData);
    }
}

pub(crate) use contract::{Returned, aggregate3Call as aggregate3};

pub(super) async fn send<C: SolCall>(chain: Chain, calls: &[(Address, C)]) -> Result<Vec<Result<C::Return>>> {
    let call = aggregate3 {
        calls: calls
            .iter()
            .map(|(target, call)| contract::Call3 {
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
