//! The contract Multicall3.

use alloy_primitives::{Address, address};

/// The address of Multicall3 on nearly all chains.
pub(crate) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

mod abi {
    #![allow(missing_docs, reason = "the macro writes no docs")]

    alloy_sol_types::sol! {
        #[derive(Debug)]
        struct Call3 { address target; bool allowFailure; bytes callData; }
        #[derive(Debug)]
        struct Returned { bool success; bytes returnData; }
        function aggregate3(Call3[] calls) external payable returns (Returned[] returnData);
    }
}

pub(crate) use abi::{Call3, Returned, aggregate3Call as aggregate3};
